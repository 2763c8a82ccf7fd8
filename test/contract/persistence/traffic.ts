// Messages by the dozen: sent in one breath, received with all their acknowledgements.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Packet,
  type PacketOf,
  type PublishOptions,
  puback,
  pubcomp,
  publish,
  pubrec,
  pubrel,
} from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'

/** How long nothing must come for there to be nothing more. */
const SILENCE_MS = 25

export type Received = PacketOf<'publish'>

export const QOS = [1, 2] as const

/** As many messages of one topic, with payloads `<prefix>0`, `<prefix>1` and so on. */
export function series(topic: string, qos: number, count: number, prefix = ''): PublishOptions[] {
  return Array.from({ length: count }, (_, i) => ({ topic, qos, payload: `${prefix}${i}` }))
}

/** Sends all messages, of QoS 1 and 2, in one write, and completes their exchanges. */
export async function pour(client: RawClient, messages: readonly PublishOptions[]): Promise<void> {
  const open = new Set<number>()
  const packets = messages.map(message => {
    const packetId = client.takePacketId()
    open.add(packetId)
    return publish({ ...message, packetId })
  })
  client.send(Buffer.concat(packets))
  while (open.size > 0) {
    const answer = await client.next()
    if (answer.type === 'pubrec') client.send(pubrel(answer.packetId))
    else if (answer.type === 'puback' || answer.type === 'pubcomp')
      assert.ok(open.delete(answer.packetId), `${answer.type} for ${answer.packetId}, which is not open`)
    else assert.fail(`expected acknowledgements, got ${JSON.stringify(answer)}`)
  }
}

/** Receives as many messages, each with the acknowledgements its QoS asks for. */
export async function take(client: RawClient, count: number): Promise<Received[]> {
  const messages: Received[] = []
  while (messages.length < count) messages.push(await client.receive())
  return messages
}

/** Receives as many messages without a word; then there must be no more. */
export async function hold(client: RawClient, count: number): Promise<Received[]> {
  const messages: Received[] = []
  while (messages.length < count) messages.push(await client.expect('publish'))
  await silence(client)
  return messages
}

/** Acknowledges messages of QoS 1 and 2 that were held, to the end. */
export async function acknowledge(client: RawClient, messages: readonly Received[]): Promise<void> {
  for (const { qos, packetId } of messages) client.send(qos === 1 ? puback(packetId) : pubrec(packetId))
  for (const { qos, packetId } of messages) {
    if (qos === 1) continue
    assert.equal((await client.expect('pubrel')).packetId, packetId)
    client.send(pubcomp(packetId))
  }
  await client.quiet()
}

/** Asserts that nothing more comes. What lies on disk may come behind an answer that needs no disk, so it takes a while. */
export async function silence(client: RawClient): Promise<void> {
  await client.quiet()
  await client.nothing(SILENCE_MS)
}

/** Whatever comes until nothing more does; acknowledges nothing. */
export async function untilSilence(client: RawClient): Promise<Packet[]> {
  const packets: Packet[] = []
  for (let isMore = true; isMore; ) {
    const some = await client.everything()
    await sleep(SILENCE_MS)
    const more = await client.everything()
    packets.push(...some, ...more)
    isMore = more.length > 0
  }
  return packets
}

export function textsOf(messages: readonly Received[]): string[] {
  return messages.map(message => message.payload.toString())
}

/** `0` to `count - 1`, with a prefix. */
export function texts(count: number, prefix = '', from = 0): string[] {
  return Array.from({ length: count - from }, (_, i) => `${prefix}${from + i}`)
}

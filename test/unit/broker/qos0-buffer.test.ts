/** `message.egress.qos0.buffer.size`: how many QoS 0 messages wait for one client; the others are dropped. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { configOf, type EmbeddedHub, embedHub } from '../../support/embedded-hub.ts'
import { puback, publish } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'

const SIZE = 10
const config = configOf(
  `message: { egress: { qos0: { buffer: { size: ${SIZE} } }, qos1: { buffer: { size: 1 } } } }\nlimits: { drain: { timeout: 0 } }`,
)

/** PUBLISH packets with the payloads `from` to `to` in one piece: the hub gathers them into one run. */
function run(topic: string, qos: number, from: number, to: number): Buffer {
  const packets = Array.from({ length: to - from + 1 }, (_, i) =>
    publish({ topic, payload: `${from + i}`, qos, packetId: from + i }),
  )
  return Buffer.concat(packets)
}

const upTo = (last: number): string[] => Array.from({ length: last }, (_, i) => `${i + 1}`)

/** Publishes to the client, which does not read, until its connection takes nothing more. */
async function block({ hub }: EmbeddedHub, client: RawClient, publisher: RawClient): Promise<void> {
  client.socket.pause()
  for (let i = 0; i < 200 && hub.clients['client']?.blocked !== true; i++)
    await publisher.publish({ topic: 'fill', payload: Buffer.alloc(30_000) })
  assert.equal(hub.clients['client']?.blocked, true)
}

/** Payloads of one topic among all that comes. */
async function heard(client: RawClient, topic: string): Promise<string[]> {
  client.socket.resume()
  const packets = await client.everything()
  return packets.flatMap(packet =>
    packet.type === 'publish' && packet.topic === topic ? [packet.payload.toString()] : [],
  )
}

suite('for a client whose connection takes nothing', () => {
  for (const [name, qos, runs] of [
    ['of a run of QoS 0 as many are kept as there is room for', 0, [[1, 25]]],
    ['of a run of QoS 1 for a subscription of QoS 0, too', 1, [[1, 25]]],
    ['the room that one run leaves is for the next', 0, [[1, 7], [8, 14], [15, 30]]], // biome-ignore format: pairs
    ['single messages fill it as well', 0, upTo(15).map(each => [Number(each), Number(each)])],
  ] as const) {
    test(name, async t => {
      const embedded = await embedHub(t, { config })
      const client = await embedded.connectStream('client')
      await client.subscribe(['fill', 0], ['t', 0])
      const publisher = await embedded.connectStream('publisher')
      await block(embedded, client, publisher)
      const { droppedQos0 } = embedded.hub.state.counters
      let sent = 0
      for (const [from, to] of runs as readonly (readonly [number, number])[]) {
        publisher.send(run('t', qos, from, to))
        await publisher.everything()
        sent = to
      }
      assert.equal(embedded.hub.state.counters.droppedQos0 - droppedQos0, sent - SIZE)
      assert.deepEqual(await heard(client, 't'), upTo(SIZE))
    })
  }
})

test('for a client that acknowledges nothing they wait behind the full window, as many as there is room for', async t => {
  const { hub, connect } = await embedHub(t, { config })
  const client = await connect('client')
  await client.subscribe(['t', 0], ['acknowledged', 1])
  const publisher = await connect('publisher')
  publisher.send(run('acknowledged', 1, 1, 8))
  for (let i = 0; i < 8; i++) await publisher.expect('puback')
  const session = hub.sessions.get('client')
  const waiting = session?.queued ?? 0
  assert.ok(waiting > 0, 'the window is not full')
  publisher.send(run('t', 0, 1, 30))
  await publisher.quiet()
  for (let i = 31; i <= 40; i++) await publisher.publish({ topic: 't', payload: `${i}` })
  assert.equal(session?.queued, waiting + SIZE)
  assert.equal(hub.state.counters.droppedQos0, 30)

  const acknowledged: string[] = []
  const others: string[] = []
  while (acknowledged.length < 8 || others.length < SIZE) {
    const packet = await client.expect('publish')
    if (packet.qos > 0) client.send(puback(packet.packetId))
    const into = packet.qos > 0 ? acknowledged : others
    into.push(packet.payload.toString())
  }
  assert.deepEqual(acknowledged, upTo(8))
  assert.deepEqual(others, upTo(SIZE))
  await client.quiet()
})

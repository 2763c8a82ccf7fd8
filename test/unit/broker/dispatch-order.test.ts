import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { type TestHub, useHub } from '../../support/hub.ts'
import { cutUp } from '../../support/packet-arbitraries.ts'
import { type PacketOf, puback, pubcomp, publish, pubrec, pubrel, type Qos, subscribe } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'

const TOPICS = ['a', 'a/b', 'c/d']

const message = fc.record({
  topic: fc.constantFrom(...TOPICS),
  qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
  /** How many alike follow one another: runs are what the data path gathers. */
  times: fc.integer({ min: 1, max: 40 }),
  size: fc.oneof(
    { weight: 8, arbitrary: fc.nat(60) },
    { weight: 1, arbitrary: fc.integer({ min: 8000, max: 12_000 }) },
  ),
  retain: fc.integer({ min: 0, max: 9 }).map(draw => draw === 0),
  dup: fc.integer({ min: 0, max: 9 }).map(draw => draw === 0),
  release: fc.boolean(),
})

interface Sent {
  topic: string
  payload: string
  qos: Qos
}

/** What a client that publishes all this puts on the wire, and what should arrive elsewhere. */
function script(messages: readonly (typeof message extends fc.Arbitrary<infer T> ? T : never)[]): {
  stream: Buffer
  sent: Sent[]
  ids: Record<Qos, number[]>
} {
  const packets: Buffer[] = []
  const sent: Sent[] = []
  const ids: Record<Qos, number[]> = { 0: [], 1: [], 2: [] }
  let packetId = 0
  for (const { topic, qos, times, size, retain, dup, release } of messages) {
    for (let i = 0; i < times; i++) {
      const payload = `${sent.length} ${'x'.repeat(size)}`
      packets.push(publish({ topic, payload, qos, retain, dup: dup && qos > 0, packetId: ++packetId }))
      sent.push({ topic, payload, qos })
      ids[qos].push(packetId)
      if (qos === 2 && release) packets.push(pubrel(packetId))
    }
  }
  return { stream: Buffer.concat(packets), sent, ids }
}

/** Takes messages until there are `count`, and acknowledges them in batches, the older ones first. */
async function collect(client: RawClient, count: number, batch: number): Promise<PacketOf<'publish'>[]> {
  const received: PacketOf<'publish'>[] = []
  let owed: Buffer[] = []
  let exchanges = 0
  while (received.length < count || exchanges > 0) {
    const packet = await client.next()
    if (packet.type === 'publish') {
      received.push(packet)
      if (packet.qos === 1) owed.push(puback(packet.packetId))
      else if (packet.qos === 2) {
        owed.push(pubrec(packet.packetId))
        exchanges++
      }
    } else {
      assert.equal(packet.type, 'pubrel')
      exchanges--
      client.send(pubcomp((packet as PacketOf<'pubrel'>).packetId))
    }
    if (owed.length >= batch || received.length === count) {
      if (owed.length > 0) client.send(Buffer.concat(owed))
      owed = []
    }
  }
  await client.quiet()
  return received
}

async function subscriber(hub: TestHub, t: Parameters<TestHub['connect']>[0], ...filters: [string, number][]) {
  const client = await hub.connect(t)
  client.send(subscribe(1, ...filters))
  await client.expect('suback')
  return client
}

suite('the order of messages', () => {
  const hub = useHub()

  test('is kept per topic for every subscriber, and the acknowledgements keep it too', {
    timeout: 120_000,
  }, async t => {
    let payloads = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { minLength: 1, maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 8000 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 60 }),
        async (messages, sizes, batch) => {
          const { stream, sent, ids } = script(messages)
          payloads += sent.length
          const receivers = await Promise.all([
            subscriber(hub, t, ['#', 0]),
            subscriber(hub, t, ['a/#', 0], ['#', 1]),
            subscriber(hub, t, ['#', 2], ['+/+', 0], ['a', 1]),
          ])
          const publisher = await hub.connect(t)
          const arrivals = receivers.map(client => collect(client, sent.length, batch))
          for (const piece of cutUp(stream, sizes)) {
            publisher.send(piece)
            await new Promise(resolve => setImmediate(resolve))
          }
          for (const [granted, arrival] of arrivals.entries()) {
            const received = await arrival
            for (const topic of TOPICS) {
              const expected = sent
                .filter(each => each.topic === topic)
                .map(({ payload, qos }) => ({ payload, qos: Math.min(qos, granted), retain: false, dup: false }))
              const actual = received
                .filter(each => each.topic === topic)
                .map(({ payload, qos, retain, dup }) => ({ payload: payload.toString(), qos, retain, dup }))
              assert.deepEqual(actual, expected)
            }
          }
          const answers = await publisher.everything()
          const answered = (type: string) =>
            answers.filter(each => each.type === type).map(each => (each as PacketOf<'puback'>).packetId)
          assert.deepEqual(answered('puback'), ids[1]) // [MQTT-4.6.0-2]
          assert.deepEqual(answered('pubrec'), ids[2]) // [MQTT-4.6.0-3]
          for (const client of receivers) client.destroy()
          // The next run begins with nothing retained.
          for (const topic of TOPICS) await publisher.publish({ topic, retain: true })
          publisher.destroy()
        },
      ),
      { numRuns: 40, endOnFailure: true },
    )
    assert.ok(payloads > 1000)
  })
})

/** Room: what happens when storage.max.bytes is reached, and how much memory long queues take. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { until } from '../support/embedded-hub.ts'
import { HubProcess, MIB, mib } from '../support/hub-process.ts'
import { connect, publish, subscribe } from '../support/packets.ts'
import { openRawClient, type RawClient } from '../support/raw-client.ts'
import { numbers, ranges, StoredHub } from '../support/stored-hub.ts'

const MAX_BYTES = 16 * MIB
const PAYLOAD = 30 * 1024
const PART = 40
/** A full database is compacted every ten seconds at most. */
const RECOVERY_MS = 30_000
/** On top of an idle hub: buffers of LevelDB, the tables it has read, and garbage. */
const MEMORY = 96 * MIB

/** What the hub says of its store. */
async function alarm(stored: StoredHub, clientId: string): Promise<string[]> {
  const client = await stored.guest(clientId)
  await client.subscribe([`$SYS/${stored.hub.id}/alarms/storage`, 0])
  const packets = await client.everything()
  return packets.map(packet => (packet.type === 'publish' && packet.retain ? packet.payload.toString() : packet.type))
}

/** Publishes large messages until one of them is not acknowledged; returns the numbers that were. */
async function fill(stored: StoredHub, publisher: RawClient): Promise<number[]> {
  const acknowledged: number[] = []
  for (let from = 0; from < 2000; from += PART) {
    const part = await stored.flood(publisher, { from, count: PART, bytes: PAYLOAD, random: true })
    acknowledged.push(...part)
    if (part.length < PART) return acknowledged
  }
  return assert.fail('the store is never full')
}

test('storage.max.bytes: refuses, lets consumers drain, recovers, and loses nothing that was acknowledged', async t => {
  const settings = { queueBytes: 1024 * MIB, queueMessages: 1_000_000 }
  const stored = await StoredHub.start(t, { settings, storage: { maxBytes: MAX_BYTES } })
  await stored.absent('device', ['flood/#', 2])
  const reader = await stored.guest('reader')
  await reader.subscribe(['#', 1])
  const publisher = await stored.guest('publisher')
  const acknowledged = await fill(stored, publisher)
  assert.ok(acknowledged.length > (MAX_BYTES - 8 * MIB) / PAYLOAD, `only ${acknowledged.length} messages were stored`)
  assert.equal(ranges(acknowledged), `0-${acknowledged.length - 1}`, 'what is acknowledged')
  const peak = await stored.usedBytes()
  assert.ok(peak < 2 * MAX_BYTES + 8 * MIB, `${mib(peak)} on disk, with what a compaction has twice`)
  await until(async () => (await stored.usedBytes()) < MAX_BYTES + 8 * MIB, 'the limit holds', RECOVERY_MS)
  assert.deepEqual(await alarm(stored, 'watch-full'), ['full'])
  assert.equal(stored.log.count('store.refuses'), 1, 'told once')
  assert.equal(ranges(await stored.drain(reader, 'reader')), ranges(acknowledged), 'nobody else gets what is refused')

  const other = await stored.guest('other')
  const { counters } = stored.hub.state
  const refused = counters.refused
  assert.equal(ranges(await stored.flood(other, { from: 9000, count: 3, qos: 2 })), '', 'QoS 2 is refused')
  assert.equal(counters.refused, refused + 3, 'counters.refused')
  const innocent = await stored.guest('innocent')
  await stored.flood(innocent, { from: 9100, count: 2, qos: 0 })
  assert.equal(ranges(await stored.flood(innocent, { topic: 'else', from: 9200, count: 2 })), '9200-9201')
  assert.equal(ranges(await stored.drain(reader, 'reader')), '9100-9101 9200-9201', 'what needs no room passes')

  const device = await stored.kept('device', true)
  assert.equal(ranges(await stored.drain(device, 'device')), ranges(acknowledged), 'what was acknowledged is there')
  await until(() => stored.hub.state.store?.blocked === null, 'there is room again', RECOVERY_MS)
  assert.deepEqual(await alarm(stored, 'watch-ok'), ['ok'])
  await publisher.closed()
  await other.closed()
  await innocent.quiet()

  const again = await stored.guest('publisher')
  const resent = await stored.flood(again, { from: acknowledged.length, count: 3, bytes: PAYLOAD, random: true })
  assert.equal(resent.length, 3, 'what is sent again is acknowledged')
  assert.equal(ranges(await stored.drain(device, 'device')), ranges(resent))
})

const skip = process.platform === 'linux' ? false : 'reads /proc'

suite('memory of a hub', { skip }, () => {
  test('20,000 messages for one absent session', async t => {
    const hub = await HubProcess.start(t, 'queue: { max: { messages: 100000, bytes: 64m } }')
    const open = (): Promise<RawClient> => openRawClient(t, { transport: 'tcp', host: '127.0.0.1', port: hub.port })
    const device = await open()
    await device.connect({ clientId: 'device', cleanSession: false })
    await device.subscribe(['flood', 1])
    await device.disconnect()
    const publisher = await open()
    await publisher.connect({ clientId: 'publisher' })
    const { memory: idle } = await hub.figures()
    const before = hub.rss
    hub.resetPeak()
    for (const part of numbers(0, 20)) {
      const packets = numbers(1, 1001).map(i =>
        publish({ topic: 'flood', payload: `${part}/${i}`.padEnd(1024, '.'), qos: 1, packetId: i }),
      )
      publisher.send(Buffer.concat(packets))
      for (const _ of packets) await publisher.expect('puback')
    }
    const grown = hub.peak - before
    const { memory } = await hub.figures()
    const held = memory.heapUsed + memory.arrayBuffers - idle.heapUsed - idle.arrayBuffers
    t.diagnostic(`at most ${mib(grown)} more, ${mib(held)} of it held`)
    assert.ok(grown < MEMORY, `${mib(grown)} more`)
    assert.ok(held < 4 * MIB, `${mib(held)} held`)
    await publisher.disconnect()
  })
})

test('2,000 absent sessions with a message each, then a restart', async t => {
  const stored = await StoredHub.start(t)
  const count = 2000
  const client = await stored.guest('publisher')
  for (let at = 0; at < count; at += 100) await Promise.all(numbers(at, at + 100).map(i => leaveSession(stored, i)))
  const packets = numbers(0, count).map(i => publish({ topic: `to/${i}`, payload: `${i}`, qos: 1, packetId: i + 1 }))
  client.send(Buffer.concat(packets))
  for (const _ of packets) await client.expect('puback')
  await stored.restart()
  assert.equal(stored.hub.sessions.size, count, 'sessions')
  for (const i of [0, 1, 999, 1998, 1999]) {
    const device = await stored.kept(`device-${i}`, true)
    assert.deepEqual(await stored.drain(device, `device-${i}`), [i])
  }
  await stored.settled()
  await stored.stop()
  const contents = await stored.contents()
  assert.equal(contents.count('q'), count - 5, 'messages')
  assert.equal(contents.count('s'), count, 'sessions')
})

async function leaveSession(stored: StoredHub, i: number): Promise<void> {
  const client = await stored.open()
  client.send(Buffer.concat([connect({ clientId: `device-${i}`, cleanSession: false }), subscribe(1, [`to/${i}`, 1])]))
  await client.expect('connack')
  await client.expect('suback')
  await client.disconnect()
}

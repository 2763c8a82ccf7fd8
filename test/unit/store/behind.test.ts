/** What others have to bear while much waits for one: memory, time, and the order of things. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { until } from '../../support/embedded-hub.ts'
import { publish } from '../../support/packets.ts'
import { SlowStore } from '../../support/slow-store.ts'
import { numbers, ranges } from '../../support/stored-hub.ts'

const KIB = 1024
const MIB = 1024 * KIB

suite('QoS 0 behind stored messages that wait on disk', () => {
  for (const limit of ['queueBytes', 'queueTotalBytes'] as const) {
    test(`takes no more memory than ${limit}, and none of their room`, async t => {
      const bytes = 600 * KIB
      const disk = await SlowStore.start(t, { settings: { window: 10, [limit]: bytes } })
      const { stored } = disk
      const { state } = stored.hub
      const device = await stored.kept('device', false)
      await device.subscribe(['flood/#', 1])
      const publisher = await stored.guest('publisher')
      await stored.flood(publisher, { count: 1000, single: true })
      const session = stored.hub.sessions.get('device')
      assert.ok((session?.log?.disk.count ?? 0) > 0, 'some wait on disk only')
      await stored.flood(publisher, { from: 2000, count: 100, qos: 0, bytes: 30 * KIB })
      assert.ok(state.waitingBytes > bytes / 2, `only ${state.waitingBytes} bytes wait`)
      assert.ok(state.waitingBytes <= bytes, `${state.waitingBytes} bytes wait`)
      assert.ok(state.counters.droppedQos0 >= 80, `only ${state.counters.droppedQos0} were dropped`)

      const received = await stored.drain(device, 'device')
      assert.equal(ranges(received.filter(i => i < 2000)), '0-999', 'stored messages')
      assert.equal(ranges(received.slice(0, 1000)), '0-999', 'none of QoS 0 overtakes them')
      assert.equal(received.length + state.counters.droppedQos0, 1100, 'each is either received or counted')
      assert.equal(state.counters.droppedQueued, 0, 'counters.droppedQueued')
      assert.equal(state.waitingBytes, 0, 'all memory is given back')
    })
  }

  test('is forgotten, with its memory, when the client goes', async t => {
    const disk = await SlowStore.start(t, { settings: { window: 10 } })
    const { stored } = disk
    const { state } = stored.hub
    const device = await stored.kept('device', false)
    await device.subscribe(['flood/#', 1])
    const publisher = await stored.guest('publisher')
    await stored.flood(publisher, { count: 1000, single: true })
    await stored.flood(publisher, { from: 2000, count: 20, qos: 0, bytes: 10 * KIB })
    assert.ok(state.waitingBytes > 200 * KIB, `only ${state.waitingBytes} bytes wait`)
    await disk.cut(device, 'device')
    await stored.settled()
    assert.equal(state.waitingBytes, 0, 'bytes that wait')
    assert.equal(ranges(await stored.drain(await stored.kept('device', true), 'device')), '0-999')
  })
})

test('a slow disk keeps nobody waiting but who writes to it', async t => {
  const disk = await SlowStore.start(t)
  const { stored } = disk
  await stored.absent('device', ['big', 1])
  const reader = await stored.guest('reader')
  await reader.subscribe(['small', 1])
  const flooder = await stored.guest('flooder')
  const publisher = await stored.guest('publisher')
  await stored.settled()
  disk.hold()
  const count = 400
  const packets = numbers(0, count).map(i =>
    publish({ topic: 'big', payload: Buffer.alloc(30 * KIB), qos: 1, packetId: i + 1 }),
  )
  flooder.send(Buffer.concat(packets))
  const { store, counters } = stored.hub.state
  await disk.underWay()
  await until(() => store?.isCongested === true, 'more waits than may be')

  for (const qos of [0, 1]) {
    await publisher.publish({ topic: 'small', payload: `${qos}`, qos })
    assert.equal((await reader.receive()).payload.toString(), `${qos}`)
  }
  const late = await stored.guest('late')
  await late.subscribe(['small', 0])
  await publisher.quiet()
  assert.ok(counters.messagesReceived < count / 2, `${counters.messagesReceived} messages of a flood are read`)
  assert.ok((store?.commit.pendingBytes ?? 0) < 6 * MIB, `${store?.commit.pendingBytes} bytes wait to be written`)
  disk.release()
  for (const i of numbers(0, count)) assert.equal((await flooder.expect('puback')).packetId, i + 1)
})

test('a message for many full queues does not have each of them read', async t => {
  const limit = 320
  const disk = await SlowStore.start(t, { settings: { queueMessages: limit } })
  const { stored } = disk
  const ids = numbers(0, 20).map(i => `device-${i}`)
  for (const id of ids) await stored.absent(id, ['flood/#', 1])
  const publisher = await stored.guest('publisher')
  await stored.flood(publisher, { count: limit, single: true })
  const before = disk.scans
  const more = 100
  for (const i of numbers(limit, limit + more)) await stored.flood(publisher, { from: i, count: 1, single: true })
  const scans = disk.scans - before
  assert.ok(scans < (more * ids.length) / 4, `${scans} scans for ${more} messages and ${ids.length} queues`)
  for (const id of ids.slice(0, 3)) {
    const received = await stored.drain(await stored.kept(id, true), id)
    assert.equal(ranges(received), `${more}-${limit + more - 1}`, `the newest wait for ${id}, as many as may`)
  }
})

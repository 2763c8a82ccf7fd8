/** What is kept for a time only: messages for message.ingress.qos1.cleanup.retention, sessions for session.expiry. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../support/embedded-hub.ts'
import { publish } from '../support/packets.ts'
import { numbers, ranges, StoredHub } from '../support/stored-hub.ts'

const RETENTION_MS = 600
const RETENTION = { retentionMs: RETENTION_MS, cleanupIntervalMs: 50 }
const EXPIRY_MS = 600

suite('retention', { concurrency: true }, () => {
  for (const single of [false, true]) {
    test(`${single ? 'single messages' : 'runs'}: older messages are gone, also from disk, newer ones stay`, async t => {
      const stored = await StoredHub.start(t, { settings: RETENTION })
      await stored.absent('device', ['flood/#', 1])
      await stored.absent('other', ['flood/#', 1])
      const publisher = await stored.guest('publisher')
      await stored.flood(publisher, { count: 700, single })
      await sleep(RETENTION_MS / 2)
      await stored.flood(publisher, { from: 700, count: 5, single })
      const { counters } = stored.hub.state
      await until(() => counters.droppedExpired >= 1400, 'old messages are dropped')
      assert.equal(counters.droppedExpired, 1400, 'counters.droppedExpired')
      assert.equal(counters.droppedQueued, 0, 'counters.droppedQueued')
      const device = await stored.kept('device', true)
      assert.equal(ranges(await stored.drain(device, 'device')), '700-704')
      await until(() => counters.droppedExpired === 1405, 'the others are dropped too')
      await stored.stop()
      assert.equal((await stored.contents()).count('qm'), 0, 'nothing is left on disk')
    })
  }

  test('the time that the hub does not run counts', async t => {
    const stored = await StoredHub.start(t, { settings: { ...RETENTION, cleanupIntervalMs: 60_000 } })
    await stored.absent('device', ['flood', 1])
    await stored.flood(await stored.guest('publisher'), { count: 300 })
    await stored.stop()
    await sleep(RETENTION_MS)
    await stored.start({ settings: { ...RETENTION, cleanupIntervalMs: 60_000 } })
    await stored.flood(await stored.guest('publisher'), { from: 300, count: 5 })
    const { counters } = stored.hub.state
    await until(() => counters.droppedExpired === 300, 'what is too old is dropped at the start')
    const device = await stored.kept('device', true)
    assert.equal(ranges(await stored.drain(device, 'device')), '300-304')
  })

  test('what was published shortly before a restart stays as long as it should', async t => {
    const settings = { retentionMs: 2000, cleanupIntervalMs: 50 }
    const stored = await StoredHub.start(t, { settings })
    await stored.absent('device', ['flood', 1])
    const at = Date.now()
    await stored.flood(await stored.guest('publisher'), { count: 300 })
    await stored.restart()
    await sleep(500)
    assert.equal(stored.hub.state.counters.droppedExpired, 0, 'too early')
    await until(() => stored.hub.state.counters.droppedExpired > 0, 'they are dropped')
    assert.ok(Date.now() - at >= 2000, `dropped after ${Date.now() - at} ms already`)
    await until(() => stored.hub.state.counters.droppedExpired === 300, 'all are dropped')
  })

  test('a client that is connected and acknowledges late gets what is in flight, and the window goes on', async t => {
    const stored = await StoredHub.start(t, { settings: { ...RETENTION, window: 10 } })
    const device = await stored.kept('device', false)
    await device.subscribe(['flood', 1])
    const publisher = await stored.guest('publisher')
    await stored.flood(publisher, { count: 2000 })
    const { counters } = stored.hub.state
    await until(() => counters.droppedExpired > 0, 'what waits on disk is dropped')
    const received = await stored.drain(device, 'device')
    assert.equal(received.length + counters.droppedExpired, 2000, 'each is either received or counted')
    assert.deepEqual(received.slice(0, 10), numbers(0, 10), 'what was in flight')
    await stored.flood(publisher, { from: 5000, count: 3 })
    assert.equal(ranges(await stored.drain(device, 'device')), '5000-5002')
  })
})

suite('session.expiry', { concurrency: true }, () => {
  const settings = { sessionExpiryMs: EXPIRY_MS }

  test('an absent session goes, with all that is on disk of it; a connected one stays', async t => {
    const stored = await StoredHub.start(t, { settings })
    const here = await stored.kept('here', false)
    await here.subscribe(['flood/#', 1])
    for (const id of ['gone', 'gone-too']) await stored.absent(id, ['flood/#', 1], ['more', 2])
    // A receipt of the session is stored as well.
    const sender = await stored.kept('sender', false)
    sender.send(publish({ topic: 'flood/qos2', payload: '0', qos: 2, packetId: 7 }))
    await sender.expect('pubrec')
    sender.destroy()
    await stored.flood(await stored.guest('publisher'), { from: 1, count: 700, single: true })
    assert.equal(ranges(await stored.drain(here, 'here')), '0-700')
    await until(() => stored.hub.sessions.get('gone') === undefined, 'an absent session ends')
    await until(() => stored.log.count('session.expired') === 3, 'all absent sessions end')
    await stored.flood(await stored.guest('publisher-2'), { from: 701, count: 2 })
    assert.equal(ranges(await stored.drain(here, 'here')), '701-702', 'the connected session goes on')
    await stored.kept('gone', false)
    await stored.settled()
    await stored.stop()
    const contents = await stored.contents()
    assert.equal(contents.count('qmki'), 0, 'no message, cursor or receipt is left')
    assert.equal(contents.count('f'), 1, 'subscriptions')
    assert.equal(contents.count('s'), 2, 'sessions: the connected and the new one')
  })

  test('it is counted from the disconnect, across a restart', async t => {
    const stored = await StoredHub.start(t, { settings })
    await stored.absent('device', ['flood', 1])
    await stored.flood(await stored.guest('publisher'), { count: 3 })
    await stored.stop()
    await sleep(EXPIRY_MS)
    await stored.start()
    const startedAt = performance.now()
    await until(() => stored.hub.sessions.get('device') === undefined, 'the session ends')
    assert.ok(performance.now() - startedAt < EXPIRY_MS - 100, 'counted from the start')
    await stored.kept('device', false)
    await stored.settled()
    await stored.stop()
    const contents = await stored.contents()
    assert.equal(contents.count('qmkf'), 0, 'nothing is left of it')
    assert.equal(contents.count('s'), 1, 'sessions: the new one')
  })

  test('a client that comes back in time begins it anew, and who was connected at the end left then', async t => {
    const stored = await StoredHub.start(t, { settings })
    await stored.absent('device', ['flood', 1])
    await sleep(EXPIRY_MS / 2)
    await stored.kept('device', true)
    await sleep(EXPIRY_MS / 2 + 200)
    await stored.restart()
    await sleep(EXPIRY_MS / 2)
    await stored.kept('device', true)
  })

  test('by default there is none, and expiry does not touch what is younger', async t => {
    const stored = await StoredHub.start(t)
    await stored.absent('device', ['flood', 1])
    assert.equal(stored.hub.state.settings.sessionExpiryMs, null)
    await stored.stop()
    await sleep(EXPIRY_MS)
    await stored.start({ settings: { sessionExpiryMs: 60_000 } })
    await sleep(200)
    await stored.kept('device', true)
  })
})

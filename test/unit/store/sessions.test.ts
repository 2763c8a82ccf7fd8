/** Sessions that begin, end and expire while a client of theirs is being let in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { turns, until } from '../../support/embedded-hub.ts'
import { connect } from '../../support/packets.ts'
import { SlowStore } from '../../support/slow-store.ts'
import { numbers } from '../../support/stored-hub.ts'

const EXPIRY_MS = 100

test('a CONNECT that waits for its kept session is overtaken by one with Clean Session: nothing of it stays', async t => {
  const disk = await SlowStore.start(t)
  const { stored } = disk
  const device = await stored.kept('device', false)
  await device.subscribe(['flood/#', 1])
  await stored.flood(await stored.guest('publisher'), { count: 1 })
  await disk.cut(device, 'device')
  await stored.settled()
  disk.holdReads()
  const slow = await stored.open()
  slow.send(connect({ clientId: 'device', cleanSession: false }))
  await disk.reading()
  const fast = await stored.open()
  fast.send(connect({ clientId: 'device' }))
  await slow.closed()
  disk.release()
  assert.equal((await fast.expect('connack')).sessionPresent, false)
  // The overtaken one has read what it was about to read.
  for (const _ of numbers(0, 5)) await disk.settledKeys('q')
  assert.equal(
    stored.hub.sessions.get('device'),
    stored.hub.clients['device']?.session,
    'the session of who is connected',
  )
  await fast.subscribe(['else', 1])
  await stored.leave(fast, 'device')
  const later = await stored.kept('device', false) // what was with Clean Session is gone
  assert.deepEqual([...(stored.hub.sessions.get('device')?.subscriptions.keys() ?? [])], [])
  assert.deepEqual(await later.everything(), [])
  assert.deepEqual(
    stored.log.lines.filter(line => line.level === 'error'),
    [],
    'nothing went wrong',
  )
  await disk.restart()
  assert.equal(await disk.settledKeys('qmkf'), 0, 'nothing of the first session is left on disk')
  assert.equal(await disk.keys('s'), 1, 'sessions')
})

test('a session does not expire between CONNECT and CONNACK', async t => {
  const disk = await SlowStore.start(t, { settings: { sessionExpiryMs: EXPIRY_MS } })
  const { stored } = disk
  await stored.absent('device', ['flood', 1])
  let answer: (() => void) | undefined
  stored.hub.authorizeSubscribe = (_client, subscription, done) => {
    answer = () => done(null, subscription)
  }
  const device = await stored.open()
  device.send(connect({ clientId: 'device', cleanSession: false }))
  await until(() => answer !== undefined, 'the hook is asked')
  // One that goes after it tells how late it is.
  await stored.leave(await stored.kept('witness', false), 'witness')
  await until(() => stored.hub.sessions.get('witness') === undefined, 'the other session expires')
  answer?.()
  assert.equal((await device.expect('connack')).sessionPresent, true)
  assert.equal(stored.log.count('session.expired'), 1, 'the other session alone')
  const publisher = await stored.guest('publisher')
  assert.deepEqual(await stored.flood(publisher, { count: 1 }), [0])
  assert.equal((await device.receive()).payload.toString(), '0')
})

for (const isNew of [true, false]) {
  test(`${isNew ? 'a new' : 'an old'} session whose client gives up before CONNACK expires`, async t => {
    const disk = await SlowStore.start(t, { settings: { sessionExpiryMs: EXPIRY_MS } })
    const { stored } = disk
    const isThere = (): boolean => stored.hub.sessions.get('device') !== undefined
    const device = await stored.open()
    if (isNew) {
      disk.hold()
      device.send(connect({ clientId: 'device', cleanSession: false }))
      await disk.underWay()
    } else {
      const before = await stored.kept('device', false)
      await before.subscribe(['flood', 1])
      await stored.flood(await stored.guest('publisher'), { count: 1 })
      await disk.cut(before, 'device')
      await stored.settled()
      disk.holdReads()
      device.send(connect({ clientId: 'device', cleanSession: false }))
      await disk.reading()
    }
    assert.equal(isThere(), true)
    await disk.cut(device, 'device')
    disk.release()
    await until(() => !isThere(), 'the session expires')
    await until(() => stored.log.count('session.expired') > 0, 'it is logged')
    await turns(20)
    await disk.restart()
    assert.equal(await disk.settledKeys('sqf'), 0, 'nothing of it is left on disk')
  })
}

/** Messages on their way to a client that goes, and comes back, while the disk is still at work. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { turns, until } from '../../support/embedded-hub.ts'
import { connect, publish } from '../../support/packets.ts'
import { SlowStore } from '../../support/slow-store.ts'
import { ranges } from '../../support/stored-hub.ts'

test('a client that comes back while its message is being written gets it again, and so after a restart', async t => {
  const disk = await SlowStore.start(t)
  const { stored } = disk
  const device = await stored.kept('device', false)
  await device.subscribe(['flood', 1])
  const publisher = await stored.guest('publisher')
  const other = await stored.open()
  await stored.settled()
  disk.hold()
  // The session of somebody else is being written; the message goes with the batch behind it.
  other.send(connect({ clientId: 'other', cleanSession: false }))
  await disk.underWay()
  publisher.send(publish({ topic: 'flood', payload: 'message', qos: 1, packetId: 7 }))
  const first = await device.expect('publish')
  assert.deepEqual([first.payload.toString(), first.dup], ['message', false], 'delivered while it is written')
  await disk.cut(device, 'device')
  await disk.step()

  const back = await stored.open()
  back.send(connect({ clientId: 'device', cleanSession: false }))
  await until(() => stored.hub.clients['device'] !== undefined, 'the client is back')
  await turns(50)
  disk.release()
  assert.equal((await back.expect('connack')).sessionPresent, true)
  assert.deepEqual(await back.expect('publish'), { ...first, dup: true }, 'after the reconnect [MQTT-4.4.0-1]')
  assert.equal((await publisher.expect('puback')).packetId, 7)
  await other.expect('connack')
  await stored.settled()
  await disk.restart()
  const later = await stored.kept('device', true)
  assert.deepEqual(await later.expect('publish'), { ...first, dup: true }, 'after the restart')
  assert.equal(stored.log.count('store.messages.lost'), 0)
})

test('a client that goes while a QoS 2 message waits for its identifier finds all that waited, in order', async t => {
  const disk = await SlowStore.start(t)
  const { stored } = disk
  await stored.absent('other', ['one', 1])
  const device = await stored.kept('device', false)
  await device.subscribe(['two', 2], ['one', 0], ['three', 1])
  const publisher = await stored.guest('publisher')
  await stored.settled()
  disk.hold()
  publisher.send(publish({ topic: 'two', payload: '0', qos: 2, packetId: 1 }))
  await disk.underWay()
  await disk.step() // the message is stored; now the identifier that the client is to have it with is
  publisher.send(
    publish({ topic: 'one', payload: '1', qos: 1, packetId: 2 }),
    publish({ topic: 'three', payload: '2', qos: 1, packetId: 3 }),
  )
  await until(() => stored.hub.state.counters.messagesReceived === 3, 'the hub has all messages')
  assert.deepEqual(await device.everything(), [], 'none overtakes the one that is held')
  await disk.cut(device, 'device')
  disk.release()
  assert.equal((await publisher.expect('pubrec')).packetId, 1)
  for (const packetId of [2, 3]) assert.equal((await publisher.expect('puback')).packetId, packetId)
  assert.equal(stored.hub.connectedClients, 1, 'connected clients')
  assert.equal(stored.log.count('connection.crashed'), 0)

  const back = await stored.kept('device', true)
  assert.equal(ranges(await stored.drain(back, 'device')), '0-2')
  assert.equal(await stored.drain(await stored.kept('other', true), 'other').then(ranges), '1')
  assert.equal(await disk.settledKeys('qmk'), 0, 'nothing is left on disk')
})

test('a client that goes while it is let in loses nothing of what it had unacknowledged', async t => {
  const disk = await SlowStore.start(t)
  const { stored } = disk
  const device = await stored.kept('device', false)
  await device.subscribe(['flood/#', 1])
  const publisher = await stored.guest('publisher')
  await stored.flood(publisher, { count: 20, single: true })
  await disk.cut(device, 'device')
  await stored.settled()
  disk.holdReads()
  const hasty = await stored.open()
  hasty.send(connect({ clientId: 'device', cleanSession: false }))
  await disk.reading()
  await stored.flood(publisher, { from: 20, count: 5, single: true })
  await disk.cut(hasty, 'device')
  disk.release()
  await stored.flood(publisher, { from: 25, count: 5, single: true })
  await disk.restart()
  assert.equal(ranges(await stored.drain(await stored.kept('device', true), 'device')), '0-29')
  assert.equal(stored.log.count('store.messages.lost'), 0)
})

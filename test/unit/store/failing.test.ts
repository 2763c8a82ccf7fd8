/** A disk that fails: what goes on, what waits, and that all is as it should be when it works again. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { until } from '../../support/embedded-hub.ts'
import { publish, pubrel, subscribe } from '../../support/packets.ts'
import { SlowStore } from '../../support/slow-store.ts'
import { numbers, ranges } from '../../support/stored-hub.ts'

const WILL_BYTES = 50_000
/** Acknowledgements of which more are asked for than are kept for a client. */
const TOO_MANY = 300_000
const ANSWER_BYTES = 4

suite('while nothing can be written', () => {
  test('a client that connects over and over does not fill the memory', async t => {
    const disk = await SlowStore.start(t)
    const { stored } = disk
    await disk.failNow()
    const { store } = stored.hub.state
    const before = store?.commit.pendingBytes ?? 0
    for (const i of numbers(0, 40)) {
      const will = { topic: 'wills', payload: `${i}`.padEnd(WILL_BYTES, '.'), qos: 1 }
      const mortal = await stored.guest('mortal', { will })
      mortal.destroy()
      await until(() => stored.hub.clients['mortal'] === undefined, 'the client has gone')
    }
    const more = (store?.commit.pendingBytes ?? 0) - before
    assert.ok(more < 2 * WILL_BYTES, `${more} bytes wait to be written`)
    await disk.heal()
    assert.equal(store?.commit.pendingBytes, 0)
  })

  test('a client that asks for answers without end gets only so many', async t => {
    const disk = await SlowStore.start(t)
    const { stored } = disk
    const client = await stored.kept('client', false)
    await disk.failNow()
    client.send(Buffer.concat(numbers(0, TOO_MANY).map(() => pubrel(9))))
    assert.deepEqual(await client.everything(), [], 'the answers wait')
    const { counters } = stored.hub.state
    const before = counters.bytesSent
    await disk.heal()
    await until(() => counters.bytesSent - before > 4000, 'the answers come')
    await stored.settled()
    assert.ok(counters.bytesSent - before < TOO_MANY * ANSWER_BYTES, 'no answer was thrown away')
  })

  test('clean sessions and their messages go on as ever', async t => {
    const disk = await SlowStore.start(t)
    const { stored } = disk
    await stored.absent('device', ['kept', 1])
    const early = await stored.guest('early')
    await disk.failNow()
    const late = await stored.guest('late')
    await late.subscribe(['flood', 2])
    for (const publisher of [early, await stored.guest('later')]) {
      await publisher.publish({ topic: 'flood', payload: 'x', qos: 2 })
      assert.equal((await late.receive()).payload.toString(), 'x')
    }
    early.send(publish({ topic: 'kept', payload: 'x', qos: 1 }))
    assert.deepEqual(await early.everything(), [], 'what must be stored is not acknowledged')
    await disk.heal()
    await early.closed() // so that it sends again
    await late.quiet()
  })

  test('a consumer that comes back and subscribes gets all that waits; SUBACK comes when it is stored', async t => {
    const disk = await SlowStore.start(t)
    const { stored } = disk
    await stored.absent('device', ['flood/#', 1])
    const publisher = await stored.guest('publisher')
    await stored.flood(publisher, { count: 500, single: true })
    await disk.failNow()
    const device = await stored.kept('device', true)
    device.send(subscribe(1, ['flood/#', 1], ['more', 1]))
    assert.equal(ranges(await stored.drain(device, 'device')), '0-499')
    await device.quiet()
    await disk.heal()
    assert.deepEqual(await device.expect('suback'), { type: 'suback', packetId: 1, returnCodes: [1, 1] })
    await disk.restart()
    const back = await stored.kept('device', true)
    assert.deepEqual(await back.everything(), [], 'what was acknowledged does not come again')
    const { subscriptions } = stored.hub.sessions.get('device') ?? {}
    assert.deepEqual([...(subscriptions?.keys() ?? [])].sort(), ['flood/#', 'more'])
    assert.equal(await disk.settledKeys('qmk'), 0, 'nothing is left on disk')
  })
})

suite('the write that fails first', () => {
  test('does not stop a consumer whose SUBSCRIBE is in it', async t => {
    const disk = await SlowStore.start(t)
    const { stored } = disk
    await stored.absent('device', ['flood/#', 1])
    const publisher = await stored.guest('publisher')
    await stored.flood(publisher, { count: 500, single: true })
    const device = await stored.kept('device', true)
    await stored.settled()
    disk.fail()
    device.send(subscribe(1, ['more', 1]))
    await until(() => stored.hub.state.store?.blocked === 'failed', 'the disk fails')
    assert.equal(ranges(await stored.drain(device, 'device')), '0-499')
    await disk.heal()
    assert.deepEqual(await device.expect('suback'), { type: 'suback', packetId: 1, returnCodes: [1] })
  })

  test('refuses the session that was to be stored with it, and leaves nothing of it', async t => {
    const disk = await SlowStore.start(t)
    const { stored } = disk
    disk.fail()
    const refused = await stored.open()
    assert.equal((await refused.connect({ clientId: 'device', cleanSession: false })).returnCode, 3)
    await refused.closed()
    assert.equal(stored.hub.sessions.get('device'), undefined)
    await disk.heal()
    await stored.kept('device', false)
  })
})

suite('while something can not be read', () => {
  test('a client whose session it is gets CONNACK 3, and everything when it comes again', async t => {
    const disk = await SlowStore.start(t)
    const { stored } = disk
    const device = await stored.kept('device', false)
    await device.subscribe(['flood/#', 1])
    const publisher = await stored.guest('publisher')
    await stored.flood(publisher, { count: 400, single: true })
    await disk.cut(device, 'device')
    await stored.settled()
    // The first entry of the window; one in the midst of it; what waits behind the window.
    for (const [tries, good] of [0, 50, 102].entries()) {
      disk.failReads(1, good)
      const refused = await stored.open()
      assert.equal((await refused.connect({ clientId: 'device', cleanSession: false })).returnCode, 3)
      await refused.closed()
      assert.equal(stored.log.count('session.unreadable'), tries + 1, 'it is logged')
    }
    const back = await stored.kept('device', true)
    assert.equal(ranges(await stored.drain(back, 'device')), '0-399')
    assert.equal(stored.log.count('store.messages.lost'), 0)
    assert.equal(await disk.settledKeys('qmk'), 0, 'nothing is left on disk')
  })

  test('a client that is there gets its message a little later, without another to wake it', async t => {
    const disk = await SlowStore.start(t)
    const { stored } = disk
    const device = await stored.kept('device', false)
    await device.subscribe(['flood', 2])
    const publisher = await stored.guest('publisher')
    disk.failReads(1)
    publisher.send(publish({ topic: 'flood', payload: '0', qos: 2, packetId: 1 }))
    assert.equal((await publisher.expect('pubrec')).packetId, 1)
    assert.equal((await device.receive()).payload.toString(), '0')
    assert.equal(stored.log.count('store.read.failed'), 1, 'it is logged')
  })
})

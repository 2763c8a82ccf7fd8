/** The broker that messages come from goes and comes back: what it sends again is not a new message. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { FakeBroker, FakeConnection } from '../support/bridge-fake.ts'
import { lineOf, sentLines } from '../support/bridge-packets.ts'
import { oneRule, Stage, type TestBridge } from '../support/bridge-stage.ts'
import { puback, pubcomp, publish, pubrec, pubrel } from '../support/packets.ts'
import type { Cleanup } from '../support/raw-client.ts'

const DIRECTIONS = ['out', 'in'] as const

interface Scene {
  bridge: TestBridge
  source: FakeBroker
  target: FakeBroker
  from: FakeConnection
  to: FakeConnection
  /** The source cuts its connection. */
  cut: () => Promise<void>
}

async function scene(t: Cleanup, direction: 'out' | 'in'): Promise<Scene> {
  const stage = new Stage(t)
  const [hub, remote] = [await stage.fake(), await stage.fake()]
  const [source, target] = direction === 'out' ? [hub, remote] : [remote, hub]
  const subscriptions = [{ topic: 't/#', qos: 2 }]
  const bridge = await stage.connectedBridge(oneRule(hub.address, remote.address, { [direction]: subscriptions }))
  const [from, to] = [await source.ready(), await target.next()]
  source.manners.sessionPresent = true
  const side = direction === 'out' ? 'hub' : 'remote'
  const cut = async (): Promise<void> => {
    await source.turnOff()
    await bridge.until(() => bridge.link(side).phase !== 'connected', 'the source is away')
  }
  return { bridge, source, target, from, to, cut }
}

const message = (packetId: number, payload: string, more: object = {}): Buffer =>
  publish({ topic: 't/1', payload, qos: 1, packetId, ...more })

for (const direction of DIRECTIONS) {
  suite(`the source comes back, ${direction}`, () => {
    test('what is still on its way is not published twice', async t => {
      const { source, from, to, cut } = await scene(t, direction)
      from.send(message(7, 'seven'), message(8, 'eight'))
      await to.messages(2)
      await cut()
      await source.turnOn()
      const again = await source.ready()
      again.send(message(7, 'seven', { dup: true }), message(8, 'eight', { dup: true }), message(9, 'nine'))
      assert.deepEqual(sentLines(await to.messages(1)), ['t/1 1 nine'], 'only what is new')
      await again.nothing(50)
      to.send(puback(8), puback(7), puback(9))
      assert.deepEqual(
        [await again.expect('puback'), await again.expect('puback'), await again.expect('puback')],
        [
          { type: 'puback', packetId: 8 },
          { type: 'puback', packetId: 7 },
          { type: 'puback', packetId: 9 },
        ],
      )
    })

    test('what the target has acknowledged meanwhile is acknowledged at once', async t => {
      const { bridge, source, from, to, cut } = await scene(t, direction)
      from.send(message(7, 'seven'))
      await to.messages(1)
      await cut()
      to.send(puback(7))
      await bridge.until(() => bridge.flow(direction).inFlight === 0, 'the target has acknowledged')
      await source.turnOn()
      const again = await source.ready()
      again.send(message(7, 'seven', { dup: true }))
      assert.equal((await again.expect('puback')).packetId, 7)
      again.send(message(7, 'another'))
      assert.deepEqual(sentLines(await to.messages(1)), ['t/1 1 another'], 'the identifier is free again')
    })

    test('QoS 2 is taken up where it was', async t => {
      const { bridge, source, from, to, cut } = await scene(t, direction)
      for (const packetId of [1, 2, 3]) from.send(message(packetId, `${packetId}`, { qos: 2 }))
      await to.messages(3)
      to.send(pubrec(1), pubrec(2))
      await from.expect('pubrec')
      await from.expect('pubrec')
      from.send(pubrel(1))
      await to.expect('pubrel')
      await cut()
      to.send(pubcomp(1))
      await bridge.until(() => bridge.flow(direction).acknowledged >= 1, 'the first is complete')
      await source.turnOn()
      const again = await source.ready()
      // 1 and 2: PUBREL is sent again, or for the first time. 3 has not been received.
      again.send(pubrel(1), pubrel(2), message(3, '3', { qos: 2, dup: true }))
      assert.deepEqual(await again.expect('pubcomp'), { type: 'pubcomp', packetId: 1 })
      assert.deepEqual(await to.expect('pubrel'), { type: 'pubrel', packetId: 2 })
      to.send(pubcomp(2), pubrec(3))
      assert.deepEqual(await again.expect('pubcomp'), { type: 'pubcomp', packetId: 2 })
      assert.deepEqual(await again.expect('pubrec'), { type: 'pubrec', packetId: 3 })
      await to.nothing(50)
    })

    test('a source that has forgotten begins anew: its identifiers stand for other messages', async t => {
      const { source, from, to, cut } = await scene(t, direction)
      from.send(message(7, 'old'))
      assert.equal((await to.expect('publish')).packetId, 7)
      await cut()
      source.manners.sessionPresent = false
      await source.turnOn()
      const again = await source.ready()
      again.send(message(7, 'new'))
      const next = await to.expect('publish')
      assert.equal(lineOf(next), 't/1 1 new')
      assert.notEqual(next.packetId, 7, '7 is taken at the target')
      to.send(puback(7))
      await again.nothing(100)
      to.send(puback(next.packetId))
      assert.equal((await again.expect('puback')).packetId, 7)
    })

    test('both come back: each message is there, and acknowledged once', async t => {
      const { source, target, from, to, cut } = await scene(t, direction)
      from.send(message(1, '1'), message(2, '2'))
      await to.messages(2)
      target.manners.sessionPresent = true
      await target.turnOff()
      await cut()
      await source.turnOn()
      const again = await source.ready()
      again.send(message(1, '1', { dup: true }), message(2, '2', { dup: true }), message(3, '3'))
      await target.turnOn()
      const back = await target.next()
      const messages = await back.messages(3)
      assert.deepEqual(
        messages.map(({ payload }) => payload.toString()),
        ['1', '2', '3'],
      )
      back.send(...messages.map(({ packetId }) => puback(packetId)))
      for (const packetId of [1, 2, 3]) assert.deepEqual(await again.expect('puback'), { type: 'puback', packetId })
      await again.nothing(50)
      await back.nothing(50)
    })

    test('DUP while the connection stands is no new message either', async t => {
      const { from, to } = await scene(t, direction)
      from.send(message(7, 'seven'))
      await to.messages(1)
      from.send(message(7, 'seven', { dup: true }))
      await to.nothing(100)
      to.send(puback(7))
      assert.equal((await from.expect('puback')).packetId, 7)
      await from.nothing(50)
    })
  })
}

suite('both directions of one rule', () => {
  test('use the same identifiers and do not mix them up', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.fake(), await stage.fake()]
    const flows = { out: [{ topic: 'up/#', qos: 2 }], in: [{ topic: 'down/#', qos: 2 }] }
    await stage.connectedBridge(oneRule(hub.address, remote.address, flows))
    const [local, far] = [await hub.ready(), await remote.ready()]
    for (const qos of [1, 2]) {
      local.publish({ topic: 'up/1', payload: 'up', qos, packetId: 5 })
      far.publish({ topic: 'down/1', payload: 'down', qos, packetId: 5 })
      assert.equal(lineOf(await far.expect('publish')), `up/1 ${qos} up`)
      assert.equal(lineOf(await local.expect('publish')), `down/1 ${qos} down`)
      far.send(qos === 1 ? puback(5) : pubrec(5))
      assert.deepEqual(await local.next(), { type: qos === 1 ? 'puback' : 'pubrec', packetId: 5 })
      await far.nothing(50)
      local.send(qos === 1 ? puback(5) : pubrec(5))
      assert.deepEqual(await far.next(), { type: qos === 1 ? 'puback' : 'pubrec', packetId: 5 })
      if (qos === 1) continue
      for (const [here, there] of [
        [local, far],
        [far, local],
      ] as const) {
        here.send(pubrel(5))
        assert.deepEqual(await there.next(), { type: 'pubrel', packetId: 5 })
        there.send(pubcomp(5))
        assert.deepEqual(await here.next(), { type: 'pubcomp', packetId: 5 })
      }
    }
  })
})

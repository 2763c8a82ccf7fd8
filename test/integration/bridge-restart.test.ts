/** A bridge that ends in the middle and begins anew knows nothing: the brokers do, and nothing is lost or doubled that need not be. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { FakeBroker, FakeConnection } from '../support/bridge-fake.ts'
import { lineOf } from '../support/bridge-packets.ts'
import { type BridgeLines, oneRule, Stage } from '../support/bridge-stage.ts'
import { puback, pubcomp, publish, pubrec, pubrel } from '../support/packets.ts'
import type { Cleanup } from '../support/raw-client.ts'

interface Scene {
  stage: Stage
  source: FakeBroker
  target: FakeBroker
  lines: BridgeLines
}

async function scene(t: Cleanup): Promise<Scene> {
  const stage = new Stage(t)
  const [source, target] = [await stage.fake(), await stage.fake()]
  const lines = oneRule(source.address, target.address, { out: [{ topic: 't/#', qos: 2 }] })
  return { stage, source, target, lines }
}

/** Runs a bridge until `during` is over, then ends it. */
async function during(all: Scene, what: (from: FakeConnection, to: FakeConnection) => Promise<void>): Promise<void> {
  const bridge = await all.stage.connectedBridge(all.lines)
  await what(await all.source.ready(), await all.target.next())
  await bridge.stop()
  all.source.manners.sessionPresent = true
  all.target.manners.sessionPresent = true
}

const message = (packetId: number, qos: number, dup = false): Buffer =>
  publish({ topic: 't/1', payload: `${packetId}`, qos, packetId, dup })

suite('between two brokers that keep their sessions', () => {
  test('QoS 1: what the source repeats goes on with the same identifier', async t => {
    const all = await scene(t)
    await during(all, async (from, to) => {
      from.send(message(7, 1))
      await to.messages(1)
    })
    await during(all, async (from, to) => {
      from.send(message(7, 1, true))
      const again = await to.expect('publish')
      assert.deepEqual([again.packetId, again.payload.toString()], [7, '7'])
      to.send(puback(7))
      assert.equal((await from.expect('puback')).packetId, 7)
    })
  })

  test('QoS 2: PUBLISH that is repeated has its identifier, by which the target knows it', async t => {
    const all = await scene(t)
    await during(all, async (from, to) => {
      from.send(message(7, 2))
      await to.messages(1)
      to.send(pubrec(7)) // and the bridge ends
    })
    await during(all, async (from, to) => {
      from.send(message(7, 2, true))
      const again = await to.next()
      assert.ok(again.type === 'publish', `no ${again.type} before it, which would make a new message of it`)
      assert.deepEqual([again.packetId, again.qos], [7, 2])
      to.send(pubrec(7))
      assert.equal((await from.expect('pubrec')).packetId, 7)
      from.send(pubrel(7))
      assert.equal((await to.expect('pubrel')).packetId, 7)
      to.send(pubcomp(7))
      assert.equal((await from.expect('pubcomp')).packetId, 7)
    })
  })

  test('QoS 2: PUBREL of what an earlier bridge began goes on to the target', async t => {
    const all = await scene(t)
    await during(all, async (from, to) => {
      from.send(message(7, 2))
      await to.messages(1)
      to.send(pubrec(7))
      await from.expect('pubrec')
    })
    await during(all, async (from, to) => {
      from.send(pubrel(7))
      assert.equal((await to.expect('pubrel')).packetId, 7)
      await from.nothing(50)
      to.send(pubcomp(7))
      assert.equal((await from.expect('pubcomp')).packetId, 7)
    })
  })
})

suite('exactly once, to mosquitto and to a hub', () => {
  for (const kind of ['mosquitto', 'hub'] as const) {
    for (const told of [true, false]) {
      test(`${kind}: the source ${told ? 'had PUBREC' : 'had no PUBREC'} when the bridge ended`, async t => {
        const stage = new Stage(t)
        const source = await stage.fake({ sessionPresent: true })
        const target = kind === 'hub' ? await stage.hub() : await stage.mosquitto()
        const reader = await target.client({}, ['#', 2])
        const lines = oneRule(source.address, target.address, { out: [{ topic: 't/#', qos: 2 }] })
        const first = await stage.connectedBridge(lines)
        const from = await source.ready()
        from.send(message(7, 2))
        await from.expect('pubrec')
        await first.stop()
        // A broker that was not told, or that the packet did not reach, sends PUBLISH again.
        await stage.connectedBridge(lines)
        const again = await source.ready()
        if (!told) {
          again.send(message(7, 2, true))
          assert.equal((await again.expect('pubrec')).packetId, 7)
        }
        again.send(pubrel(7))
        assert.equal((await again.expect('pubcomp')).packetId, 7)
        assert.deepEqual(await reader.until(1), ['t/1 2 7'])
        again.send(message(7, 2))
        assert.equal((await again.expect('pubrec')).packetId, 7)
        again.send(pubrel(7))
        assert.equal((await again.expect('pubcomp')).packetId, 7)
        assert.deepEqual(await reader.until(2), ['t/1 2 7', 't/1 2 7'], 'once, and the next with that identifier')
      })
    }
  }

  test('an identifier that an earlier bridge left half used does not swallow another message', async t => {
    const stage = new Stage(t)
    const source = await stage.fake()
    const target = await stage.mosquitto()
    const reader = await target.client({}, ['#', 2])
    const lines = oneRule(source.address, target.address, { out: [{ topic: 't/#', qos: 2 }] })
    const first = await stage.connectedBridge(lines)
    const from = await source.ready()
    from.publish({ topic: 't/1', payload: 'old', qos: 2, packetId: 7 })
    await from.expect('pubrec')
    await first.stop()
    // The source has forgotten all, and begins with its identifiers anew.
    await stage.connectedBridge(lines)
    const again = await source.ready()
    again.publish({ topic: 't/1', payload: 'new', qos: 2, packetId: 7 })
    assert.equal((await again.expect('pubrec')).packetId, 7)
    again.send(pubrel(7))
    assert.equal((await again.expect('pubcomp')).packetId, 7)
    await reader.until(1)
    const came = reader.lines
    assert.equal(came.filter(line => line.endsWith('new')).length, 1, came.join())
    assert.ok(came.length <= 2, came.join())
  })
})

suite('a hub in front', () => {
  test('what was published while no bridge ran is there when one does, in order, once', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.hub(), await stage.mosquitto()]
    const lines = oneRule(hub.address, remote.address, { out: [{ topic: 't/#', qos: 1 }] })
    const first = await stage.connectedBridge(lines)
    await first.stop()
    const writer = await hub.client()
    const reader = await remote.client({}, ['#', 1])
    const payloads = Array.from({ length: 500 }, (_, i) => `${i}`)
    await writer.publishAll('t/1', 1, payloads)
    await stage.connectedBridge(lines)
    await reader.until(500)
    await writer.publish({ topic: 't/1', payload: 'end', qos: 1 })
    const came = await reader.untilPayload('end')
    assert.deepEqual(
      came,
      payloads.map(payload =>
        lineOf({ topic: 't/1', qos: 1, payload: Buffer.from(payload), dup: false, retain: false }),
      ),
    )
  })
})

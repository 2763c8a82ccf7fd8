/** Messages that a bridge has brought somewhere do not come back by it. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { BridgeClient } from '../support/bridge-client.ts'
import { startShield } from '../support/bridge-shield.ts'
import { oneRule, type RuleLines, Stage, type TestBridge } from '../support/bridge-stage.ts'
import type { Cleanup } from '../support/raw-client.ts'

const BOTH = [{ topic: 't/#', qos: 1 }]

type Kind = 'hub' | 'mosquitto' | 'refuse' | 'close' | 'forget'

const KINDS: readonly [kind: Kind, what: string][] = [
  ['hub', 'a hub'],
  ['mosquitto', 'mosquitto'],
  ['refuse', 'a broker that refuses bridges'],
  ['close', 'a broker that closes on bridges'],
]

interface Scene {
  bridge: TestBridge
  local: BridgeClient
  far: BridgeClient
}

/** The address of a remote, its port, and the same for the port of the broker behind. */
async function remoteOf(stage: Stage, kind: Kind): Promise<{ address: string; port: number }> {
  if (kind === 'hub') return stage.hub()
  const { port, address } = await stage.mosquitto()
  if (kind === 'mosquitto') return { address, port }
  return { address: `tcp://127.0.0.1:${await startShield(stage, kind, port)}`, port }
}

/** The same filter on both sides of one remote, and a client at each end that sees all. */
async function scene(t: Cleanup, kind: Kind, filters = BOTH): Promise<Scene> {
  const stage = new Stage(t)
  const hub = await stage.hub()
  const remote = await remoteOf(stage, kind)
  const bridge = await stage.connectedBridge(oneRule(hub.address, remote.address, { out: filters, in: filters }))
  return { bridge, local: await hub.client({}, ['#', 1]), far: await clientOf(stage, remote.port) }
}

async function clientOf(stage: Stage, port: number): Promise<BridgeClient> {
  const client = await BridgeClient.connect(port, { clientId: 'far' })
  stage.after(() => client.destroy())
  await client.subscribe(['#', 1])
  return client
}

/** A message of its own each way; then whatever came back by itself is there. */
async function settle({ local, far }: Scene): Promise<{ atHub: string[]; atRemote: string[] }> {
  const atHub: string[] = []
  const atRemote: string[] = []
  for (const round of [1, 2]) {
    await local.publish({ topic: 't/end', payload: `up ${round}`, qos: 1 })
    atRemote.push(...(await far.untilPayload(`up ${round}`)))
    await far.publish({ topic: 't/end', payload: `down ${round}`, qos: 1 })
    atHub.push(...(await local.untilPayload(`down ${round}`)))
  }
  const isOther = (line: string): boolean => !/^t\/end 1 (up|down)/.test(line)
  return { atHub: atHub.filter(isOther), atRemote: atRemote.filter(isOther) }
}

for (const [kind, what] of KINDS) {
  suite(`the same filter on both sides of ${what}`, () => {
    test('a message arrives once on the other side and does not come back', async t => {
      const all = await scene(t, kind)
      await all.local.publish({ topic: 't/up', payload: 'm', qos: 1 })
      await all.far.publish({ topic: 't/down', payload: 'm', qos: 1 })
      const { atHub, atRemote } = await settle(all)
      assert.deepEqual(atHub.sort(), ['t/down 1 m', 't/up 1 m'])
      assert.deepEqual(atRemote.sort(), ['t/down 1 m', 't/up 1 m'])
      // The message and two sentinels, each way.
      const figures = (): number[] => [all.bridge.flow('out').acknowledged, all.bridge.flow('in').acknowledged]
      await all.bridge.until(() => figures().every(count => count >= 3), 'all are acknowledged')
      assert.deepEqual(figures(), [3, 3])
    })

    test('QoS 0, too', async t => {
      const all = await scene(t, kind)
      await all.local.publish({ topic: 't/up', payload: 'm' })
      await all.far.publish({ topic: 't/down', payload: 'm' })
      const { atHub, atRemote } = await settle(all)
      assert.deepEqual(atHub.sort(), ['t/down 0 m', 't/up 0 m'])
      assert.deepEqual(atRemote.sort(), ['t/down 0 m', 't/up 0 m'])
    })

    test('the same message published many times by a client is forwarded each time', async t => {
      const all = await scene(t, kind)
      const same = Array.from({ length: 200 }, () => 'the same')
      await Promise.all([all.local.publishAll('t/1', 1, same), all.far.publishAll('t/1', 1, same)])
      const { atHub, atRemote } = await settle(all)
      assert.deepEqual([atHub.length, atRemote.length], [400, 400], 'its own and those of the other side')
    })

    test('retained messages are forwarded and do not come back when the bridge connects again', async t => {
      const stage = new Stage(t)
      const hub = await stage.hub()
      const remote = await remoteOf(stage, kind)
      const lines = oneRule(hub.address, remote.address, { out: BOTH, in: BOTH })
      const local = await hub.client({}, ['#', 1])
      const far = await clientOf(stage, remote.port)
      await local.publish({ topic: 't/up', payload: 'kept', qos: 1, retain: true })
      await far.publish({ topic: 't/down', payload: 'kept', qos: 1, retain: true })
      const bridge = await stage.connectedBridge(lines)
      await settle({ bridge, local, far })
      await bridge.stop()
      const second = await stage.connectedBridge(lines)
      const { atHub, atRemote } = await settle({ bridge: second, local, far })
      // Each side sends what it retains when it is subscribed to: to the other side, where it goes no further.
      assert.ok(
        atHub.length <= 2 && atRemote.length <= 2,
        `${atHub.join()} at the hub, ${atRemote.join()} at the remote`,
      )
    })
  })
}

/** Nothing can be dropped before it is clear that the broker does so: a message that is lost is worse than one that comes twice. */
suite('the same filter on both sides of a broker that takes a bridge for any other client', () => {
  for (const qos of [0, 1]) {
    test(`the first three messages of QoS ${qos} come back once, the others do not, and it is said`, async t => {
      const { bridge, local, far } = await scene(t, 'forget')
      const copies: number[] = []
      const atRemote: string[] = []
      for (let i = 0; i < 8; i++) {
        await local.publish({ topic: 't/up', payload: `up ${i}`, qos })
        atRemote.push(...(await far.untilPayload(`up ${i}`)))
        await far.publish({ topic: 't/down', payload: `down ${i}`, qos })
        const lines = await local.untilPayload(`down ${i}`)
        copies.push(lines.filter(line => line.endsWith(`up ${i}`)).length)
      }
      assert.deepEqual(copies, [2, 2, 2, 1, 1, 1, 1, 1])
      assert.equal(bridge.log.find(['warn'], 'link.not_private').length, 1, bridge.log.toString())
      assert.equal(bridge.link('remote').isPrivate, false)
      assert.deepEqual(
        atRemote.filter(line => line.includes('up')),
        [],
        'nothing comes back to the remote',
      )
    })
  }

  test('the same message published many times by a client is forwarded each time', async t => {
    const all = await scene(t, 'forget')
    const same = Array.from({ length: 200 }, () => 'the same')
    await Promise.all([all.local.publishAll('t/1', 1, same), all.far.publishAll('t/1', 1, same)])
    const { atHub, atRemote } = await settle(all)
    assert.ok(atHub.length >= 400 && atHub.length <= 600, `${atHub.length} at the hub: some came back, none is missing`)
    assert.equal(atRemote.length, 400)
  })

  test('retained messages come back at most once when the bridge connects again', async t => {
    const stage = new Stage(t)
    const hub = await stage.hub()
    const remote = await remoteOf(stage, 'forget')
    const lines = oneRule(hub.address, remote.address, { out: BOTH, in: BOTH })
    const [local, far] = [await hub.client({}, ['#', 1]), await clientOf(stage, remote.port)]
    await local.publish({ topic: 't/up', payload: 'kept', qos: 1, retain: true })
    await far.publish({ topic: 't/down', payload: 'kept', qos: 1, retain: true })
    for (const round of [1, 2]) {
      const bridge = await stage.connectedBridge(lines)
      const { atHub, atRemote } = await settle({ bridge, local, far })
      const counts = `round ${round}: ${atHub.join()} at the hub, ${atRemote.join()} at the remote`
      assert.ok(atHub.length <= 4 && atRemote.length <= 4, counts)
      await bridge.stop()
    }
  })

  for (const retain of [false, true]) {
    test(`a ${retain ? 'retained' : 'single'} message between two of them does not run in a circle for ever`, async t => {
      const stage = new Stage(t)
      const [near, remote] = [await remoteOf(stage, 'forget'), await remoteOf(stage, 'forget')]
      const bridge = await stage.connectedBridge(oneRule(near.address, remote.address, { out: BOTH, in: BOTH }))
      const client = await BridgeClient.connect(near.port, { clientId: 'near' })
      stage.after(() => client.destroy())
      await client.publish({ topic: 't/1', payload: 'round', qos: 1, retain })
      const count = (): number => bridge.flow('out').forwarded
      await bridge.until(() => bridge.log.find(['warn'], 'link.not_private').length > 0, 'it is said', 30_000)
      await bridge.until(() => bridge.flow('out').dropped.echo + bridge.flow('in').dropped.echo > 0, 'it is cut')
      const before = count()
      await new Promise(resolve => setTimeout(resolve, 300))
      assert.equal(count(), before, 'the message still runs')
      await client.publish({ topic: 't/2', payload: 'of its own', qos: 1 })
      await bridge.until(() => count() === before + 1, 'another one is forwarded')
    })
  }
})

suite('two rules of one remote that make a circle', () => {
  for (const kind of ['mosquitto', 'forget'] as const) {
    test(`with ${kind}: the message does not circulate, and a warning names both`, async t => {
      const stage = new Stage(t)
      const hub = await stage.hub()
      const remote = await remoteOf(stage, kind)
      const rules: RuleLines[] = [
        { name: 'upward', hub: { clientid: 'a', subscriptions: BOTH }, remote: { name: 'cloud', clientid: 'a' } },
        { name: 'downward', hub: { clientid: 'b' }, remote: { name: 'cloud', clientid: 'b', subscriptions: BOTH } },
      ]
      const bridge = await stage.connectedBridge({
        hub: { address: hub.address },
        remotes: [{ name: 'cloud', address: remote.address }],
        rules,
      })
      const local = await hub.client({}, ['#', 1])
      const far = await clientOf(stage, remote.port)
      await local.publish({ topic: 't/1', payload: 'round', qos: 1 })
      await far.until(1)
      // Time for a thousand rounds; a message that goes round does not stop by itself.
      await new Promise(resolve => setTimeout(resolve, 700))
      const counts = [local.messages.length, far.messages.length]
      assert.ok(
        counts.every(count => count >= 1 && count <= 3),
        `${counts.join(' and ')} copies at the hub and at the remote`,
      )
      const warnings = bridge.log.find(['warn'], 'upward', 'downward')
      assert.equal(warnings.length, 1, bridge.log.toString())
      await far.publish({ topic: 't/2', payload: 'of its own', qos: 1 })
      await local.untilPayload('of its own')
    })
  }

  test('with topics that are rewritten there is no circle, and nothing is held back', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.hub(), await stage.mosquitto()]
    const flows = {
      out: [{ topic: 't/#', qos: 1, target: { topic: 'site/{#}' } }],
      in: [{ topic: 't/#', qos: 1 }],
    }
    const bridge = await stage.connectedBridge(oneRule(hub.address, remote.address, flows))
    const [local, far] = [await hub.client({}, ['#', 1]), await remote.client({}, ['site/#', 1])]
    await far.publish({ topic: 't/1', payload: 'm', qos: 1 })
    assert.deepEqual(await local.until(1), ['t/1 1 m'])
    await local.publish({ topic: 't/1', payload: 'm', qos: 1 })
    assert.deepEqual(await far.until(1), ['site/1 1 m'])
    assert.equal(bridge.flow('out').dropped.echo, 0)
  })
})

suite('over two bridges', () => {
  test('hub, remote and another hub: what goes up from one comes down to the other, once', async t => {
    const stage = new Stage(t)
    const [one, two, remote] = [await stage.hub(), await stage.hub(), await stage.mosquitto()]
    for (const hub of [one, two]) {
      const lines = oneRule(hub.address, remote.address, { out: BOTH, in: BOTH })
      const rules = lines.rules.map(rule => ({ ...rule, remote: { ...rule.remote, clientid: `site-${hub.port}` } }))
      await stage.connectedBridge({ ...lines, rules })
    }
    const [here, there] = [await one.client({}, ['#', 1]), await two.client({}, ['#', 1])]
    for (let i = 0; i < 20; i++) {
      await here.publish({ topic: 't/1', payload: `from here ${i}`, qos: 1 })
      await there.publish({ topic: 't/1', payload: `from there ${i}`, qos: 1 })
    }
    await Promise.all([here.until(40), there.until(40)])
    await here.publish({ topic: 't/1', payload: 'end', qos: 1 })
    assert.equal((await there.untilPayload('end')).length, 40)
    await there.publish({ topic: 't/1', payload: 'END', qos: 1 })
    assert.equal((await here.untilPayload('END')).length, 41)
  })
})

/** A configuration that is replaced while messages pass: only links that change are touched. And the end. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { FakeBroker, FakeConnection } from '../support/bridge-fake.ts'
import { sentLines } from '../support/bridge-packets.ts'
import {
  type BridgeLines,
  type RuleLines,
  Stage,
  type SubscriptionLines,
  type TestBridge,
} from '../support/bridge-stage.ts'
import { puback } from '../support/packets.ts'
import type { Cleanup } from '../support/raw-client.ts'

type Lines = Readonly<Record<string, unknown>>

/** A rule whose client identifiers and filters begin with its name. */
function rule(
  name: string,
  more: { out?: readonly SubscriptionLines[]; in?: readonly SubscriptionLines[] } = {},
): RuleLines {
  return {
    name,
    hub: { clientid: `${name}-hub`, subscriptions: more.out ?? [{ topic: `${name}/up/#`, qos: 1 }] },
    remote: {
      name: 'cloud',
      clientid: `${name}-remote`,
      subscriptions: more.in ?? [{ topic: `${name}/down/#`, qos: 1 }],
    },
  }
}

interface Scene {
  bridge: TestBridge
  hub: FakeBroker
  remote: FakeBroker
  lines: (rules: readonly RuleLines[], remote?: Lines, more?: Partial<BridgeLines>) => BridgeLines
}

async function scene(t: Cleanup, rules: readonly RuleLines[], more: Partial<BridgeLines> = {}): Promise<Scene> {
  const stage = new Stage(t)
  const [hub, remote] = [await stage.fake(), await stage.fake()]
  const lines: Scene['lines'] = (next, remoteLines = {}, others = {}) => ({
    hub: { address: hub.address },
    remotes: [{ name: 'cloud', address: remote.address, ...remoteLines }],
    rules: next,
    ...more,
    ...others,
  })
  const bridge = await stage.connectedBridge(lines(rules))
  return { bridge, hub, remote, lines }
}

/** The connection that stands of a client. */
function of(broker: FakeBroker, clientId: string): FakeConnection {
  const found = broker.standing.find(({ packets, connect }) => packets.length > 0 && connect.clientId === clientId)
  assert.ok(found !== undefined, `${clientId} is not connected`)
  return found
}

const counts = ({ hub, remote }: Scene): number[] => [hub.connections.length, remote.connections.length]

/** A message goes up by a rule, and is acknowledged. */
async function assertForwards({ hub, remote }: Scene, name: string, topic = `${name}/up/1`): Promise<void> {
  const [from, to] = [of(hub, `${name}-hub`), of(remote, `${name}-remote`)]
  from.publish({ topic, payload: 'm', qos: 1, packetId: 321 })
  const message = await to.expect('publish')
  assert.equal(message.topic, topic)
  to.send(puback(message.packetId))
  assert.equal((await from.expect('puback')).packetId, 321)
}

suite('reload', () => {
  test('nothing changes: nothing is touched', async t => {
    const all = await scene(t, [rule('a'), rule('b')])
    await all.bridge.reload(all.lines([rule('a'), rule('b')]))
    await assertForwards(all, 'a')
    await assertForwards(all, 'b')
    assert.deepEqual(counts(all), [2, 2])
    assert.equal(of(all.hub, 'a-hub').all('subscribe').length, 1)
  })

  test('a rule more, and a rule less: the others stay, and the one that goes says goodbye', async t => {
    const all = await scene(t, [rule('a'), rule('b')])
    const [hubLink, remoteLink] = [of(all.hub, 'b-hub'), of(all.remote, 'b-remote')]
    await all.bridge.reload(all.lines([rule('a'), rule('b'), rule('c')]))
    await all.bridge.connected()
    assert.deepEqual(counts(all), [3, 3])
    await assertForwards(all, 'c')
    await all.bridge.reload(all.lines([rule('c'), rule('a')]))
    for (const link of [hubLink, remoteLink]) {
      await link.closed()
      assert.equal(link.packets.at(-1)?.type, 'disconnect')
    }
    assert.deepEqual(
      all.bridge.service
        .figures()
        .rules.map(({ name }) => name)
        .sort(),
      ['a', 'c'],
    )
    await assertForwards(all, 'a')
    await assertForwards(all, 'c')
    assert.deepEqual(counts(all), [3, 3])
  })

  test('filters come and go on links that stand', async t => {
    const all = await scene(t, [rule('a', { out: [{ topic: 'a/up/#', qos: 1 }, { topic: 'old/#' }] })])
    const link = of(all.hub, 'a-hub')
    const before = link.all('subscribe').length
    const next = rule('a', {
      out: [
        { topic: 'new/#', qos: 1 },
        { topic: 'a/up/#', qos: 1 },
      ],
    })
    await all.bridge.reload(all.lines([next]))
    await link.until(() => link.all('subscribe').length > before && link.all('unsubscribe').length >= 1, 'both')
    assert.deepEqual(
      link.all('unsubscribe').flatMap(({ filters }) => [...filters]),
      ['old/#'],
    )
    assert.deepEqual(
      link
        .all('subscribe')
        .slice(before)
        .flatMap(({ subscriptions }) => [...subscriptions]),
      [['new/#', 1]],
    )
    await assertForwards(all, 'a')
    await assertForwards(all, 'a', 'new/1')
    assert.deepEqual(counts(all), [1, 1])
  })

  test('another QoS of the same filter is subscribed to', async t => {
    const all = await scene(t, [rule('a')])
    const link = of(all.hub, 'a-hub')
    await all.bridge.reload(all.lines([rule('a', { out: [{ topic: 'a/up/#', qos: 2 }] })]))
    await link.until(() => link.all('subscribe').length >= 2, 'SUBSCRIBE')
    assert.deepEqual(link.all('subscribe')[1]?.subscriptions, [['a/up/#', 2]])
    assert.deepEqual(counts(all), [1, 1])
  })

  test('another target takes effect at once, without a packet', async t => {
    const all = await scene(t, [rule('a')])
    const target = { topic: 'else/{#}' }
    await all.bridge.reload(all.lines([rule('a', { out: [{ topic: 'a/up/#', qos: 1, target }] })]))
    const [from, to] = [of(all.hub, 'a-hub'), of(all.remote, 'a-remote')]
    from.publish({ topic: 'a/up/1', payload: 'm', qos: 1, packetId: 1 })
    assert.equal((await to.expect('publish')).topic, 'else/1')
    assert.deepEqual(counts(all), [1, 1])
    assert.equal(from.all('subscribe').length, 1)
  })

  test('a remote that changes connects anew, its hub side and other remotes do not', async t => {
    const stage = new Stage(t)
    const [hub, first, second] = [await stage.fake(), await stage.fake(), await stage.fake()]
    const lines = (username: string): BridgeLines => ({
      hub: { address: hub.address },
      remotes: [
        { name: 'cloud', address: first.address, username },
        { name: 'other', address: second.address },
      ],
      rules: [rule('a'), { ...rule('b'), remote: { ...rule('b').remote, name: 'other' } }],
    })
    const bridge = await stage.connectedBridge(lines('one'))
    await first.next()
    await bridge.reload(lines('two'))
    assert.equal((await first.next()).connect.username, 'two')
    await bridge.connected()
    assert.deepEqual([hub.connections.length, first.connections.length, second.connections.length], [2, 2, 1])
  })

  test('what is on its way when a remote changes is sent to it again', async t => {
    const all = await scene(t, [rule('a')])
    const [from, to] = [of(all.hub, 'a-hub'), of(all.remote, 'a-remote')]
    for (const packetId of [1, 2]) from.publish({ topic: 'a/up/1', payload: `${packetId}`, qos: 1, packetId })
    await to.messages(2)
    await all.bridge.reload(all.lines([rule('a')], { keepalive: '30s' }))
    await to.closed()
    await all.remote.next()
    const again = await all.remote.next()
    assert.equal(again.connect.keepAlive, 30)
    const messages = await again.messages(2)
    assert.deepEqual(sentLines(messages), ['a/up/1 1 1 DUP', 'a/up/1 1 2 DUP'])
    again.send(puback(1), puback(2))
    assert.deepEqual([(await from.expect('puback')).packetId, (await from.expect('puback')).packetId], [1, 2])
  })

  test('another window of a remote takes effect', async t => {
    const all = await scene(t, [rule('a')])
    const to = of(all.remote, 'a-remote')
    await all.bridge.reload(all.lines([rule('a')], { buffersize: 2 }))
    await to.closed()
    await all.bridge.connected()
    await all.remote.next()
    const [from, again] = [of(all.hub, 'a-hub'), await all.remote.next()]
    for (const packetId of [1, 2, 3]) from.publish({ topic: 'a/up/1', payload: `${packetId}`, qos: 1, packetId })
    await again.messages(2)
    await again.nothing(100)
    assert.equal(all.hub.connections.length, 1)
  })

  test('reloads one upon the other: the last counts', async t => {
    const all = await scene(t, [rule('a')])
    await Promise.all([
      all.bridge.reload(all.lines([rule('a'), rule('b')])),
      all.bridge.reload(all.lines([rule('b'), rule('c')])),
      all.bridge.reload(all.lines([rule('a'), rule('c')])),
    ])
    await all.bridge.connected()
    assert.deepEqual(
      all.bridge.service
        .figures()
        .rules.map(({ name }) => name)
        .sort(),
      ['a', 'c'],
    )
    await assertForwards(all, 'a')
    await assertForwards(all, 'c')
    assert.deepEqual(all.hub.standing.map(({ connect }) => connect.clientId).sort(), ['a-hub', 'c-hub'])
  })

  test('figures of a rule that stays go on', async t => {
    const all = await scene(t, [rule('a')])
    await assertForwards(all, 'a')
    await all.bridge.reload(all.lines([rule('a'), rule('b')]))
    await assertForwards(all, 'a')
    assert.equal(all.bridge.flow('out', 'a').acknowledged, 2)
  })
})

suite('stop', () => {
  test('waits for acknowledgements of what is on its way, and takes nothing more', async t => {
    const all = await scene(t, [rule('a')], { shutdown: { timeout: '20s' } })
    const [from, to] = [of(all.hub, 'a-hub'), of(all.remote, 'a-remote')]
    for (const packetId of [1, 2]) from.publish({ topic: 'a/up/1', payload: `${packetId}`, qos: 1, packetId })
    await to.messages(2)
    let isOver = false
    const stopped = all.bridge.stop().then(() => {
      isOver = true
    })
    to.send(puback(1))
    assert.equal((await from.expect('puback')).packetId, 1)
    await to.nothing(200)
    assert.equal(isOver, false, 'one is still on its way')
    to.send(puback(2))
    assert.equal((await from.expect('puback')).packetId, 2)
    await stopped
    for (const link of [from, to]) {
      await link.closed()
      assert.equal(link.packets.at(-1)?.type, 'disconnect')
    }
  })

  test('ends at shutdown.timeout when they do not come', async t => {
    const all = await scene(t, [rule('a')], { shutdown: { timeout: '300ms' } })
    const [from, to] = [of(all.hub, 'a-hub'), of(all.remote, 'a-remote')]
    from.publish({ topic: 'a/up/1', payload: 'm', qos: 1, packetId: 1 })
    await to.messages(1)
    const began = performance.now()
    await all.bridge.stop()
    const ms = performance.now() - began
    assert.ok(ms > 250 && ms < 5000, `stopped after ${ms} ms`)
    await Promise.all([from.closed(), to.closed()])
    assert.equal(from.all('puback').length, 0, 'nothing is acknowledged that the remote has not')
  })

  test('is quick when nothing is on its way, and when nobody is there', async t => {
    const all = await scene(t, [rule('a')])
    await all.remote.turnOff()
    await all.bridge.until(() => all.bridge.link('remote', 'a').phase === 'waiting', 'the remote is away')
    of(all.hub, 'a-hub').publish({ topic: 'a/up/1', payload: 'waits', qos: 1, packetId: 1 })
    const began = performance.now()
    await all.bridge.stop()
    await all.bridge.stop()
    assert.ok(performance.now() - began < 5000, `stopped after ${performance.now() - began} ms`)
  })
})

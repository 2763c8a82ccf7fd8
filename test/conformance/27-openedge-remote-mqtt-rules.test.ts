/** The remote client as OpenEdge has it: rules that know nothing of each other, and what is better now. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { FakeBroker } from '../support/bridge-fake.ts'
import { oneRule, type RuleLines, Stage, type SubscriptionLines } from '../support/bridge-stage.ts'
import { ownHubOnly } from '../support/hub.ts'
import type { Cleanup } from '../support/raw-client.ts'

const ALL: readonly SubscriptionLines[] = [{ topic: 't/#', qos: 1 }]

interface Fakes {
  stage: Stage
  hub: FakeBroker
  remote: FakeBroker
}

async function fakes(t: Cleanup): Promise<Fakes> {
  const stage = new Stage(t)
  return { stage, hub: await stage.fake(), remote: await stage.fake() }
}

suite('rules', { skip: ownHubOnly }, () => {
  test('several rules and remotes in one process, each with its own way', async t => {
    const stage = new Stage(t)
    const [hub, first, second] = [await stage.hub(), await stage.mosquitto(), await stage.hub()]
    const rule = (remote: string, name: string): RuleLines => ({
      name,
      hub: { clientid: name, subscriptions: [{ topic: `${name}/up`, qos: 1 }] },
      remote: { name: remote, clientid: name, subscriptions: [{ topic: `${name}/down`, qos: 1 }] },
    })
    await stage.connectedBridge({
      hub: { address: hub.address },
      remotes: [
        { name: 'first', address: first.address },
        { name: 'second', address: second.address },
      ],
      rules: [rule('first', 'a'), rule('first', 'b'), rule('second', 'c')],
    })
    const local = await hub.client({}, ['+/down', 1])
    const [at1, at2] = [await first.client({}, ['+/up', 1]), await second.client({}, ['+/up', 1])]
    for (const name of ['a', 'b', 'c']) await local.publish({ topic: `${name}/up`, payload: name, qos: 1 })
    assert.deepEqual((await at1.until(2)).sort(), ['a/up 1 a', 'b/up 1 b'])
    assert.deepEqual(await at2.until(1), ['c/up 1 c'])
    for (const name of ['a', 'b', 'c']) {
      await at1.publish({ topic: `${name}/down`, payload: `1${name}`, qos: 1 })
      await at2.publish({ topic: `${name}/down`, payload: `2${name}`, qos: 1 })
    }
    assert.deepEqual((await local.until(3)).sort(), ['a/down 1 1a', 'b/down 1 1b', 'c/down 1 2c'])
  })

  test('starts with neither side reachable, and begins when they are', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.hub(), await stage.mosquitto()]
    await hub.stop()
    await remote.stop()
    const bridge = await stage.bridge(oneRule(hub.address, remote.address, { out: ALL }))
    await bridge.until(() => bridge.rule().links.every(({ phase }) => phase === 'waiting'), 'both have failed')
    await remote.start()
    await bridge.until(() => bridge.link('remote').phase === 'connected', 'the remote is connected')
    await hub.start()
    await bridge.connected()
    const reader = await remote.client({}, ['#', 1])
    await (await hub.client()).publish({ topic: 't/1', payload: 'm', qos: 1 })
    assert.deepEqual(await reader.until(1), ['t/1 1 m'])
  })

  test('a subscription that the remote refuses: the other direction, and the other filters, go on', async t => {
    const { stage, hub, remote } = await fakes(t)
    remote.manners.suback = (filter, qos) => (filter === 'no/#' ? 0x80 : qos)
    const bridge = await stage.connectedBridge(
      oneRule(hub.address, remote.address, { out: ALL, in: [{ topic: 'no/#', qos: 1 }, { topic: 'yes/#' }] }),
    )
    const [source, target] = [await hub.next(), await remote.next()]
    source.publish({ topic: 't/1', payload: 'm', qos: 1, packetId: 9 })
    assert.equal((await target.expect('publish')).topic, 't/1')
    target.publish({ topic: 'yes/1', payload: 'm' })
    assert.equal((await source.expect('publish')).topic, 'yes/1')
    assert.deepEqual(bridge.link('remote').refused, ['no/#'])
    assert.deepEqual(bridge.link('hub').refused, [])
    assert.ok(bridge.log.find(['warn', 'error'], 'no/#', 'ERR_BRIDGE_SUBSCRIBE').length > 0, bridge.log.toString())
  })

  test('many filters: brokers take no more than eight at once', async t => {
    const { stage, hub, remote } = await fakes(t)
    const filters = Array.from({ length: 30 }, (_, i) => ({ topic: `f/${i}`, qos: i % 3 }))
    const bridge = await stage.bridge(oneRule(hub.address, remote.address, { in: filters }))
    const connection = await remote.next()
    const wanted = filters.map(({ topic, qos }) => [topic, qos])
    assert.deepEqual(await connection.subscribed(30), wanted)
    const sizes = connection.all('subscribe').map(({ subscriptions }) => subscriptions.length)
    assert.ok(Math.max(...sizes) <= 8, sizes.join())
    await bridge.connected()
  })

  test('validatesubs: the connection is given up for it, and tried again', async t => {
    const { stage, hub, remote } = await fakes(t)
    remote.manners.suback = (filter, qos) => (filter === 'no/#' ? 0x80 : qos)
    const side = { address: remote.address, validatesubs: true }
    const filters = [{ topic: 'no/#' }, { topic: 'yes/#' }]
    const bridge = await stage.bridge(oneRule(hub.address, side, { in: filters }))
    for (let i = 0; i < 3; i++) await (await remote.next()).closed()
    remote.manners.suback = (_filter, qos) => qos
    await bridge.connected()
    assert.equal(hub.connections.length, 1, 'the other link stays')
  })

  test('buffersize: so many messages go out before the remote acknowledges, and no more', async t => {
    const { stage, hub, remote } = await fakes(t)
    const side = { address: remote.address, buffersize: 3 }
    await stage.connectedBridge(oneRule(hub.address, side, { out: ALL }))
    const [source, target] = [await hub.next(), await remote.next()]
    for (let i = 1; i <= 5; i++) source.publish({ topic: 't/1', payload: `${i}`, qos: 1, packetId: i })
    const messages = await target.messages(3)
    assert.deepEqual(
      messages.map(({ payload, packetId }) => [payload.toString(), packetId]),
      [
        ['1', 1],
        ['2', 2],
        ['3', 3],
      ],
    )
    await target.nothing()
    await source.nothing()
  })
})

suite('what is better than in OpenEdge', { skip: ownHubOnly }, () => {
  test('the link to the hub stays, and answers, while the remote is away', async t => {
    const { stage, hub, remote } = await fakes(t)
    const side = { address: hub.address, keepalive: '1s' }
    const bridge = await stage.connectedBridge(oneRule(side, remote.address, { out: ALL }))
    const source = await hub.next()
    await remote.turnOff()
    await bridge.until(() => bridge.link('remote').phase === 'waiting', 'the remote is away')
    for (let i = 1; i <= 200; i++) source.publish({ topic: 't/1', payload: `${i}`, qos: 1, packetId: i })
    await source.until(() => source.all('pingreq').length >= 3, 'three pings', 6000)
    await source.nothing()
    assert.equal(hub.connections.length, 1, 'one connection to the hub')
    await remote.turnOn()
    await remote.next()
    const target = await remote.next()
    const messages = await target.messages(100)
    assert.deepEqual(
      messages.map(({ payload }) => payload.toString()),
      Array.from({ length: 100 }, (_, i) => `${i + 1}`),
    )
  })

  test('a connection that is lost is made again at once, however long the pauses may get', async t => {
    const { stage, hub, remote } = await fakes(t)
    const side = { address: remote.address, interval: '10m' }
    await stage.bridge(oneRule(hub.address, side, { out: ALL }))
    for (let i = 0; i < 2; i++) {
      const connection = await remote.next(3000)
      await connection.until(() => connection.packets.length > 0, 'CONNECT')
      await connection.nothing(50)
      connection.destroy()
    }
    await remote.next(3000)
  })
})

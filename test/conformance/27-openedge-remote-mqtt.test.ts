/** The remote client as OpenEdge has it: who connects, and what goes through. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Broker } from '../support/bridge-broker.ts'
import type { FakeBroker } from '../support/bridge-fake.ts'
import { type BridgeLines, oneRule, type RuleLines, Stage, type SubscriptionLines } from '../support/bridge-stage.ts'
import { ownHubOnly } from '../support/hub.ts'
import type { Cleanup } from '../support/raw-client.ts'

const ALL: readonly SubscriptionLines[] = [{ topic: 't/#', qos: 1 }]
const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, i) => i))

interface Fakes {
  stage: Stage
  hub: FakeBroker
  remote: FakeBroker
}

async function fakes(t: Cleanup): Promise<Fakes> {
  const stage = new Stage(t)
  return { stage, hub: await stage.fake(), remote: await stage.fake() }
}

suite('client identifiers', { skip: ownHubOnly }, () => {
  interface Ids {
    ofRule?: string
    ofRemote?: string
    ofRuleOnHub?: string
    wanted: [hub: string, remote: string]
  }
  const table: Ids[] = [
    { wanted: ['cloud', 'cloud'] },
    { ofRemote: 'b', wanted: ['b', 'b'] },
    { ofRule: 'a', wanted: ['a', 'a'] },
    { ofRule: 'a', ofRemote: 'b', wanted: ['a', 'a'] },
    { ofRuleOnHub: 'c', wanted: ['c', 'cloud'] },
    { ofRuleOnHub: 'c', ofRemote: 'b', wanted: ['c', 'b'] },
    { ofRuleOnHub: 'c', ofRule: 'a', ofRemote: 'b', wanted: ['c', 'a'] },
  ]
  for (const { ofRule = '', ofRemote = '', ofRuleOnHub = '', wanted } of table) {
    test(`rule '${ofRule}', remote '${ofRemote}', hub side of the rule '${ofRuleOnHub}': ${wanted.join(' and ')}`, async t => {
      const { stage, hub, remote } = await fakes(t)
      await stage.bridge({
        hub: { address: hub.address, clientid: 'ignored' },
        remotes: [{ name: 'cloud', address: remote.address, clientid: ofRemote }],
        rules: [
          {
            hub: { clientid: ofRuleOnHub, subscriptions: ALL },
            remote: { name: 'cloud', clientid: ofRule, subscriptions: ALL },
          },
        ],
      })
      const seen = [(await hub.next()).connect.clientId, (await remote.next()).connect.clientId]
      assert.deepEqual(seen, wanted)
    })
  }
})

suite('CONNECT', { skip: ownHubOnly }, () => {
  test('MQTT 3.1.1, a kept session, keepalive in seconds, no will, no user unless told', async t => {
    const { stage, hub, remote } = await fakes(t)
    const side = (address: string): Readonly<Record<string, unknown>> => ({ address, tryprivate: false })
    await stage.bridge(oneRule(side(hub.address), side(remote.address), { out: ALL, in: ALL }))
    const packet = { type: 'connect', protocolName: 'MQTT', protocolLevel: 4, flags: 0, cleanSession: false }
    const wanted = { ...packet, keepAlive: 60, will: null, username: null, password: null }
    assert.deepEqual((await hub.next()).connect, { ...wanted, clientId: 'on-hub' })
    assert.deepEqual((await remote.next()).connect, { ...wanted, clientId: 'on-remote' })
  })

  test('what the file says, each side its own', async t => {
    const { stage, hub, remote } = await fakes(t)
    await stage.bridge(
      oneRule(
        { address: hub.address, username: 'u1', password: 'p1', keepalive: '30s', cleansession: true },
        { address: remote.address, username: 'ü2', keepalive: '10m' },
        { out: ALL, in: ALL },
      ),
    )
    const told = (broker: FakeBroker): Promise<unknown[]> =>
      broker
        .next()
        .then(({ connect }) => [
          connect.protocolLevel & 0x7f,
          connect.username,
          connect.password,
          connect.keepAlive,
          connect.cleanSession,
        ])
    assert.deepEqual(await told(hub), [4, 'u1', 'p1', 30, true])
    assert.deepEqual(await told(remote), [4, 'ü2', null, 600, false])
  })

  test('SUBSCRIBE comes only after CONNACK, with all filters of the rule', async t => {
    const { stage, hub, remote } = await fakes(t)
    remote.manners.connack = () => null
    const filters: SubscriptionLines[] = [{ topic: 'a/#', qos: 1 }, { topic: 'b/+', qos: 0 }, { topic: 'c' }]
    await stage.bridge(oneRule(hub.address, remote.address, { in: filters }))
    const connection = await remote.next()
    await connection.nothing(300)
    assert.deepEqual(
      connection.packets.map(({ type }) => type),
      ['connect'],
    )
    connection.send(Buffer.from([0x20, 2, 0, 0]))
    const wanted = [
      ['a/#', 1],
      ['b/+', 0],
      ['c', 0],
    ]
    assert.deepEqual(await connection.subscribed(3), wanted)
    assert.equal((await hub.next()).all('subscribe').length, 0, 'nothing is subscribed to where nothing is wanted')
  })

  test('timeout: a broker that does not answer CONNECT, or SUBSCRIBE, is given up', async t => {
    for (const unanswered of ['connect', 'subscribe']) {
      const { stage, hub, remote } = await fakes(t)
      if (unanswered === 'connect') remote.manners.connack = () => null
      else remote.manners.suback = null
      const side = { address: remote.address, timeout: '400ms', interval: '50ms' }
      const bridge = await stage.bridge(oneRule(hub.address, side, { in: ALL }))
      const first = await remote.next()
      await first.closed()
      const stood = first.closedAt - first.openedAt
      assert.ok(stood > 350 && stood < 3000, `${unanswered}: given up after ${stood} ms`)
      await remote.next()
      assert.equal(hub.connections.length, 1, 'the other link stays')
      await bridge.until(() => bridge.link('remote').lastErrorCode === 'ERR_BRIDGE_TIMEOUT', 'a code for it')
    }
  })

  test('keepalive: PINGREQ when nothing else is sent', async t => {
    const { stage, hub, remote } = await fakes(t)
    const side = { address: remote.address, keepalive: '1s' }
    await stage.bridge(oneRule(hub.address, side, { out: ALL }))
    const connection = await remote.next()
    await connection.until(() => connection.all('pingreq').length >= 3, 'three pings', 5000)
    assert.ok(!connection.isClosed, 'the link stays')
  })

  test('DISCONNECT on stop, on both sides', async t => {
    const { stage, hub, remote } = await fakes(t)
    const bridge = await stage.connectedBridge(oneRule(hub.address, remote.address, { out: ALL, in: ALL }))
    const connections = [await hub.next(), await remote.next()]
    await bridge.stop()
    for (const connection of connections) {
      await connection.closed()
      assert.equal(connection.packets.at(-1)?.type, 'disconnect', 'the last packet')
    }
    assert.deepEqual([hub.connections.length, remote.connections.length], [1, 1])
  })
})

interface Pair {
  stage: Stage
  hub: Broker
  remote: Broker
}

async function hubAndMosquitto(t: Cleanup): Promise<Pair> {
  const stage = new Stage(t)
  return { stage, hub: await stage.hub(), remote: await stage.mosquitto() }
}

suite('what passes through', { skip: ownHubOnly }, () => {
  for (const direction of ['out', 'in'] as const) {
    test(`${direction}: topic and payload unchanged, QoS by the lowest of message and subscription`, async t => {
      const { stage, hub, remote } = await hubAndMosquitto(t)
      const subscriptions = [0, 1].map(qos => ({ topic: `q${qos}/#`, qos }))
      await stage.connectedBridge(oneRule(hub.address, remote.address, { [direction]: subscriptions }))
      const [source, target] = direction === 'out' ? [hub, remote] : [remote, hub]
      const reader = await target.client({}, ['#', 2])
      const writer = await source.client()
      const wanted: string[] = []
      for (const taken of [0, 1]) {
        for (const qos of [0, 1, 2]) {
          const topic = `q${taken}/ü/${qos}`
          await writer.publish({ topic, payload: `m${qos}`, qos })
          wanted.push(`${topic} ${Math.min(taken, qos)} m${qos}`)
        }
      }
      assert.deepEqual((await reader.until(wanted.length)).sort(), wanted.sort())
      await writer.publish({ topic: 'other', payload: 'not taken' })
      for (const payload of [EVERY_BYTE, Buffer.alloc(0), Buffer.alloc(30_000, 7)])
        await writer.publish({ topic: 'q1/bytes', payload, qos: 1 })
      await reader.until(wanted.length + 3)
      const [bytes, none, long] = reader.messages.slice(wanted.length)
      assert.deepEqual(bytes?.payload, EVERY_BYTE)
      assert.deepEqual(none?.payload.length, 0)
      assert.deepEqual(long?.payload, Buffer.alloc(30_000, 7))
    })

    test(`${direction}: a retained message becomes retained there too`, async t => {
      const { stage, hub, remote } = await hubAndMosquitto(t)
      const [source, target] = direction === 'out' ? [hub, remote] : [remote, hub]
      const writer = await source.client()
      await writer.publish({ topic: 't/kept', payload: 'before', qos: 1, retain: true })
      await stage.connectedBridge(oneRule(hub.address, remote.address, { [direction]: ALL }))
      const reader = await target.client({}, ['#', 1])
      await reader.until(1)
      await writer.publish({ topic: 't/last', payload: 'sentinel', qos: 1 })
      await reader.untilPayload('sentinel')
      const late = await target.client({}, ['#', 1])
      assert.deepEqual(await late.until(1), ['t/kept 1 before RETAIN'])
    })
  }

  test('messages keep their order, each way', async t => {
    const { stage, hub, remote } = await hubAndMosquitto(t)
    const out = [{ topic: 'up/#', qos: 1 }]
    const into = [{ topic: 'down/#', qos: 1 }]
    await stage.connectedBridge(oneRule(hub.address, remote.address, { out, in: into }))
    const [above, below] = [await remote.client({}, ['up/#', 1]), await hub.client({}, ['down/#', 1])]
    const payloads = Array.from({ length: 1000 }, (_, i) => `${i}`)
    const [up, down] = [await hub.client(), await remote.client()]
    await Promise.all([up.publishAll('up/a', 1, payloads), down.publishAll('down/a', 1, payloads)])
    await Promise.all([above.until(1000), below.until(1000)])
    assert.deepEqual(above.payloads, payloads)
    assert.deepEqual(below.payloads, payloads)
  })

  test('every scheme', async t => {
    const stage = new Stage(t)
    const certificates = await stage.certificates()
    const hub = await stage.hub()
    const remote = await stage.hub({
      schemes: ['tcp', 'ssl', 'ws', 'wss'],
      lines: [`certificate: { cert: ${certificates.server.cert}, key: ${certificates.server.key} }`],
    })
    const schemes = ['tcp', 'mqtt', 'ssl', 'tls', 'mqtts', 'ws', 'wss']
    const kindOf = (scheme: string): string => {
      if (scheme.startsWith('w')) return scheme
      return ['tcp', 'mqtt'].includes(scheme) ? 'tcp' : 'ssl'
    }
    const portOf = (scheme: string): string => {
      const address = remote.addresses.find(each => each.startsWith(`${kindOf(scheme)}:`))
      return String(address?.split(':').at(-1))
    }
    const lines: BridgeLines = {
      hub: { address: hub.address },
      remotes: schemes.map(scheme => ({
        name: scheme,
        address: `${scheme}://127.0.0.1:${portOf(scheme)}`,
        ca: certificates.ca,
      })),
      rules: schemes.map(
        (scheme): RuleLines => ({
          hub: { subscriptions: [{ topic: `${scheme}/#`, qos: 1 }] },
          remote: { name: scheme, subscriptions: [{ topic: `back/${scheme}`, qos: 1 }] },
        }),
      ),
    }
    await stage.connectedBridge(lines)
    const [above, below] = [await remote.client({}, ['#', 1]), await hub.client({}, ['back/#', 1])]
    for (const scheme of schemes) {
      await below.publish({ topic: `${scheme}/x`, payload: 'up', qos: 1 })
      await above.untilPayload('up')
      await above.publish({ topic: `back/${scheme}`, payload: 'down', qos: 1 })
      await below.untilPayload('down')
    }
  })
})

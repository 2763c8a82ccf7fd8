/** A remote that is away from the start: what is published waits at the hub, whose link stays up meanwhile. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Ledger } from '../bridge/ledger.ts'
import { Bridge, Broker, KEEPALIVE_S, PROGRAM } from '../bridge/programs.ts'
import { Publisher } from '../bridge/publisher.ts'
import { Subscriber } from '../bridge/subscriber.ts'
import { Random } from '../crash/random.ts'
import { until } from '../crash/wait.ts'
import { fixedPort, type NetworkMode, TcpProxy } from '../support/proxy.ts'

const PATIENCE_MS = 20_000
const QOS = 1

interface Scene {
  readonly ledger: Ledger
  readonly publisher: Publisher
  readonly bridge: Bridge
  /** Between bridge and hub: tells how often the bridge has connected. */
  readonly near: TcpProxy
  /** Between bridge and remote. */
  readonly far: TcpProxy
}

/** Hub, bridge and remote as processes; the way to the remote is as asked. The bridge has subscribed at the hub. */
async function setUp(t: TestContext, mode: NetworkMode): Promise<Scene> {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-offline-'))
  const closing: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })]
  t.after(async () => {
    for (const close of closing.reverse()) await close()
  })
  const ledger = new Ledger()
  const onEnded = (how: string): void => ledger.violation('ended', how)
  const metricsPort = await fixedPort()
  const place = { program: PROGRAM, onEnded, kind: 'hub' } as const
  const hub = new Broker({
    ...place,
    name: 'hub',
    dir: join(dir, 'hub'),
    port: await fixedPort(),
    yaml: [`metrics: { listen: 'http://127.0.0.1:${metricsPort}' }`],
  })
  const remote = new Broker({ ...place, name: 'remote', dir: join(dir, 'remote'), port: await fixedPort() })
  closing.push(() => Promise.all([hub.close(), remote.close()]))
  await Promise.all([hub.start(), remote.start()])

  const topics = [0, 1, 2, 3].map(i => `out/plant/${i}`)
  const streams = topics.map(topic =>
    ledger.stream({ rule: 'plant', direction: 'out', topic, qos: QOS, isSourceTrusted: true }),
  )
  const random = new Random(1)
  const publisher = new Publisher({ id: 'sensor', port: () => hub.port, ledger, streams, rate: 200, random })
  const filter = 'out/plant/#'
  const subscriber = new Subscriber({ id: 'archive', port: () => remote.port, ledger, streams, filter, qos: QOS })
  for (const client of [publisher, subscriber]) {
    client.goOnline()
    closing.push(() => client.goOffline())
  }
  closing.push(() => publisher.stopProducing())
  const isReady = await until(() => publisher.isConnected && subscriber.isSubscribed, PATIENCE_MS)
  assert.ok(isReady, 'both clients are there')

  const near = await TcpProxy.listen({ target: () => hub.port })
  const far = await TcpProxy.listen({ target: () => remote.port, port: await fixedPort() })
  closing.push(() => Promise.all([near.close(), far.close()]))
  await far.setMode(mode)
  const bridge = new Bridge({
    ...place,
    kind: 'own',
    name: 'bridge',
    dir: join(dir, 'bridge'),
    hubPort: near.port,
    remotePort: far.port,
    ownPort: 0,
    rules: [{ name: 'plant', qos: QOS }],
  })
  closing.push(() => bridge.close())
  bridge.start()
  const deadline = performance.now() + PATIENCE_MS
  while ((await subscriptionsAt(metricsPort)) === 0) {
    assert.ok(performance.now() < deadline, `the bridge does not subscribe at the hub: ${bridge.output}`)
    await sleep(50)
  }
  return { ledger, publisher, bridge, near, far }
}

async function subscriptionsAt(port: number): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`)
  const line = /^openedge_subscriptions (\d+)$/m.exec(await response.text())
  assert.ok(line !== null, 'the hub tells how many subscriptions it has')
  return Number(line[1])
}

/** Messages flow for three times the keep-alive while the remote is away; then it comes. */
async function waitsForRemote({ ledger, publisher, bridge, near, far }: Scene): Promise<void> {
  const { accepted } = near
  assert.equal(near.connections, 1, 'the rule has one link to the hub')
  publisher.produce()
  await sleep(3 * KEEPALIVE_S * 1000 + 500)
  publisher.stopProducing()
  assert.equal(near.connections, 1, `the link to the hub stands: ${bridge.output}`)
  assert.equal(near.accepted, accepted, `and it is the same: ${bridge.output}`)
  assert.equal(ledger.deliveries, 0, 'nothing has gone anywhere')

  if (far.mode === 'half-open') far.resetAll()
  await far.setMode('pass')
  const isComplete = await until(() => ledger.isComplete, PATIENCE_MS)
  ledger.conclude()
  assert.deepEqual(ledger.details, [], `all arrive, in order: ${bridge.output}`)
  assert.ok(isComplete, 'nothing is missing')
  const sent = ledger.streams.reduce((sum, { length }) => sum + length, 0)
  assert.ok(sent > 1000, `${sent} messages are far more than the bridge takes at once`)
  assert.equal(near.accepted, accepted, `the link to the hub is still the same: ${bridge.output}`)
}

suite('the remote is away from the start', { concurrency: true }, () => {
  test('connections to it are refused', { timeout: 90_000 }, async t => {
    const scene = await setUp(t, 'cut')
    await waitsForRemote(scene)
    const duplicates = scene.ledger.streams.reduce((sum, stream) => sum + stream.duplicates, 0)
    assert.equal(duplicates, 0, 'where no connection broke, nothing comes twice')
  })

  test('it accepts connections and never answers', { timeout: 90_000 }, async t => {
    await waitsForRemote(await setUp(t, 'half-open'))
  })
})

// The folder examples/bridge, run as it is: a site with a hub and a bridge, and the center. Only ports and folders are others.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { BridgeService } from '../../src/bridge/index.ts'
import { findBridgeLoops, parseBridgeConfig } from '../../src/config/index.ts'
import { readWorkdir } from '../../src/config/workdir.ts'
import { until } from '../support/embedded-hub.ts'
import {
  EXAMPLE_ENV,
  type ExampleHub,
  exampleFolder,
  exampleText,
  receiveLines,
  runExampleHub,
} from '../support/example-hub.ts'
import { linesOf } from '../support/rules.ts'

const BRIDGE = 'bridge/etc/openedge/bridge.yml'
const CENTER = 'bridge/center/service.yml'

interface Site {
  readonly hub: ExampleHub
  readonly center: ExampleHub
  /** Where the center keeps what it stores. */
  readonly centerFolder: string
  readonly bridge: BridgeService
}

/** Runs all three, and waits until the bridge has both. */
async function runSite(t: TestContext): Promise<Site> {
  const centerFolder = exampleFolder(t)
  const center = await runExampleHub(t, CENTER, { folder: centerFolder })
  const hub = await runExampleHub(t, 'bridge/etc/openedge/hub.yml')
  const { config } = parseBridgeConfig(exampleText(BRIDGE), { file: BRIDGE, env: EXAMPLE_ENV, strict: true })
  assert.deepEqual(
    [config.hub.address, ...config.remotes.map(({ address }) => address)],
    ['tcp://127.0.0.1:1883', 'tcp://127.0.0.1:2883'],
    'the example is on loopback',
  )
  const here = `tcp://127.0.0.1:${hub.port}`
  const there = `tcp://127.0.0.1:${center.port}`
  const moved = {
    ...config,
    hub: { ...config.hub, address: here },
    remotes: config.remotes.map(remote => ({ ...remote, address: there, intervalMs: 100 })),
    metrics: { listen: 'http://127.0.0.1:0' },
  }
  const bridge = new BridgeService(moved, undefined, exampleFolder(t), { version: '1.2.3' })
  await bridge.start(new AbortController().signal)
  t.after(() => bridge.stop())
  await untilConnected(bridge)
  return { hub, center, centerFolder, bridge }
}

function untilConnected(bridge: BridgeService): Promise<void> {
  const isConnected = (): boolean =>
    bridge.figures().rules.every(({ links }) => links.every(({ phase }) => phase === 'connected'))
  return until(isConnected, 'all links are connected')
}

test('the bridge example is a work directory with a hub, a bridge and no circle', () => {
  const { hubs, bridges, problems } = readWorkdir(join(import.meta.dirname, '../../examples/bridge'), EXAMPLE_ENV)
  assert.deepEqual(problems, [])
  assert.deepEqual([hubs.length, bridges.length], [1, 1], 'what it has')
  assert.deepEqual(findBridgeLoops(hubs[0]?.config ?? null, bridges), [])
})

test('the bridge example has both brokers, and nothing to be warned of', async t => {
  const { bridge } = await runSite(t)
  const { warnings } = parseBridgeConfig(exampleText(BRIDGE), { file: BRIDGE, env: EXAMPLE_ENV, strict: true })
  assert.deepEqual(warnings, [])
  assert.deepEqual(
    bridge.figures().rules.map(({ name, links }) => [name, ...links.map(({ refused }) => refused.length)]),
    [
      ['site-7', 0, 0],
      ['vibration', 0, 0],
    ],
    'no filter is refused',
  )
  assert.equal((await fetch(`${bridge.metricsUrl}/readyz`)).status, 200)
})

test('the bridge example sends what machines publish to the center, and brings its commands', async t => {
  const { hub, center } = await runSite(t)
  const inCenter = await center.connect('operator', 'o')
  await inCenter.subscribe(['sites/site-7/#', 1])
  const machine = await hub.connect('machine', 'm')
  await machine.subscribe(['commands/press', 1])
  await machine.publish({ topic: 'machines/press/state', payload: 'running', qos: 1, retain: true })
  await machine.publish({ topic: 'machines/press/temperature', payload: '71', qos: 1 })
  await machine.publish({ topic: 'machines/press/diary', payload: 'not for the center', qos: 1 })
  assert.deepEqual(await receiveLines(inCenter, 2), [
    'sites/site-7/press/state 1 running',
    'sites/site-7/press/temperature 1 71',
  ])
  const commander = await center.connect('operator', 'o')
  await commander.publish({ topic: 'sites/site-7/press/command', payload: 'stop', qos: 1 })
  // Whoever takes all of the site hears the command as well, and that once.
  assert.deepEqual(await receiveLines(inCenter, 1), ['sites/site-7/press/command 1 stop'])
  assert.deepEqual(await receiveLines(machine, 1), ['commands/press 1 stop'])
  await inCenter.quiet()

  const later = await center.connect('operator', 'o')
  await later.subscribe(['sites/site-7/#', 1])
  assert.deepEqual(await receiveLines(later, 1), ['sites/site-7/press/state 1 running RETAIN'])
})

test('the bridge example lets ten of many vibrations through', async t => {
  const { hub, center } = await runSite(t)
  const inCenter = await center.connect('operator', 'o')
  await inCenter.subscribe(['sites/site-7/+/vibration', 0])
  const machine = await hub.connect('machine', 'm')
  for (let number = 0; number < 50; number++) {
    await machine.publish({ topic: 'machines/press/vibration', payload: `${number}` })
  }
  await receiveLines(inCenter, 10)
  const passed = 10 + linesOf(await inCenter.everything()).length
  assert.ok(passed < 50, `${passed} of 50 came through`)
})

test('the bridge example keeps for the center what is published while it is away, and tells of it', async t => {
  const { hub, center, centerFolder, bridge } = await runSite(t)
  const operator = await hub.connect('operator', 'o')
  await operator.subscribe(['$SYS/bridge/site-7/state', 0])
  assert.match((await receiveLines(operator, 1)).join(), /"connected":true/)
  await center.stop()
  assert.match((await receiveLines(operator, 1)).join(), /"connected":false/)

  const machine = await hub.connect('machine', 'm')
  await machine.publish({ topic: 'machines/press/state', payload: 'stopped', qos: 1, retain: true })
  const back = await runExampleHub(t, CENTER, { folder: centerFolder, port: center.port })
  await until(() => bridge.figures().rules[0]?.flows[0]?.acknowledged === 1, 'the center has it')
  const inCenter = await back.connect('operator', 'o')
  await inCenter.subscribe(['sites/site-7/#', 1])
  assert.deepEqual(await receiveLines(inCenter, 1), ['sites/site-7/press/state 1 stopped RETAIN'])
  const isBack = async (): Promise<boolean> => /"connected":true/.test((await receiveLines(operator, 1)).join())
  await until(isBack, 'the hub is told that the center is back')
})

import { existsSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { freePort } from '../e2e/broker-site.ts'
import { missingReason, type Sync } from '../e2e/brokers.ts'
import {
  BENCH,
  type BridgeSetup,
  bridgeLines,
  type Direction,
  forwarderJob,
  hubLines,
  type MosquittoBridge,
  mosquittoLines,
} from './configs.ts'
import type { Chain } from './load/job.ts'
import { endpoint, type RunningPart, type Stage } from './stage.ts'

/**
 * Who forwards. `ours`, `mosquitto` and `mqttjs` stand as a process of their own between two of our hubs. `builtin` is a
 * mosquitto in place of the hub, which forwards by itself; `plain` the same mosquitto without a bridge and with a
 * subscriber of its own; `direct` our hub alone.
 */
export const wayNames = ['ours', 'mosquitto', 'mqttjs', 'builtin', 'plain'] as const
export type WayName = (typeof wayNames)[number]

export interface ChainSetup {
  direction: Direction
  qos: number
  filter: string
  sync: Sync
  /** Everything between bridge and remote takes so much longer each way; 0: nothing is in between. */
  remoteDelayMs: number
}

const ROOT = resolve(import.meta.dirname, '../..')
const OPENEDGE = join(ROOT, 'dist/cli/main.js')
const MOSQUITTO = '/usr/sbin/mosquitto'
const FORWARDER = join(import.meta.dirname, 'peers/forwarder.mjs')
const DELAY_LINE = join(import.meta.dirname, 'delay-line-main.ts')

/** Why this way cannot be measured here, null when it can. */
export function missingWay(name: WayName): string | null {
  const ours = missingReason('ours')
  if (ours !== null) return ours
  if (name === 'mqttjs') return existsSync(join(ROOT, 'node_modules/mqtt')) ? null : 'mqtt is not installed; run npm ci'
  return name === 'ours' ? null : missingReason('mosquitto')
}

/** Starts all that a way needs. */
export function openChain(stage: Stage, way: WayName, setup: ChainSetup): Promise<Chain> {
  if (way === 'plain') return openPlain(stage)
  return way === 'builtin' ? openBuiltin(stage, setup) : openBetween(stage, way, setup)
}

/** One hub for publishers and subscribers. */
export async function openDirect(stage: Stage, sync: Sync): Promise<Chain> {
  const port = await freePort()
  const { pid } = await startHub(stage, 'hub', [port], sync)
  const both = endpoint(port, BENCH)
  return { source: both, sink: both, forwarder: pid, brokers: [] }
}

async function openBetween(
  stage: Stage,
  way: 'ours' | 'mosquitto' | 'mqttjs',
  { direction, qos, filter, sync, remoteDelayMs }: ChainSetup,
): Promise<Chain> {
  const hubPort = await freePort()
  const remotePort = await freePort()
  const hub = await startHub(stage, 'hub', [hubPort], sync)
  const remote = await startHub(stage, 'remote', [remotePort], sync)
  const bridgedPort = await delayed(stage, remotePort, remoteDelayMs)
  const between = async (): Promise<RunningPart> => {
    if (way === 'ours') {
      const rules = [{ name: 'bench', remote: 0, filters: { [direction]: filter } }]
      return startBridge(stage, { hubPort, remotePorts: [bridgedPort], rules, qos })
    }
    const ports = direction === 'out' ? [hubPort, bridgedPort] : [bridgedPort, hubPort]
    const [source, sink] = ports as [number, number]
    if (way === 'mosquitto') {
      return startMosquitto(stage, await freePort(), [
        { name: 'source', port: source, filter, direction: 'in', qos },
        { name: 'sink', port: sink, filter, direction: 'out', qos },
      ])
    }
    const job = JSON.stringify(forwarderJob(source, sink, filter, qos))
    return stage.start({ name: 'forwarder', ports: [], command: () => [process.execPath, FORWARDER, job] })
  }
  const { pid } = await between()
  const ends = [endpoint(hubPort, BENCH), endpoint(remotePort, BENCH)] as const
  const [source, sink] = direction === 'out' ? ends : ([ends[1], ends[0]] as const)
  return { source, sink, forwarder: pid, brokers: [hub.pid, remote.pid] }
}

async function openBuiltin(stage: Stage, { direction, qos, filter, sync, remoteDelayMs }: ChainSetup): Promise<Chain> {
  const port = await freePort()
  const remotePort = await freePort()
  const remote = await startHub(stage, 'remote', [remotePort], sync)
  const bridgedPort = await delayed(stage, remotePort, remoteDelayMs)
  const bridge = { name: 'remote', port: bridgedPort, filter, direction, qos }
  const { pid } = await startMosquitto(stage, port, [bridge])
  const ends = [endpoint(port, null), endpoint(remotePort, BENCH)] as const
  const [source, sink] = direction === 'out' ? ends : ([ends[1], ends[0]] as const)
  return { source, sink, forwarder: pid, brokers: [remote.pid] }
}

async function openPlain(stage: Stage): Promise<Chain> {
  const port = await freePort()
  const { pid } = await startMosquitto(stage, port, [])
  const both = endpoint(port, null)
  return { source: both, sink: both, forwarder: pid, brokers: [] }
}

export function startHub(stage: Stage, name: string, ports: readonly number[], sync: Sync): Promise<RunningPart> {
  return stage.start({
    name,
    ports,
    command: folder => {
      const file = join(folder, 'service.yml')
      writeLines(file, hubLines({ ports, directory: join(folder, 'data'), sync }))
      return [process.execPath, OPENEDGE, 'hub', '-c', file, '-w', folder]
    },
  })
}

export function startBridge(stage: Stage, setup: BridgeSetup): Promise<RunningPart> {
  return stage.start({
    name: 'bridge',
    ports: [],
    command: folder => {
      const file = join(folder, 'service.yml')
      writeLines(file, bridgeLines(setup))
      return [process.execPath, OPENEDGE, 'bridge', '-c', file, '-w', folder]
    },
  })
}

function startMosquitto(stage: Stage, port: number, bridges: readonly MosquittoBridge[]): Promise<RunningPart> {
  return stage.start({
    name: 'mosquitto',
    ports: [port],
    command: folder => {
      const file = join(folder, 'mosquitto.conf')
      writeLines(file, mosquittoLines(port, bridges, process.getuid?.() === 0))
      return [MOSQUITTO, '-c', file]
    },
  })
}

/** The port that leads to this one with a delay. */
async function delayed(stage: Stage, target: number, delayMs: number): Promise<number> {
  if (delayMs === 0) return target
  const port = await freePort()
  const args = ['--import', import.meta.resolve('tsx'), DELAY_LINE, String(target), String(delayMs), String(port)]
  await stage.start({ name: 'delay', ports: [port], command: () => [process.execPath, ...args] })
  return port
}

function writeLines(file: string, lines: readonly string[]): void {
  writeFileSync(file, `${lines.join('\n')}\n`)
}

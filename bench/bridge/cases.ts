import type { LoadOptions } from '../e2e/load/job.ts'
import { openChain, openDirect, type WayName } from './chains.ts'
import type { Direction } from './configs.ts'
import { type DeadRemote, deadRemotes, openRemotes, REMOTES } from './dead-remote.ts'
import { measureFlow } from './flow.ts'
import type { FlowResult } from './load/flow-result.ts'
import type { Chain } from './load/job.ts'
import type { Options, PartName } from './options.ts'
import { untilForwarding } from './probe.ts'
import { onStage, type Stage } from './stage.ts'

/** One thing that is measured again and again, in turn with the others. */
export interface Case {
  part: PartName
  /** Who forwards, or what is dead. */
  name: WayName | 'direct' | DeadRemote
  direction: Direction
  qos: number
  measure: () => Promise<FlowResult>
}

/** Each way, between bridge and remote. */
export const DELAY_MS = 25
/** Messages a second of `latency` and `dead_remote`. */
export const LATENCY_RATE = 100
export const DEAD_RATE = 400

const FILTER = 'bench/#'
const TOPICS = 10
/** Between two of our hubs, so that it can be compared with each other. */
const PACED: readonly WayName[] = ['ours', 'mosquitto', 'mqttjs']
/** With a window that is told: the one of MQTT.js has no end. */
const WINDOWED: readonly WayName[] = ['ours', 'mosquitto', 'builtin']

export function makeCases(options: Options): Case[] {
  const { parts, ways, qos: levels, warmupMs, durationMs, pacedMs, sync } = options
  const load = (qos: number, other: Partial<LoadOptions> = {}): LoadOptions => ({
    publishers: TOPICS,
    subscribers: 1,
    topics: TOPICS,
    topic: 'bench/%d/data',
    filter: 'bench/+/data',
    qos,
    size: 64,
    window: 100,
    rate: 0,
    warmupMs,
    durationMs,
    stallMs: 5000,
    ...other,
  })
  const paced = (rate: number): Partial<LoadOptions> => ({ rate, durationMs: pacedMs })
  const one = { publishers: 1, topics: 1, ...paced(LATENCY_RATE) }
  const way = (part: PartName, name: WayName, direction: Direction, work: LoadOptions, remoteDelayMs = 0): Case => {
    const { qos } = work
    const open = (stage: Stage): Promise<Chain> =>
      openChain(stage, name, { direction, qos, filter: FILTER, sync, remoteDelayMs })
    return { part, name, direction, qos, measure: () => measureOn(open, work) }
  }
  const made: Record<Exclude<PartName, 'memory'>, () => Case[]> = {
    throughput_out: () => levels.flatMap(qos => ways.map(name => way('throughput_out', name, 'out', load(qos)))),
    throughput_in: () => levels.flatMap(qos => ways.map(name => way('throughput_in', name, 'in', load(qos)))),
    rtt: () =>
      (['out', 'in'] as const).flatMap(direction =>
        WINDOWED.filter(name => ways.includes(name)).map(name => way('rtt', name, direction, load(1), DELAY_MS)),
      ),
    latency: () =>
      levels.flatMap(qos => {
        const work = load(qos, one)
        const measure = (): Promise<FlowResult> => measureOn(stage => openDirect(stage, sync), work)
        const direct: Case = { part: 'latency', name: 'direct', direction: 'out', qos, measure }
        const across = PACED.filter(name => ways.includes(name)).map(name => way('latency', name, 'out', work))
        return [direct, ...across]
      }),
    dead_remote: () =>
      deadRemotes.map(name => {
        const subscribers = name === 'none' ? REMOTES : REMOTES - 1
        const work = load(1, {
          publishers: REMOTES,
          topics: REMOTES,
          subscribers,
          filter: 'bench/%d/data',
          ...paced(DEAD_RATE),
        })
        const alive = Array.from({ length: subscribers }, (_, remote) => `bench/${remote}/probe`)
        const measure = (): Promise<FlowResult> => measureOn(stage => openRemotes(stage, name, sync), work, alive)
        return { part: 'dead_remote', name, direction: 'out', qos: 1, measure }
      }),
  }
  return parts.flatMap(part => (part === 'memory' ? [] : made[part]()))
}

function measureOn(
  open: (stage: Stage) => Promise<Chain>,
  load: LoadOptions,
  probes: readonly string[] = ['bench/0/probe'],
): Promise<FlowResult> {
  return onStage(async stage => {
    const chain = await open(stage)
    await untilForwarding(chain, probes, 'bench/+/probe')
    return measureFlow(chain, load)
  })
}

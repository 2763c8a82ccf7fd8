import { freePorts } from '../e2e/broker-site.ts'
import { memoryOf, resetPeak } from '../e2e/load/proc.ts'
import { startBridge, startHub } from './chains.ts'
import { BENCH, type Direction } from './configs.ts'
import { REMOTES } from './dead-remote.ts'
import { measureFlow } from './flow.ts'
import type { Chain } from './load/job.ts'
import type { Options } from './options.ts'
import { untilForwarding } from './probe.ts'
import { endpoint, onStage } from './stage.ts'

const RULES = 100

/** Resident memory of a bridge, in KiB. */
export interface MemoryResult {
  /** All rules connected, both ways. */
  connectedKb: number
  /** After some seconds of messages on all rules, each way. */
  trafficKb: number
  /** The most there was meanwhile. */
  peakKb: number
  /** After the messages, without what maps files. */
  anonKb: number
  /** Messages of both directions. */
  messages: number
}

/** One bridge with 100 rules on 20 remotes, which are listeners of one hub; every rule goes both ways. */
export function measureMemory({ sync, warmupMs, durationMs }: Options): Promise<MemoryResult> {
  return onStage(async stage => {
    const [hubPort = 0, ...ports] = await freePorts(1 + REMOTES)
    const hub = await startHub(stage, 'hub', [hubPort], sync)
    const remote = await startHub(stage, 'remote', ports, sync)
    const { pid } = await startBridge(stage, {
      hubPort,
      remotePorts: ports,
      rules: Array.from({ length: RULES }, (_, rule) => ({
        name: `rule${rule}`,
        remote: rule % REMOTES,
        filters: { out: `bench/${rule}/out/#`, in: `bench/${rule}/in/#` },
      })),
      qos: 1,
    })
    const ends = [endpoint(hubPort, BENCH), endpoint(ports[0] as number, BENCH)] as const
    const chainOf = (direction: Direction): Chain => ({
      source: ends[direction === 'out' ? 0 : 1],
      sink: ends[direction === 'out' ? 1 : 0],
      forwarder: pid,
      brokers: [hub.pid, remote.pid],
    })
    const directions = ['out', 'in'] as const
    for (const direction of directions) {
      const topics = Array.from({ length: RULES }, (_, rule) => `bench/${rule}/${direction}/probe`)
      await untilForwarding(chainOf(direction), topics, `bench/+/${direction}/probe`)
    }
    const connectedKb = memoryOf(pid).rssKb
    let peakKb = 0
    let messages = 0
    resetPeak(pid)
    for (const direction of directions) {
      const { delivered, rssPeakKb } = await measureFlow(chainOf(direction), {
        publishers: RULES,
        subscribers: 1,
        topics: RULES,
        topic: `bench/%d/${direction}/data`,
        filter: `bench/+/${direction}/data`,
        qos: 1,
        size: 64,
        window: 10,
        rate: 0,
        warmupMs,
        durationMs,
        stallMs: 5000,
      })
      peakKb = Math.max(peakKb, rssPeakKb)
      messages += delivered
    }
    const { rssKb, anonKb } = memoryOf(pid)
    return { connectedKb, trafficKb: rssKb, peakKb, anonKb, messages }
  })
}

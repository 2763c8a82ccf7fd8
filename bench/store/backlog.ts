import { setTimeout as sleep } from 'node:timers/promises'
import { BrokerSite } from '../e2e/broker-site.ts'
import { ClientGroup } from '../e2e/load/client-group.ts'
import type { Target } from '../e2e/load/job.ts'
import { noiseBetween, sampleCpu } from '../e2e/load/proc.ts'
import type { Noise } from '../e2e/load/result.ts'
import { diskUsage } from './disk-usage.ts'
import { Collector, type Faults } from './load/collector.ts'
import { follow, reach } from './load/follow.ts'
import { inTime } from './load/in-time.ts'
import { type MemoryPeak, MemoryWatch } from './load/memory-watch.ts'
import { Publishing } from './load/publishing.ts'
import { randomRun, SETTLE_MS, subscribeAndLeave } from './load/sessions.ts'
import type { Variant } from './variants.ts'

/**
 * `runs`: one topic, so that messages arrive as runs that a store may keep as one. `alternating`: neighbours have
 * different topics, so that it cannot.
 */
export const backlogModes = ['runs', 'alternating'] as const
export type BacklogMode = (typeof backlogModes)[number]

export interface BacklogOptions {
  messages: number
  mode: BacklogMode
  /** Of filling and of draining. */
  limitMs: number
}

/** One direction of it. */
export interface Phase extends MemoryPeak {
  perSecond: number
  /** CPU of the broker for each message, in microseconds. */
  cpuUs: number
  noise: Noise
}

export interface BacklogResult {
  mode: BacklogMode
  messages: number
  fill: Phase
  drain: Phase
  /** On disk when all messages waited. */
  diskBytes: number
  /** Of the messages, those that did not come. */
  lost: number
  faults: Faults
  /** Messages that came once more to the session that had acknowledged all. */
  leftOver: number
}

const TOPICS: Record<BacklogMode, readonly string[]> = {
  runs: ['bench/0'],
  alternating: Array.from({ length: 10 }, (_, i) => `bench/${i}`),
}
const SESSION = { clientId: 'bench-absent', filter: 'bench/#' }
/** Never subscribed to. */
const NO_FILTER = 'bench/none'
const WINDOW = 1000
const SIZE = 64
const STALL_MS = 15_000
/** How long one waits for messages that should not come. */
const LEFT_OVER_MS = 500

/** Lets messages pile up for an absent session, then lets it take them; watches the broker's memory all the time. */
export async function measureBacklog(variant: Variant, options: BacklogOptions): Promise<BacklogResult> {
  const site = await BrokerSite.make(variant.broker, variant.setup)
  try {
    const { target } = await site.start()
    const meter = new Meter(target.pid)
    try {
      await subscribeAndLeave(target, SESSION)
      return await fillAndDrain(target, site.directory, meter, options)
    } finally {
      meter.stop()
    }
  } finally {
    await site.remove()
  }
}

async function fillAndDrain(
  target: Target,
  directory: string,
  meter: Meter,
  { messages, mode, limitMs }: BacklogOptions,
): Promise<BacklogResult> {
  const clients = new ClientGroup(target)
  const course = { total: messages, stallMs: STALL_MS, limitMs, signal: clients.signal }
  const run = randomRun()
  try {
    const publisher = clients.make('bench-pub')
    const publishing = new Publishing(publisher, {
      run,
      topics: TOPICS[mode],
      size: SIZE,
      window: WINDOW,
      count: messages,
    })
    await publisher.connect()
    meter.begin()
    publishing.start()
    const filled = await reach({ ...course, what: 'messages stored', count: () => publishing.acknowledged })
    if (publishing.fault !== null) throw new Error(publishing.fault)
    const fill = meter.end(messages, filled)
    await clients.end(publisher)
    const diskBytes = diskUsage(directory)

    const collector = new Collector(publishing.sender, run)
    const subscriber = clients.make(SESSION.clientId, { keepSession: true })
    subscriber.sink = collector
    meter.begin()
    const connectedAt = performance.now()
    await subscriber.connect()
    if (!subscriber.sessionPresent) throw new Error('the broker forgot the session')
    await follow({ ...course, what: 'messages drained', count: () => collector.arrived })
    // The broker answers what comes behind the last PUBACK when it is through with all of them.
    await clients.unlessOneFails(inTime(subscriber.unsubscribe(NO_FILTER), limitMs))
    const drain = meter.end(collector.arrived, (performance.now() - connectedAt) / 1000)
    await sleep(SETTLE_MS)
    await clients.end(subscriber)
    const { faults } = collector
    const lost = collector.missing(messages)
    return { mode, messages, fill, drain, diskBytes, lost, faults, leftOver: await leftOverAt(clients) }
  } finally {
    await clients.endAll()
  }
}

/** How many messages come to the session now. */
async function leftOverAt(clients: ClientGroup): Promise<number> {
  let count = 0
  const client = clients.make(SESSION.clientId, { keepSession: true })
  client.sink = { publish: () => count++, puback: () => {} }
  await client.connect()
  await clients.unlessOneFails(sleep(LEFT_OVER_MS))
  return count
}

/** Measures what the broker takes for a phase. */
class Meter {
  readonly #pid: number
  readonly #memory: MemoryWatch
  #cpu = sampleCpu(process.pid)

  constructor(pid: number) {
    this.#pid = pid
    this.#memory = new MemoryWatch(pid)
  }

  begin(): void {
    this.#cpu = sampleCpu(this.#pid)
  }

  end(messages: number, seconds: number): Phase {
    const from = this.#cpu
    const to = sampleCpu(this.#pid)
    const cpu = to.brokerUser + to.brokerSystem - from.brokerUser - from.brokerSystem
    const cpuUs = messages === 0 ? 0 : (cpu * 1e6) / messages
    return {
      ...this.#memory.take(),
      perSecond: messages / seconds,
      cpuUs,
      noise: noiseBetween(from, to, seconds),
    }
  }

  stop(): void {
    this.#memory.stop()
  }
}

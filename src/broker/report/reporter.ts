import type { Service } from '../../common/index.ts'
import type { Hub } from '../hub.ts'
import { LoadAverage } from './load-average.ts'
import { type HubSnapshot, snapshotOf } from './snapshot.ts'
import { type LoadName, type LoadTotals, loadTotals, sysTopics } from './sys-topics.ts'

const NOTHING = Buffer.alloc(0)
/** Timers of Node.js take no more: 24 days. */
const LONGEST_MS = 2_147_483_647

export interface ReporterOptions {
  /** Time between two reports. */
  readonly intervalMs: number
  /** Of the program. */
  readonly version: string
}

/**
 * Publishes the figures of a hub on `$SYS/broker/...`, retained, as far as they have changed. When it stops they go:
 * nobody is to take them for the figures of today.
 */
export class Reporter implements Service {
  readonly name = 'reporter'
  readonly #hub: Hub
  readonly #version: string
  #intervalMs: number
  #timer: NodeJS.Timeout | null = null
  /** What was published last, by topic. */
  readonly #said = new Map<string, string>()
  #loads: ReadonlyMap<LoadName, LoadAverage> = new Map()
  #loadsAt = 0
  #connects = 0
  #heapMaximum = 0
  readonly #onConnack = (): void => void this.#connects++

  constructor(hub: Hub, { intervalMs, version }: ReporterOptions) {
    this.#hub = hub
    this.#intervalMs = intervalMs
    this.#version = version
  }

  async start(): Promise<void> {
    if (this.#timer !== null) return
    this.#hub.on('connackSent', this.#onConnack)
    this.#connects = 0
    const snapshot = snapshotOf(this.#hub)
    const totals = Object.entries(loadTotals(snapshot, 0)) as [LoadName, number][]
    this.#loads = new Map(totals.map(([name, total]) => [name, new LoadAverage(total)]))
    this.#loadsAt = performance.now()
    this.#publish(snapshot)
    this.#arm()
  }

  /** Reports every `ms` milliseconds from now on; the next report comes after that time. */
  setInterval(ms: number): void {
    if (ms === this.#intervalMs) return
    this.#intervalMs = ms
    if (this.#timer === null) return
    clearInterval(this.#timer)
    this.#arm()
  }

  async stop(): Promise<void> {
    if (this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
    this.#hub.off('connackSent', this.#onConnack)
    for (const topic of this.#said.keys()) this.#hub.retained.store(topic, NOTHING, 0)
    this.#said.clear()
  }

  #arm(): void {
    this.#timer = setInterval(() => this.#report(), Math.min(this.#intervalMs, LONGEST_MS))
    this.#timer.unref()
  }

  #report(): void {
    if (this.#hub.closed) return
    const snapshot = snapshotOf(this.#hub)
    this.#average(loadTotals(snapshot, this.#connects))
    this.#publish(snapshot)
  }

  #average(totals: LoadTotals): void {
    const now = performance.now()
    for (const [name, load] of this.#loads) load.update(totals[name], now - this.#loadsAt)
    this.#loadsAt = now
  }

  #publish(snapshot: HubSnapshot): void {
    this.#heapMaximum = Math.max(this.#heapMaximum, snapshot.process.heapUsedBytes)
    const topics = sysTopics(snapshot, this.#loads, { version: this.#version, heapMaximum: this.#heapMaximum })
    for (const [topic, payload] of topics) {
      if (this.#said.get(topic) === payload) continue
      this.#said.set(topic, payload)
      this.#hub.tell(topic, () => payload, true)
    }
  }
}

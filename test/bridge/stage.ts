import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../crash/random.ts'
import { until } from '../crash/wait.ts'
import { Cast, RULES } from './cast.ts'
import { Ledger } from './ledger.ts'
import { Places, type PlacesOptions } from './places.ts'
import { type Fault, type FaultKind, planOf, RECOVERY_MS } from './plan.ts'

const SETTLE_MS = 20_000
const PROBE_STEP_MS = 200
const DRAIN_MS = 120_000
/** After everything has arrived, for what may come twice. */
const TRAILING_MS = 1000

export interface StageOptions extends PlacesOptions {
  /** Of flow. */
  readonly seconds: number
  readonly counts: Readonly<Record<FaultKind, number>>
  readonly cutMs: number
  /** Messages per second and direction at QoS 1. */
  readonly rate: number
  /** The same at QoS 2. */
  readonly rateQos2: number
  /** At the end: what is missing when nothing has come for so long is lost. Milliseconds. */
  readonly stillMs: number
  readonly random: Random
  readonly log: (line: string) => void
}

/** A fault that happened. */
export interface FaultRecord {
  readonly kind: FaultKind
  readonly downMs: number
  /** From its end until messages published after it arrived on all ways; null: that was not waited for. */
  readonly recoveryMs: number | null
}

export interface Outcome {
  readonly ledger: Ledger
  readonly faults: readonly FaultRecord[]
  readonly seconds: number
  readonly drainMs: number
  /** Most resident memory of the bridge, bytes. */
  readonly bridgePeak: number
}

/** One run: the places, the cast, the faults one after the other, and the ledger of what became of all messages. */
export class Stage {
  readonly #options: StageOptions
  readonly #ledger: Ledger
  readonly #places: Places
  readonly #cast: Cast
  readonly #faults: FaultRecord[] = []
  readonly #began = performance.now()

  private constructor(options: StageOptions, ledger: Ledger, places: Places) {
    this.#options = options
    this.#ledger = ledger
    this.#places = places
    const { hub, remote } = places
    const { rate, rateQos2, random } = options
    this.#cast = new Cast({ hub, remote, ledger, rate, rateQos2, random })
  }

  /** Plays all and tells what came of it. Whatever happens, every process is ended. */
  static async run(options: StageOptions): Promise<Outcome> {
    const ledger = new Ledger(text => {
      note(options.dir, text)
      options.log(`! ${text}`)
    })
    const places = await Places.make(options, RULES, how => ledger.violation('ended', how))
    return new Stage(options, ledger, places).#play()
  }

  async #play(): Promise<Outcome> {
    let drainMs = 0
    try {
      await this.#open()
      this.#cast.produce()
      await this.#playFaults()
      drainMs = await this.#drain()
    } catch (thrown) {
      // What does not come back ends the run, and is what the run has found.
      this.#ledger.violation('stuck', thrown instanceof Error ? thrown.message : String(thrown))
    } finally {
      this.#cast.leave()
      await this.#places.close()
    }
    this.#ledger.conclude()
    const seconds = (performance.now() - this.#began) / 1000
    const { peakMemory: bridgePeak } = this.#places.bridge
    return { ledger: this.#ledger, faults: this.#faults, seconds, drainMs, bridgePeak }
  }

  /** Everybody comes, and a probe has gone all ways: from then on both brokers keep what the bridge is to carry. */
  async #open(): Promise<void> {
    const { hub, remote, bridge } = this.#places
    const cast = this.#cast
    await Promise.all([hub.start(), remote.start()])
    cast.enter()
    if (!(await until(() => cast.isSubscribed, SETTLE_MS))) throw new Error('the clients can not connect and subscribe')
    bridge.start()
    const isThrough = await until(
      () => {
        cast.probe()
        return cast.silent.length === 0
      },
      SETTLE_MS,
      PROBE_STEP_MS,
    )
    if (isThrough) return
    throw new Error(`the bridge does not carry ${cast.silent.join(', ')}: ${bridge.output.trim().slice(-1500)}`)
  }

  async #playFaults(): Promise<void> {
    const { seconds, counts, cutMs, random, log } = this.#options
    const plan = planOf({ seconds, counts, cutMs, random: random.fork('plan') })
    const began = performance.now()
    const reach = async (s: number): Promise<void> => {
      const ms = began + s * 1000 - performance.now()
      if (ms > 0) await sleep(ms)
    }
    for (const [i, fault] of plan.entries()) {
      await reach(fault.atS)
      const number = `${i + 1}/${plan.length}`
      const what = `${fault.kind} for ${fault.downMs} ms${fault.takesBridge ? ', the bridge killed meanwhile' : ''}`
      this.#note(`${number} ${what}`)
      const record = await this.#suffer(fault)
      this.#faults.push(record)
      const { recoveryMs } = record
      const after = recoveryMs === null ? 'not waited for' : `flows again after ${Math.round(recoveryMs)} ms`
      this.#note(`${number} ${after}`)
      log(`${this.#clock} ${number} ${what}, ${after}; ${this.#ledger.totals}`)
    }
    await reach(seconds)
  }

  async #suffer(fault: Fault): Promise<FaultRecord> {
    const { kind, downMs, patienceMs } = fault
    await this.#places.begin(kind)
    await sleep(downMs / 2)
    if (fault.takesBridge) {
      await this.#places.begin('bridge killed')
      this.#places.bridge.start()
    }
    await sleep(downMs / 2)
    await this.#places.finish(fault)
    const since = performance.now()
    const marks = this.#ledger.streams.map(stream => ({ stream, mark: stream.length }))
    const hasRecovered = await until(() => marks.every(({ stream, mark }) => stream.highest >= mark), patienceMs)
    if (hasRecovered) return { kind, downMs, recoveryMs: performance.now() - since }
    if (patienceMs < RECOVERY_MS) return { kind, downMs, recoveryMs: null }
    const silent = marks.filter(({ stream, mark }) => stream.highest < mark)
    const topics = silent.map(({ stream, mark }) => `${stream.topic} (up to ${stream.highest} arrived, ${mark} wanted)`)
    throw new Error(`${RECOVERY_MS} ms after "${kind}" nothing new comes on ${topics.join(', ')}`)
  }

  /** Nothing new is published; waits until all has arrived or nothing comes any more. Returns how long that took. */
  async #drain(): Promise<number> {
    const ledger = this.#ledger
    const began = performance.now()
    this.#cast.stopProducing()
    let deliveries = -1
    let since = began
    await until(
      () => {
        if (ledger.isComplete) return true
        const now = performance.now()
        if (ledger.deliveries !== deliveries) since = now
        deliveries = ledger.deliveries
        return now - since > this.#options.stillMs
      },
      DRAIN_MS,
      50,
    )
    const ms = performance.now() - began
    this.#note(`drained in ${Math.round(ms)} ms, ${ledger.isComplete ? 'complete' : 'not complete'}`)
    await sleep(TRAILING_MS)
    return ms
  }

  get #clock(): string {
    return `${((performance.now() - this.#began) / 1000).toFixed(1).padStart(6)} s`
  }

  #note(text: string): void {
    note(this.#options.dir, text)
  }
}

/** The story of the run, beside the logs of the processes. */
function note(dir: string, text: string): void {
  appendFileSync(join(dir, 'events.log'), `${new Date().toISOString()} ${text}\n`)
}

import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

/** A timer that comes every ten milliseconds takes a twelfth of the throughput in JavaScript, and a fortieth in the runtime. */
const EVERY_MS = 100
const NANOS = 1e9

/** How late the event loop was since it was asked last, in seconds. */
export interface Lateness {
  readonly min: number
  readonly max: number
  readonly mean: number
  readonly deviation: number
  readonly p50: number
  readonly p90: number
  readonly p99: number
}

/**
 * Measures the event loop with a timer that should come ten times a second: what it comes later is the delay. Between
 * a look and the next call of the timer nothing is measured.
 */
export class LoopDelay {
  readonly #histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: EVERY_MS })

  start(): void {
    this.#histogram.reset()
    this.#histogram.enable()
  }

  stop(): void {
    this.#histogram.disable()
  }

  /** Begins anew. Null when nothing was measured yet. */
  take(): Lateness | null {
    const histogram = this.#histogram
    if (histogram.count === 0) return null
    const lateness = {
      min: delay(histogram.min),
      max: delay(histogram.max),
      mean: delay(histogram.mean),
      deviation: histogram.stddev / NANOS,
      p50: delay(histogram.percentile(50)),
      p90: delay(histogram.percentile(90)),
      p99: delay(histogram.percentile(99)),
    }
    histogram.reset()
    return lateness
  }
}

/** What is recorded is the time from one call of the timer to the next. */
function delay(nanos: number): number {
  return Math.max(nanos / NANOS - EVERY_MS / 1000, 0)
}

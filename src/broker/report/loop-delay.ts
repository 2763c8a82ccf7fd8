import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'

const EVERY_MS = 10
const MICROS_PER_MS = 1000
const MICROS = 1e6

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
 * Measures the event loop with a timer that should come every ten milliseconds: what it comes later is the delay. The
 * histogram that Node.js fills forgets, as often as it is reset, the delay that is under way: that of the scrape itself.
 */
export class LoopDelay {
  readonly #histogram: RecordableHistogram = createHistogram({ figures: 2 })
  #timer: NodeJS.Timeout | null = null
  #last = 0

  start(): void {
    this.stop()
    this.#histogram.reset()
    this.#last = performance.now()
    this.#timer = setInterval(() => this.#tick(), EVERY_MS)
    this.#timer.unref()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  /** Begins anew. Null when nothing was measured yet. */
  take(): Lateness | null {
    const histogram = this.#histogram
    if (histogram.count === 0) return null
    const { min, max, mean, stddev } = histogram
    const lateness = {
      min: min / MICROS,
      max: max / MICROS,
      mean: mean / MICROS,
      deviation: stddev / MICROS,
      p50: histogram.percentile(50) / MICROS,
      p90: histogram.percentile(90) / MICROS,
      p99: histogram.percentile(99) / MICROS,
    }
    histogram.reset()
    return lateness
  }

  #tick(): void {
    const now = performance.now()
    const late = Math.round((now - this.#last - EVERY_MS) * MICROS_PER_MS)
    this.#last = now
    this.#histogram.record(Math.max(late, 1)) // it takes no zero
  }
}

import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 10
const NANOS_PER_MS = 1e6
/** Who has not asked for so long does not watch any more. */
const WATCHED_MS = 10_000

/** How late the event loop was. Milliseconds. */
export interface LoopDelay {
  readonly meanMs: number
  readonly maxMs: number
}

/** Measures the event loop only while somebody asks: a timer that runs for nobody would keep the processor awake. */
export class LoopWatch {
  #delay: IntervalHistogram | null = null
  #timer: NodeJS.Timeout | null = null

  /** Since it was asked last; null the first time. */
  read(): LoopDelay | null {
    if (this.#delay === null) {
      this.#delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
      this.#delay.enable()
      this.#timer = setTimeout(() => this.close(), WATCHED_MS)
      this.#timer.unref()
      return null
    }
    this.#timer?.refresh()
    const { count, mean, max } = this.#delay
    this.#delay.reset()
    return count === 0 ? null : { meanMs: late(mean), maxMs: late(max) }
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#delay?.disable()
    this.#delay = null
  }
}

/** What is measured is the time from one tick of the timer to the next. */
function late(nanos: number): number {
  return Math.max(nanos / NANOS_PER_MS - RESOLUTION_MS, 0)
}

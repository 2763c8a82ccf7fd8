import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

const RESOLUTION_MS = 10
const NANOS_PER_MS = 1e6
/** Who has not asked for so long, or for so many of the times between two questions, does not watch any more. */
const WATCHED_MS = 10_000
const WATCHED_INTERVALS = 3
/** Between two questions, at most: whatever somebody says, a timer is not to run for ever. */
const MAX_INTERVAL_MS = 3_600_000

/** How late the event loop was. Milliseconds. */
export interface LoopDelay {
  readonly meanMs: number
  readonly maxMs: number
}

/** Measures the event loop only while somebody asks: a timer that runs for nobody would keep the processor awake. */
export class LoopWatch {
  #delay: IntervalHistogram | null = null
  #timer: NodeJS.Timeout | null = null
  /** When it ends, by performance.now(). */
  #until = 0

  /** Since it was asked last; null the first time. `intervalMs`: when it will be asked again, as far as is known. */
  read(intervalMs = 0): LoopDelay | null {
    this.#watchFor(Math.max(WATCHED_MS, WATCHED_INTERVALS * Math.min(intervalMs, MAX_INTERVAL_MS)))
    if (this.#delay === null) {
      this.#delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
      this.#delay.enable()
      return null
    }
    const { count, mean, max } = this.#delay
    this.#delay.reset()
    return count === 0 ? null : { meanMs: late(mean), maxMs: late(max) }
  }

  /** Or longer, when somebody else asked for it. */
  #watchFor(ms: number): void {
    const now = performance.now()
    this.#until = Math.max(this.#until, now + ms)
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.close(), this.#until - now)
    this.#timer.unref()
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#until = 0
    this.#delay?.disable()
    this.#delay = null
  }
}

/** What is measured is the time from one tick of the timer to the next. */
function late(nanos: number): number {
  return Math.max(nanos / NANOS_PER_MS - RESOLUTION_MS, 0)
}

const MINUTE_MS = 60_000

/** The spans that averages are made over, as they are called in topics. */
export const SPANS: readonly { readonly name: string; readonly ms: number }[] = [
  { name: '1min', ms: MINUTE_MS },
  { name: '5min', ms: 5 * MINUTE_MS },
  { name: '15min', ms: 15 * MINUTE_MS },
]

/**
 * How much is added to a counter per minute: averages that forget exponentially, as the load of a Unix machine. What
 * happened one span ago weighs 1/e of what happens now.
 */
export class LoadAverage {
  /** Per minute, in the order of SPANS. */
  readonly values: number[] = SPANS.map(() => 0)
  #last: number

  /** `total`: where the counter stands. */
  constructor(total: number) {
    this.#last = total
  }

  /** The counter stands at `total`, so many milliseconds after the last time. */
  update(total: number, elapsedMs: number): void {
    if (elapsedMs <= 0) return // two looks at one moment: the next one sees it all
    const perMinute = ((total - this.#last) * MINUTE_MS) / elapsedMs
    this.#last = total
    SPANS.forEach(({ ms }, i) => {
      const before = this.values[i] as number
      this.values[i] = perMinute + Math.exp(-elapsedMs / ms) * (before - perMinute)
    })
  }
}

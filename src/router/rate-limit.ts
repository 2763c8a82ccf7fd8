/** So many a second on average, and so many at once after a pause. */
export class RateLimit {
  readonly #perMs: number
  readonly #burst: number
  #tokens: number
  #at = Number.NEGATIVE_INFINITY

  /** `burst` 0: as many as `rate`. */
  constructor(rate: number, burst: number) {
    this.#perMs = rate / 1000
    this.#burst = burst === 0 ? rate : burst
    this.#tokens = this.#burst
  }

  /** How many of `count` may pass at this time, in milliseconds of a clock that never goes back. */
  admit(count: number, now: number): number {
    if (now > this.#at) {
      const added = (now - this.#at) * this.#perMs
      this.#tokens = Math.min(this.#tokens + added, this.#burst)
      this.#at = now
    }
    const admitted = Math.min(count, Math.floor(this.#tokens))
    this.#tokens -= admitted
    return admitted
  }
}

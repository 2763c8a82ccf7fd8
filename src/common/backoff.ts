export interface BackoffOptions {
  /** Upper bound of the first pause, milliseconds. */
  readonly minMs: number
  /** Upper bound of every pause, milliseconds. */
  readonly maxMs: number
  /** A number from 0 up to 1, of which each call gives another. Default Math.random. */
  readonly random?: () => number
}

/**
 * How long to wait before each of several attempts: not at all before the first, then a random time up to a bound that
 * doubles, so that many that failed together do not come back together.
 */
export class Backoff {
  readonly #options: BackoffOptions
  #attempts = 0

  constructor(options: BackoffOptions) {
    this.#options = options
  }

  /** Milliseconds to wait before the attempt that comes now. */
  next(): number {
    const { minMs, maxMs, random = Math.random } = this.#options
    const attempt = this.#attempts++
    // 2^40 milliseconds are decades.
    return attempt === 0 ? 0 : random() * Math.min(maxMs, minMs * 2 ** Math.min(attempt - 1, 40))
  }

  /** The next attempt is a first one again. */
  reset(): void {
    this.#attempts = 0
  }
}

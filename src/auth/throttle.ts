import { addressGroup } from './address.ts'

export interface ThrottleOptions {
  /** Milliseconds that never go back, such as `performance.now`. */
  readonly clock: () => number
  /** Failures that cost nothing. Default 5. */
  readonly freeFailures?: number
  /** Delay after the first failure that costs; it doubles with each further one. Default 250 ms. */
  readonly baseMs?: number
  /** The longest delay. Default 8000 ms. */
  readonly maxMs?: number
  /** An address that did not fail for so long is forgotten. Default 10 minutes. */
  readonly forgetMs?: number
  /** Addresses remembered; beyond that the one that failed longest ago is forgotten. Default 10000. */
  readonly maxAddresses?: number
}

interface Offender {
  failures: number
  failedAt: number
  /** When failures were last forgiven, or the time of the last failure. */
  quietSince: number
}

/**
 * Slows down whoever tries passwords: after some failures an address has to wait before its next attempt, longer each
 * time. IPv6 addresses count per /64. An empty address (unix sockets, streams) never waits.
 *
 * A success is no proof that the failures before it were innocent: with one account of their own, someone could log in
 * between guesses. So it halves the failures only when the longest delay has passed since the last failure or the last
 * halving, which is what waiting would have cost anyway. A device that had a wrong password for a while is back to
 * normal after a few successes or after `forgetMs`.
 */
export class Throttle {
  readonly #clock: () => number
  readonly #freeFailures: number
  readonly #baseMs: number
  readonly #maxMs: number
  readonly #forgetMs: number
  readonly #maxAddresses: number
  /** More failures than that make no difference; counting on would only put off forgiveness. */
  readonly #maxFailures: number
  /** In the order of their last failure. */
  readonly #offenders = new Map<string, Offender>()

  constructor(options: ThrottleOptions) {
    this.#clock = options.clock
    this.#freeFailures = options.freeFailures ?? 5
    this.#baseMs = options.baseMs ?? 250
    this.#maxMs = options.maxMs ?? 8000
    this.#forgetMs = options.forgetMs ?? 10 * 60_000
    this.#maxAddresses = options.maxAddresses ?? 10_000
    const doublings = Math.max(0, Math.ceil(Math.log2(this.#maxMs / this.#baseMs)))
    this.#maxFailures = this.#freeFailures + 1 + doublings
  }

  /**
   * Milliseconds from now until `address` may try again, 0 for at once. Asking changes nothing. Whoever waited should ask
   * again before trying: of many connections that waited for the same moment, the first to fail makes the others wait on.
   */
  delayMs(address: string): number {
    if (address === '') return 0
    const now = this.#clock()
    const offender = this.#find(addressGroup(address), now)
    if (offender === undefined || offender.failures <= this.#freeFailures) return 0
    const delay = Math.min(this.#maxMs, this.#baseMs * 2 ** (offender.failures - this.#freeFailures - 1))
    return Math.max(0, offender.failedAt + delay - now)
  }

  /** Whether `address` failed and is not forgiven: then its attempts are looked at one by one. */
  isSuspect(address: string): boolean {
    return address !== '' && this.#find(addressGroup(address), this.#clock()) !== undefined
  }

  failed(address: string): void {
    if (address === '') return
    const now = this.#clock()
    const key = addressGroup(address)
    const failures = Math.min(this.#maxFailures, (this.#find(key, now)?.failures ?? 0) + 1)
    this.#offenders.delete(key)
    this.#offenders.set(key, { failures, failedAt: now, quietSince: now })
    this.#forget(now)
  }

  succeeded(address: string): void {
    if (address === '') return
    const now = this.#clock()
    const key = addressGroup(address)
    const offender = this.#find(key, now)
    if (offender === undefined || now - offender.quietSince < this.#maxMs) return
    offender.failures = Math.floor(offender.failures / 2)
    offender.quietSince = now
    if (offender.failures === 0) this.#offenders.delete(key)
  }

  #find(key: string, now: number): Offender | undefined {
    const offender = this.#offenders.get(key)
    if (offender === undefined || now - offender.failedAt < this.#forgetMs) return offender
    this.#offenders.delete(key)
    return undefined
  }

  /** Drops those that are too old, and the oldest of too many. */
  #forget(now: number): void {
    for (const [key, { failedAt }] of this.#offenders) {
      if (this.#offenders.size <= this.#maxAddresses && now - failedAt < this.#forgetMs) return
      this.#offenders.delete(key)
    }
  }
}

/** A message that has not come back for so long, milliseconds, will not. */
export const PROOF_MS = 5000
/** How long a good verdict stands: a message may also have been lost. */
const KEPT_MS = 60_000
const PROBES = 3
/** The same message again says something new after this only: many alike at once may be somebody else's. */
const AGAIN_MS = 1000

interface Probe {
  readonly key: number
  readonly at: number
  isBack: boolean
}

/**
 * Whether messages that should not come back do so. Brokers may take the bit of a bridge and do nothing about it, and two addresses
 * may be those of one broker. Seen from a few messages that would come back then. All of them came back: they do. One did not:
 * they do not, and nothing more is looked at for a while.
 *
 * That somebody else publishes the very same messages at the same time can't be told from this. So where they come back, that
 * is looked at on and on, and the first message that stays away begins it anew.
 *
 * Times are milliseconds of a clock that never goes back; messages are known by a key made of their content.
 */
export class Proof {
  #state: 'open' | 'kept' | 'broken' = 'open'
  #probes: Probe[] = []
  /** Of the probes, those that are not back. */
  #missing = 0
  #keptAt = 0

  /** They do not come back. */
  isKept(now: number): boolean {
    if (this.#state === 'kept' && now - this.#keptAt >= KEPT_MS) this.#state = 'open'
    return this.#state === 'kept'
  }

  /** They come back. */
  get isBroken(): boolean {
    return this.#state === 'broken'
  }

  /** Whether the next message is to be told to sent(). */
  wants(now: number): boolean {
    this.#judge(now)
    return !this.isKept(now) && this.#probes.length < PROBES
  }

  /** Whether a message that comes is to be told to cameBack(). */
  get isWaiting(): boolean {
    return this.#missing > 0
  }

  /** A message was published that comes back if it can. */
  sent(key: number, now: number): void {
    if (this.#probes.some(probe => probe.key === key && now - probe.at < AGAIN_MS)) return
    this.#probes.push({ key, at: now, isBack: false })
    this.#missing++
  }

  /** A message came that may be one of those. Whether that makes clear that they come back, which was not so before. */
  cameBack(key: number, now: number): boolean {
    this.#judge(now)
    const probe = this.#probes.find(each => each.key === key && !each.isBack)
    if (probe === undefined) return false
    probe.isBack = true
    this.#missing--
    if (this.#missing > 0 || this.#probes.length < PROBES) return false
    this.#probes = []
    const isNews = this.#state !== 'broken'
    this.#state = 'broken'
    return isNews
  }

  /** There is a new connection: what was on its way on the last one says nothing. */
  begin(): void {
    if (this.#state === 'kept') this.#state = 'open'
    this.#forgetProbes()
  }

  #judge(now: number): void {
    if (this.#missing === 0) return
    if (!this.#probes.some(({ at, isBack }) => !isBack && now - at >= PROOF_MS)) return
    this.#state = this.#state === 'broken' ? 'open' : 'kept'
    this.#keptAt = now
    this.#forgetProbes()
  }

  #forgetProbes(): void {
    this.#probes = []
    this.#missing = 0
  }
}

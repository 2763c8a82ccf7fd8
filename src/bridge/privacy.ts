import { ConnectRefused, PeerClosed } from './failure-kinds.ts'

/** CONNACK: unacceptable protocol level [MQTT-3.1.2-2]. */
const BAD_LEVEL = 1
/** Connections with the bit that are closed in a row before it is suspected: one may be an accident. */
const MOST_CLOSES = 2
/** The same for a broker that has taken the bit before: it is down, most likely. */
const MOST_CLOSES_ONCE_GRANTED = 10
/** A broker that refused may have learned it since. */
const ASK_AGAIN_MS = 3_600_000

/**
 * Whether a broker is told that this is a bridge, by a bit in the protocol level: then it sends nothing back that came from
 * here, and keeps RETAIN as it was published. Most brokers know it; one that does not ends the connection, and is asked in
 * the ordinary way next. When that succeeds it was the bit, and it is left out for a good while.
 *
 * Times are milliseconds of a clock that never goes back.
 */
export class Privacy {
  #knowledge: 'unknown' | 'granted' | 'refused' = 'unknown'
  /** The bit is in the CONNECT of this attempt. */
  #isAsked = false
  #isSuspected = false
  /** Connections with the bit that were closed before CONNACK, since one was not. */
  #closes = 0
  #isNextAtOnce = false
  #refusedAt = 0

  get isAsked(): boolean {
    return this.#isAsked
  }

  get isGranted(): boolean {
    return this.#knowledge === 'granted' && this.#isAsked
  }

  /** The next attempt is to come at once, to see whether it was the bit. */
  get isNextAtOnce(): boolean {
    return this.#isNextAtOnce
  }

  /** An attempt begins. Whether the bit is to be set. */
  begin(isWanted: boolean, now: number): boolean {
    if (this.#knowledge === 'refused' && now - this.#refusedAt >= ASK_AGAIN_MS) this.#knowledge = 'unknown'
    this.#isAsked = isWanted && this.#knowledge !== 'refused' && !this.#isSuspected
    return this.#isAsked
  }

  /** CONNACK says yes. */
  accepted(now: number): void {
    if (this.#isAsked) {
      this.#knowledge = 'granted'
      this.#closes = 0
    } else if (this.#isSuspected) {
      this.#knowledge = 'refused'
      this.#refusedAt = now
    }
    this.#isSuspected = false
  }

  /** An attempt is over. Whether it was the bit perhaps, so that nothing has to be said of it. */
  ended(phase: string, failure: unknown): boolean {
    this.#isSuspected = false
    this.#isNextAtOnce = false
    if (!this.#isAsked || phase !== 'connack') return false
    if (failure instanceof ConnectRefused && failure.returnCode === BAD_LEVEL) {
      this.#knowledge = 'unknown'
      this.#isSuspected = true
    } else if (failure instanceof PeerClosed || isCut(failure)) {
      this.#closes++
      const isKnown = this.#knowledge === 'granted'
      this.#isSuspected = this.#closes >= (isKnown ? MOST_CLOSES_ONCE_GRANTED : MOST_CLOSES)
      this.#isNextAtOnce = !isKnown
    } else this.#closes = 0
    this.#isNextAtOnce ||= this.#isSuspected
    return this.#isNextAtOnce
  }

  /** It may be another broker from now on. */
  forget(): void {
    this.#knowledge = 'unknown'
    this.#isSuspected = false
    this.#isNextAtOnce = false
    this.#closes = 0
  }
}

/** The connection broke, other than by an alert of TLS, which says why. */
function isCut(failure: unknown): boolean {
  if (!(failure instanceof Error) || !('code' in failure)) return false
  return typeof failure.code === 'string' && !failure.code.startsWith('ERR_SSL_')
}

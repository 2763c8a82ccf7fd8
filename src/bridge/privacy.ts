import { ConnectRefused, PeerClosed } from './failure-kinds.ts'

/** CONNACK: unacceptable protocol level [MQTT-3.1.2-2]. */
const BAD_LEVEL = 1

/**
 * Whether a broker is told that this is a bridge, by a bit in the protocol level: then it sends nothing back that came from
 * here, and keeps RETAIN as it was published. Most brokers know it; one that does not ends the connection, and is asked in
 * the ordinary way next. When that succeeds it was the bit, and it is left out from then on.
 */
export class Privacy {
  #knowledge: 'unknown' | 'granted' | 'refused' = 'unknown'
  /** The bit is in the CONNECT of this attempt. */
  #isAsked = false
  #isSuspected = false

  get isAsked(): boolean {
    return this.#isAsked
  }

  get isGranted(): boolean {
    return this.#knowledge === 'granted' && this.#isAsked
  }

  /** The next attempt is to come at once, to see whether it was the bit. */
  get isNextAtOnce(): boolean {
    return this.#isSuspected
  }

  /** An attempt begins. Whether the bit is to be set. */
  begin(isWanted: boolean): boolean {
    this.#isAsked = isWanted && this.#knowledge !== 'refused' && !this.#isSuspected
    return this.#isAsked
  }

  /** CONNACK says yes. */
  accepted(): void {
    if (this.#isAsked) this.#knowledge = 'granted'
    else if (this.#isSuspected) this.#knowledge = 'refused'
    this.#isSuspected = false
  }

  /** An attempt is over. Whether it was the bit perhaps, so that nothing has to be said of it. */
  ended(phase: string, failure: unknown): boolean {
    const wasSuspected = this.#isSuspected
    this.#isSuspected = false
    if (!this.#isAsked || phase !== 'connack' || wasSuspected) return false
    const isRefused = failure instanceof ConnectRefused && failure.returnCode === BAD_LEVEL
    const isClosed = failure instanceof PeerClosed || (failure instanceof Error && 'code' in failure)
    if (isRefused && this.#knowledge === 'granted') this.#knowledge = 'unknown'
    this.#isSuspected = isRefused || (isClosed && this.#knowledge === 'unknown')
    return this.#isSuspected
  }

  /** It may be another broker from now on. */
  forget(): void {
    this.#knowledge = 'unknown'
    this.#isSuspected = false
  }
}

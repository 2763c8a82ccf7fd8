/** Connections in a row that came to nothing before a single message is suspected. */
const BARREN = 3
/** Times that a message alone has to end a connection. */
const TRIES = 3
/** How long a connection has to stand without a message, and how soon behind one it has to end, milliseconds. */
export const PROBATION_MS = 2000

/** How a connection to the target ended. */
export interface Ending {
  /** Messages that were sent on it, and acknowledgements that came. */
  readonly sent: number
  readonly acknowledged: number
  /** The broker ended it, not the network or a time-out. */
  readonly isByPeer: boolean
  /** How long ago the suspect was sent on it; Infinity: it was not. */
  readonly sinceSuspectMs: number
}

/**
 * Finds the message that makes a broker close the connection, as brokers do with what they do not permit: without this it
 * would be sent again for ever and everything behind it would wait. When several connections in a row ended without one
 * acknowledgement, the oldest message is sent alone, on a connection that has stood for a while; when the broker closes that at once,
 * time after time, the message is given up.
 */
export class Quarantine {
  #barren = 0
  #tries = 0

  /** Messages go one at a time. */
  get isOn(): boolean {
    return this.#barren >= BARREN
  }

  /** Something was acknowledged. */
  lift(): void {
    this.#barren = 0
    this.#tries = 0
  }

  /** Whether the suspect has to be given up. */
  convicts({ sent, acknowledged, isByPeer, sinceSuspectMs }: Ending): boolean {
    if (!this.isOn) {
      this.#barren = isByPeer && sent > 0 && acknowledged === 0 ? this.#barren + 1 : 0
      return false
    }
    if (!isByPeer || sinceSuspectMs > PROBATION_MS) return false
    this.#tries++
    if (this.#tries < TRIES) return false
    this.lift()
    return true
  }
}

import { PUBACK_BYTE, PUBCOMP_BYTE, PUBREC_BYTE } from '../wire/index.ts'
import type { Entry } from './entry.ts'
import type { FlowEnd } from './flow-end.ts'

/** What the source of a flow is told of its messages. */
export class SourceSide {
  /** Counts the connections of the source. */
  epoch = 0
  /** It has come back, and repeats what it was not told of before it sends anything new. */
  isRepeating = false
  readonly #end: FlowEnd
  /** Messages of QoS 2 that went no further; PUBREL is to come. */
  readonly #closed = new Set<number>()

  constructor(end: FlowEnd) {
    this.#end = end
  }

  get isThere(): boolean {
    return this.#end.connection !== null
  }

  up(sessionPresent: boolean): void {
    this.epoch++
    this.isRepeating = sessionPresent
    if (!sessionPresent) this.#closed.clear()
  }

  /** Reads on, if it was asked to wait. */
  resume(): void {
    this.#end.connection?.resume()
  }

  /** Asks it to wait. */
  pause(): void {
    this.#end.connection?.pause()
  }

  fail(problem: string): void {
    this.#end.fail(problem)
  }

  /** Tells it of a message. False when it can't be told on this connection. */
  tell(entry: Entry, byte: number): boolean {
    const { connection } = this.#end
    if (connection === null || entry.epoch !== this.epoch) return false
    // A second PUBREC would have a second PUBREL follow, which may meet the next message of that identifier.
    if (byte === PUBREC_BYTE && entry.toldEpoch === this.epoch) return true
    if (byte === PUBREC_BYTE) entry.toldEpoch = this.epoch
    connection.acknowledge(byte, entry.sourceId)
    return true
  }

  /** Says that a message is taken which is on no way any more. */
  takes(qos: number, id: number): void {
    if (qos === 2) this.#closed.add(id)
    this.#end.connection?.acknowledge(qos === 2 ? PUBREC_BYTE : PUBACK_BYTE, id)
  }

  /** Another message has that identifier now. */
  reopen(id: number): void {
    if (this.#closed.size > 0) this.#closed.delete(id)
  }

  /** Whether PUBREL is for a message that went no further; it is, once. */
  closes(id: number): boolean {
    return this.#closed.delete(id)
  }

  pubcomp(id: number): void {
    this.#end.connection?.acknowledge(PUBCOMP_BYTE, id)
  }
}

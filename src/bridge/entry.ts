import { topicOf } from './outgoing.ts'

/** It has not been sent to the target. */
export const WAITING = 0
/** PUBLISH was sent; PUBACK or PUBREC is to come. */
export const SENT = 1
/** QoS 2: the target said PUBREC; PUBREL from the source is to come. */
export const RECEIVED = 2
/** QoS 2: PUBREL was sent; PUBCOMP is to come. */
export const RELEASED = 3
/** The target has it for good, and the source could not be told. */
export const DONE = 4
/** The target has it for good, the source was told with PUBREC, and PUBREL from it is to come: taken with QoS 2, sent with 1. */
export const ANSWERED = 5

export type EntryState =
  | typeof WAITING
  | typeof SENT
  | typeof RECEIVED
  | typeof RELEASED
  | typeof DONE
  | typeof ANSWERED

/** No connection of the source has this number: nobody is told. */
export const NOBODY = -1

/** A message on its way through one direction of a rule. */
export class Entry {
  state: EntryState = WAITING
  /** Packet identifier at the source; 0: QoS 0. */
  readonly sourceId: number
  readonly sourceQos: number
  /** The connection of the source that it last came by, counted; NOBODY: the source knows nothing of it any more. */
  epoch: number
  /** Packet identifier at the target, the same if it was free. */
  readonly outId: number
  readonly outQos: number
  /** The PUBLISH packet as it goes to the target, at bytes[start..end); none for one whose PUBREL alone is known. */
  bytes: Buffer
  start: number
  end: number
  /** When it came, on the clock of performance.now(). */
  readonly at: number
  /** It had been sent before, by the source, to an earlier life of this bridge perhaps. */
  readonly isAgain: boolean

  constructor(
    source: { id: number; qos: number; epoch: number; isAgain: boolean },
    out: { id: number; qos: number },
    packet: { bytes: Buffer; start: number; end: number },
    at: number,
  ) {
    this.sourceId = source.id
    this.sourceQos = source.qos
    this.epoch = source.epoch
    this.isAgain = source.isAgain
    this.outId = out.id
    this.outQos = out.qos
    this.bytes = packet.bytes
    this.start = packet.start
    this.end = packet.end
    this.at = at
  }

  get size(): number {
    return this.end - this.start
  }

  /** The topic at the target. */
  topic(): string {
    return topicOf(this.bytes, this.start)
  }

  /** Moves the packet into memory of its own: what it lies in is larger, and must not be kept for its sake. */
  own(): void {
    if (this.bytes.length === this.size) return
    const own = Buffer.allocUnsafeSlow(this.size)
    this.bytes.copy(own, 0, this.start, this.end)
    this.bytes = own
    this.start = 0
    this.end = own.length
  }
}

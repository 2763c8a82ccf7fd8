import { crc32 } from 'node:zlib'
import { payloadOf, topicOf } from './outgoing.ts'

/** It has not been sent to the target. */
const WAITING = 0
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

type EntryState = typeof WAITING | typeof SENT | typeof RECEIVED | typeof RELEASED | typeof DONE | typeof ANSWERED

/** No connection of the source has this number: nobody is told. */
export const NOBODY = -1

const NOTHING = Buffer.alloc(0)

/** A message on its way through one direction of a rule. */
export class Entry {
  state: EntryState = WAITING
  /** Packet identifier at the source; 0: QoS 0. */
  sourceId = 0
  sourceQos = 0
  /** The connection of the source that it last came by, counted; NOBODY: the source knows nothing of it any more. */
  epoch = NOBODY
  /** Packet identifier at the target, the same if it was free. */
  outId = 0
  outQos = 0
  /** The source had sent it before, to an earlier life of this bridge perhaps. */
  isAgain = false
  /** QoS 2: the source has said PUBREL. */
  isReleased = false
  /** QoS 2: the connection of the source that was told PUBREC. */
  toldEpoch = NOBODY
  /** The PUBLISH packet as it goes to the target, at bytes[start..end); none for one whose PUBREL alone is known. */
  bytes: Buffer
  start: number
  end: number
  /** When it came, on the clock of performance.now(). */
  readonly at: number
  /** What is left of the payload when the packet is no longer needed: its length and a sum. */
  #length = -1
  #sum = 0

  constructor(bytes: Buffer, start: number, end: number, at: number) {
    this.bytes = bytes
    this.start = start
    this.end = end
    this.at = at
  }

  /** One that an earlier process has sent and that the source asks to finish: only its identifier is known. */
  static ofPubrel(at: number): Entry {
    return new Entry(NOTHING, 0, 0, at)
  }

  /** Bytes of the packet. */
  get size(): number {
    return this.end - this.start
  }

  /** The target has it: it need not be sent again. */
  get isFinished(): boolean {
    return this.state === DONE || this.state === ANSWERED
  }

  /** The topic at the target; empty when the packet is not known. */
  topic(): string {
    return this.size === 0 ? '' : topicOf(this.bytes, this.start)
  }

  /** Whether it has this payload. */
  hasPayload(bytes: Buffer, start: number, end: number): boolean {
    if (this.#length >= 0) return this.#length === end - start && this.#sum === crc32(bytes.subarray(start, end))
    return this.size > 0 && payloadOf(this.bytes, this.start, this.end).equals(bytes.subarray(start, end))
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

  /** Gives the packet away; what is left is enough to know the message again. */
  seal(): void {
    if (this.size === 0) return
    const payload = payloadOf(this.bytes, this.start, this.end)
    this.#length = payload.length
    this.#sum = crc32(payload)
    this.bytes = NOTHING
    this.start = 0
    this.end = 0
  }
}

import { type PacketSink, refusePuback } from '../../e2e/load/client.ts'
import { isSame } from '../../e2e/load/is-same.ts'
import { NUMBER_AT, PAYLOAD_HEADER, RUN_AT, type Sender } from '../../e2e/load/sender.ts'

/** Which of the messages a session should get: number `first` and every `step`-th after it. */
export interface Share {
  first: number
  step: number
}

const ALL: Share = { first: 0, step: 1 }

export interface Faults {
  duplicates: number
  /** Came after a later one. */
  disordered: number
  /** Another payload, topic, QoS or RETAIN flag than was sent, or a message of another session. */
  wrong: number
}

/** Takes the messages that waited for a session, checks each against what was published, and counts. */
export class Collector implements PacketSink {
  readonly puback = refusePuback
  readonly faults: Faults = { duplicates: 0, disordered: 0, wrong: 0 }
  /** Messages that came, each counted once. */
  arrived = 0
  readonly #sender: Sender
  readonly #run: number
  readonly #share: Share
  readonly #seen: Uint8Array
  #next = 0

  /** For a sender that will send no more: its ring is used to rebuild what it sent. */
  constructor(sender: Sender, run: number, share = ALL) {
    this.#sender = sender
    this.#run = run
    this.#share = share
    this.#seen = new Uint8Array(sharedOut(sender.made, share))
  }

  publish(first: number, bytes: Buffer, view: DataView, at: number, end: number): void {
    const topicLength = end - at < 2 ? end : view.getUint16(at)
    const payload = at + 2 + topicLength + 2
    // A message may have been on its way before: DUP is no fault.
    if ((first & ~8) !== 0x32 || end - payload < PAYLOAD_HEADER) return this.#wrong()
    const number = view.getUint32(payload + NUMBER_AT)
    const index = (number - this.#share.first) / this.#share.step
    if (number >= this.#sender.made || !Number.isInteger(index) || view.getUint32(payload + RUN_AT) !== this.#run) {
      return this.#wrong()
    }
    if (!this.#isAsSent(number, bytes, view, { at, payload, end })) return this.#wrong()
    if (this.#seen[index] === 1) {
      this.faults.duplicates++
      return
    }
    this.#seen[index] = 1
    this.arrived++
    if (index < this.#next) this.faults.disordered++
    else this.#next = index + 1
  }

  /** How many of its messages with a number below this one have not come. */
  missing(below: number): number {
    const expected = sharedOut(below, this.#share)
    let missing = 0
    for (let i = 0; i < expected; i++) if (this.#seen[i] === 0) missing++
    return missing
  }

  get isFaultless(): boolean {
    const { duplicates, disordered, wrong } = this.faults
    return duplicates + disordered + wrong === 0
  }

  #isAsSent(number: number, bytes: Buffer, view: DataView, is: { at: number; payload: number; end: number }): boolean {
    const { ring, view: ringView, slots, payloadAt, topicAt, size } = this.#sender
    const slot = number % slots
    const sent = payloadAt[slot] as number
    if (is.end - is.payload !== size) return false
    ringView.setInt32(sent + NUMBER_AT, number)
    if (!isSame(bytes, view, is.payload, ring, ringView, sent, size)) return false
    return isSame(bytes, view, is.at, ring, ringView, topicAt[slot] as number, is.payload - 2 - is.at)
  }

  #wrong(): void {
    this.faults.wrong++
  }
}

/** How many of the messages with a number below this one belong to the share. */
function sharedOut(below: number, { first, step }: Share): number {
  return Math.max(0, Math.ceil((below - first) / step))
}

import { publishPacket } from './packets.ts'
import type { Tally } from './tally.ts'

/** What each payload begins with: run (4 bytes), publisher (2), a spare zero (2), the publisher's message number (4). */
export const PAYLOAD_HEADER = 12
export const RUN_AT = 0
export const PUBLISHER_AT = 4
export const NUMBER_AT = 8

/** The first of the topics that a sender goes round, and so on. */
export interface SenderTopic {
  name: string
  receivers: number
}

export interface SenderOptions {
  run: number
  publisher: number
  topics: readonly SenderTopic[]
  qos: number
  /** Payload bytes. */
  size: number
  /** Messages that may wait for a delivery or an acknowledgement. */
  window: number
}

/**
 * One publisher's messages, as a ring of complete packets. Only the message number in a packet changes when its slot
 * comes round again, and that is not before every receiver has the former message: so bytes still in the socket's
 * buffers are never touched, and receivers can compare what they get with the slot, byte for byte.
 */
export class Sender {
  readonly ring: Buffer
  readonly view: DataView
  readonly slots: number
  readonly topicCount: number
  /** Payload bytes. */
  readonly size: number
  /** Where in the ring the topic (its length field) and the payload of a slot's packet begin. */
  readonly topicAt: Int32Array
  readonly payloadAt: Int32Array
  /** When the message in the slot was sent or due, on the clock of performance.now(). */
  readonly sentAt: Float64Array
  /** Whether the number of this publisher stands in the list of those that have room. */
  isListed = false
  /** How many messages were made so far, and how many of them are delivered to all and acknowledged. */
  made = 0
  done = 0
  readonly #options: SenderOptions
  readonly #tally: Tally
  readonly #withRoom: number[]
  readonly #packetAt: Int32Array
  readonly #receivers: Int32Array
  /** Deliveries and acknowledgement still to come, by slot. */
  readonly #pending: Int32Array
  readonly #awaitsAck: Uint8Array
  #written = 0

  /** `withRoom` is the list that the sender puts its number into when its window opens. */
  constructor(options: SenderOptions, tally: Tally, withRoom: number[]) {
    const { topics, window } = options
    this.#options = options
    this.#tally = tally
    this.#withRoom = withRoom
    this.topicCount = topics.length
    this.size = options.size
    // A slot always has the same topic; twice the window, so that few writes have to be split where the ring ends.
    this.slots = Math.ceil((2 * window) / topics.length) * topics.length
    if (this.slots > 65_535) throw new RangeError(`window ${window} needs more than 65535 packet identifiers`)
    const packets: Buffer[] = []
    this.topicAt = new Int32Array(this.slots)
    this.payloadAt = new Int32Array(this.slots)
    this.sentAt = new Float64Array(this.slots)
    this.#packetAt = new Int32Array(this.slots + 1)
    this.#receivers = new Int32Array(this.slots)
    this.#pending = new Int32Array(this.slots)
    this.#awaitsAck = new Uint8Array(this.slots)
    for (let slot = 0; slot < this.slots; slot++) {
      const topic = topics[slot % topics.length] as SenderTopic
      const payload = makePayload(options, slot)
      const packet = publishPacket({ topic: topic.name, payload, qos: options.qos, retain: false, packetId: slot + 1 })
      const end = (this.#packetAt[slot] as number) + packet.length
      this.#packetAt[slot + 1] = end
      this.payloadAt[slot] = end - payload.length
      this.topicAt[slot] = end - payload.length - (options.qos > 0 ? 2 : 0) - Buffer.byteLength(topic.name) - 2
      this.#receivers[slot] = topic.receivers
      packets.push(packet)
    }
    this.ring = Buffer.concat(packets)
    this.view = new DataView(this.ring.buffer, this.ring.byteOffset, this.ring.length)
  }

  /** How many more messages the window allows. */
  get room(): number {
    return this.#options.window - (this.made - this.done)
  }

  /** Makes the next message. There must be room for it. */
  make(sentAt: number): void {
    const number = this.made++
    const slot = number % this.slots
    this.view.setInt32((this.payloadAt[slot] as number) + NUMBER_AT, number)
    this.sentAt[slot] = sentAt
    const receivers = this.#receivers[slot] as number
    this.#tally.expected += receivers
    this.#pending[slot] = receivers
    if (this.#options.qos > 0) {
      this.#pending[slot] = receivers + 1
      this.#awaitsAck[slot] = 1
      this.#tally.acknowledgements++
    }
  }

  /** The bytes of the messages made since the last call: one piece, or two when the ring ended in between. */
  takeUnwritten(): Buffer[] {
    if (this.#written === this.made) return []
    const from = this.#written % this.slots
    const to = this.made % this.slots
    this.#written = this.made
    const start = this.#packetAt[from] as number
    if (from < to) return [this.ring.subarray(start, this.#packetAt[to])]
    const first = this.ring.subarray(start)
    return to === 0 ? [first] : [first, this.ring.subarray(0, this.#packetAt[to])]
  }

  /** One receiver has the message in this slot. */
  delivered(slot: number): void {
    const left = (this.#pending[slot] as number) - 1
    this.#pending[slot] = left
    if (left === 0) this.#advance()
  }

  puback(packetId: number): void {
    const slot = packetId - 1
    if (this.#awaitsAck[slot] !== 1) {
      this.#tally.fault('unknownAck', `PUBACK ${packetId} to publisher ${this.#options.publisher}`)
      return
    }
    this.#awaitsAck[slot] = 0
    this.#tally.acknowledged++
    this.delivered(slot)
  }

  #advance(): void {
    while (this.done < this.made && this.#pending[this.done % this.slots] === 0) this.done++
    if (this.isListed || this.room === 0) return
    this.isListed = true
    this.#withRoom.push(this.#options.publisher)
  }
}

function makePayload({ run, publisher, size }: SenderOptions, slot: number): Buffer {
  const payload = Buffer.alloc(size)
  for (let i = PAYLOAD_HEADER; i < size; i++) payload[i] = (i * 31 + slot * 7 + publisher * 13 + (run & 255)) & 255
  payload.writeUInt32BE(run, RUN_AT)
  payload.writeUInt16BE(publisher, PUBLISHER_AT)
  return payload
}

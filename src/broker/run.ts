import { copyBytes, writeRemaining } from '../wire/index.ts'
import { LOANED, Message, OF_RUN } from './message.ts'

const SMALL = 2048
/** First byte, remaining length, length of the topic, packet identifier. */
const HEAD = 9
/** Runs that are larger when they are rewritten get memory for themselves. */
const LARGEST_SCRATCH = 262_144

/** Most packets in one run: bounds the arrays, large enough that a full read of small packets is a run or two. */
const MAX_RUN = 1024

/**
 * PUBLISH packets that came one behind the other on one connection, all of one topic and one QoS, without DUP and
 * RETAIN. They are routed as one: every receiver gets one copy of the bytes, and 50 messages to 100 subscribers cost
 * 100 steps, not 5,000.
 */
export class Run {
  source: Buffer = Buffer.alloc(0)
  start = 0
  end = 0
  count = 0
  qos = 0
  /** The number of its first message in the log; 0: it is not stored. */
  seq = 0
  /** Bytes of all payloads. */
  payloadBytes = 0
  /** Where each packet begins. */
  readonly at = new Int32Array(MAX_RUN)
  /** Where each packet identifier is (behind the topic at QoS 0, where none is). */
  readonly idAt = new Int32Array(MAX_RUN)
  #topicLength = 0
  #isShared = false
  /** A copy of all packets that may be kept, made when the first is; and where it begins in the source's positions. */
  #kept: Buffer | null = null
  #shift = 0
  /** Whose memory the messages lie in. */
  #memory = LOANED
  readonly #messages: (Message | null)[] = Array.from({ length: MAX_RUN }, () => null)
  #made = false
  #downgraded: Buffer | null = null
  /** Memory of its own, for packets that are rewritten. */
  #scratch: Buffer | null = null

  begin(source: Buffer, start: number, qos: number, topicLength: number, isShared: boolean): void {
    this.#isShared = isShared
    this.#kept = null
    this.#memory = LOANED
    this.#shift = 0
    this.source = source
    this.start = start
    this.end = start
    this.qos = qos
    this.#topicLength = topicLength
    this.payloadBytes = 0
  }

  /** Becomes `count` packets of another run, from the `first` on, under another topic and with a QoS that is not higher. */
  rewrite(from: Run, topic: Buffer, qos: number, first: number, count: number): void {
    const room = from.end - from.start + count * (topic.length + HEAD)
    const scratch = this.#room(room)
    this.begin(scratch, 0, qos, topic.length, room <= LARGEST_SCRATCH)
    const skip = from.qos > 0 ? 2 : 0
    const idBytes = qos > 0 ? 2 : 0
    for (let i = first; i < first + count; i++) {
      const payloadAt = (from.idAt[i] as number) + skip
      const payloadEnd = i + 1 < from.count ? (from.at[i + 1] as number) : from.end
      scratch[this.end] = 0x30 | (qos << 1)
      const topicAt = writeRemaining(scratch, this.end + 1, 2 + topic.length + idBytes + payloadEnd - payloadAt)
      scratch[topicAt] = topic.length >> 8
      scratch[topicAt + 1] = topic.length & 0xff
      copyBytes(topic, 0, topic.length, scratch, topicAt + 2)
      const idAt = topicAt + 2 + topic.length
      if (qos > 0) {
        scratch[idAt] = 0
        scratch[idAt + 1] = 1 // each receiver gets one of its own
      }
      copyBytes(from.source, payloadAt, payloadEnd, scratch, idAt + idBytes)
      this.add(idAt + idBytes + payloadEnd - payloadAt, idAt)
    }
  }

  #room(bytes: number): Buffer {
    if (bytes > LARGEST_SCRATCH) return Buffer.allocUnsafeSlow(bytes)
    if (this.#scratch === null || this.#scratch.length < bytes) {
      const size = Math.min(Math.max(bytes * 2, SMALL), LARGEST_SCRATCH)
      this.#scratch = Buffer.allocUnsafeSlow(size)
    }
    return this.#scratch
  }

  /** Adds the packet that lies from the end of the run to `end`. */
  add(end: number, idAt: number): void {
    const i = this.count++
    this.at[i] = this.end
    this.idAt[i] = idAt
    this.end = end
    this.payloadBytes += end - idAt - (this.qos > 0 ? 2 : 0)
  }

  /** Forgets all but the first `count` packets. */
  cut(count: number): void {
    if (count >= this.count) return
    this.payloadBytes = this.payloadOf(count)
    this.end = this.at[count] as number
    this.count = count
  }

  /** Bytes of the payloads of the first `count` packets. */
  payloadOf(count: number): number {
    if (count === this.count) return this.payloadBytes
    let bytes = 0
    for (let i = 0; i < count; i++) bytes += this.payload(i).length
    return bytes
  }

  /** Bytes of topics and payloads. */
  get size(): number {
    return this.payloadBytes + this.count * (this.#topicLength + 2)
  }

  /** The payload of the i-th packet where it lies: to be copied by who keeps it. */
  payload(i: number): Buffer {
    const end = i + 1 < this.count ? (this.at[i + 1] as number) : this.end
    return this.source.subarray((this.idAt[i] as number) + (this.qos > 0 ? 2 : 0), end)
  }

  /** The packets in memory that lasts. */
  packets(): Buffer {
    if (this.#isShared) return this.#keep()
    return Buffer.from(this.source.subarray(this.start, this.end))
  }

  /** The packets lie in memory that is used again soon: what is kept of them is copied. */
  get isShared(): boolean {
    return this.#isShared
  }

  get isFull(): boolean {
    return this.count === MAX_RUN
  }

  /** The i-th packet as a message that all its receivers share. */
  message(i: number): Message {
    const made = this.#messages[i] as Message | null
    if (made !== null) return made
    const idAt = this.idAt[i] as number
    const end = i + 1 < this.count ? (this.at[i + 1] as number) : this.end
    const payloadAt = this.qos > 0 ? idAt + 2 : idAt
    const bytes = this.#keep()
    const shift = this.#shift
    const topicAt = idAt - this.#topicLength - 2 - shift
    const message = new Message(bytes, topicAt, payloadAt - shift, end - shift, this.qos, false, this.#memory)
    if (this.seq > 0) message.seq = this.seq + i
    this.#messages[i] = message
    this.#made = true
    return message
  }

  #keep(): Buffer {
    if (!this.#isShared) return this.source
    if (this.#kept === null) {
      const length = this.end - this.start
      // A few bytes share memory with other small buffers; whoever keeps a message for long gives it memory of its own.
      this.#kept = length <= SMALL ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length)
      this.#memory = length <= SMALL ? LOANED : OF_RUN
      this.source.copy(this.#kept, 0, this.start, this.end)
      this.#shift = this.start
    }
    return this.#kept
  }

  /** The run's packets as QoS 0 packets, for receivers that were granted no more; made once. */
  downgraded(): Buffer {
    if (this.#downgraded !== null) return this.#downgraded
    const image = Buffer.allocUnsafeSlow(this.end - this.start)
    let to = 0
    for (let i = 0; i < this.count; i++) {
      const message = this.message(i)
      image[to] = 0x30
      to = writeRemaining(image, to + 1, message.size)
      message.bytes.copy(image, to, message.topicAt, message.topicAt + 2 + this.#topicLength)
      to += 2 + this.#topicLength
      message.bytes.copy(image, to, message.payloadAt, message.end)
      to += message.end - message.payloadAt
    }
    this.#downgraded = image.subarray(0, to)
    return this.#downgraded
  }

  /** Forgets the packets. */
  reset(): void {
    if (this.#made) for (let i = 0; i < this.count; i++) this.#messages[i] = null
    this.#made = false
    this.#downgraded = null
    this.#kept = null
    this.count = 0
    this.seq = 0
  }
}

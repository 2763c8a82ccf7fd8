import { byteLengthOfRemaining, copyBytes, writeRemaining } from '../wire/index.ts'

/** The bytes of a message lie in a chunk that others share and that it must not pin. */
export const LOANED = 0
/** They lie in a copy of the run it came in. */
export const OF_RUN = 1
/** They are all that is in their memory. */
const OWN = 2

/**
 * An application message as it lies in some buffer: where its topic and payload are, not a copy of them. Fan-out
 * shares one Message; what differs between receivers (QoS, DUP, packet identifier) is written when it is sent.
 */
export class Message {
  /** Holds the bytes; replaced by a copy of just this message when it has to be kept (see own()). */
  bytes: Buffer
  /** Where the two length bytes of the topic are; the topic follows. */
  topicAt: number
  payloadAt: number
  end: number
  /** The QoS it was published with. */
  readonly qos: number
  /** The RETAIN flag it is delivered with: 1 only for a stored message sent because of a SUBSCRIBE [MQTT-3.3.1-8], and to bridges. */
  readonly retain: boolean
  /** Its number in the log; 0: it is not stored. */
  seq = 0
  /** Identity in a pluggable persistence; empty and 0 without one. */
  brokerId = ''
  brokerCounter = 0
  /** Who published it, where hooks want to know; else empty. */
  clientId = ''
  #memory: number

  constructor(
    bytes: Buffer,
    topicAt: number,
    payloadAt: number,
    end: number,
    qos: number,
    retain: boolean,
    memory = LOANED,
  ) {
    this.bytes = bytes
    this.topicAt = topicAt
    this.payloadAt = payloadAt
    this.end = end
    this.qos = qos
    this.retain = retain
    this.#memory = memory
  }

  /** A message from its parts, in memory of its own. */
  static of(topic: string, payload: Uint8Array, qos: number, retain: boolean): Message {
    const topicBytes = Buffer.byteLength(topic)
    // Not from Buffer's pool: a retained message may live for years and would pin its neighbours' memory.
    const bytes = Buffer.allocUnsafeSlow(2 + topicBytes + payload.length)
    bytes.writeUInt16BE(topicBytes, 0)
    bytes.write(topic, 2)
    bytes.set(payload, 2 + topicBytes)
    return new Message(bytes, 0, 2 + topicBytes, bytes.length, qos, retain, OWN)
  }

  get topicLength(): number {
    return ((this.bytes[this.topicAt] as number) << 8) | (this.bytes[this.topicAt + 1] as number)
  }

  get topic(): string {
    return this.bytes.toString('utf8', this.topicAt + 2, this.topicAt + 2 + this.topicLength)
  }

  get payload(): Buffer {
    return this.bytes.subarray(this.payloadAt, this.end)
  }

  /** Bytes of topic and payload: what it costs to keep. */
  get size(): number {
    return 2 + this.topicLength + this.end - this.payloadAt
  }

  /** A copy under another topic, with another QoS, without RETAIN. */
  rewritten(topic: Buffer, qos: number): Message {
    const { payload, clientId } = this
    const bytes = Buffer.allocUnsafeSlow(2 + topic.length + payload.length)
    bytes.writeUInt16BE(topic.length, 0)
    topic.copy(bytes, 2)
    payload.copy(bytes, 2 + topic.length)
    const message = new Message(bytes, 0, 2 + topic.length, bytes.length, qos, false, OWN)
    message.clientId = clientId
    return message
  }

  /** The same message with the RETAIN flag, for who gets that as it was published. */
  retained(): Message {
    const { bytes, topicAt, payloadAt, end, qos, clientId } = this
    const message = new Message(bytes, topicAt, payloadAt, end, qos, true, this.#memory)
    message.clientId = clientId
    return message
  }

  /** Moves the message into memory of its own, so that waiting does not pin the chunk it arrived in. */
  own(): void {
    if (this.#memory === OWN) return
    const topicEnd = this.topicAt + 2 + this.topicLength
    const copy = Buffer.allocUnsafeSlow(this.size)
    this.bytes.copy(copy, 0, this.topicAt, topicEnd)
    this.bytes.copy(copy, topicEnd - this.topicAt, this.payloadAt, this.end)
    this.payloadAt = topicEnd - this.topicAt
    this.topicAt = 0
    this.end = copy.length
    this.bytes = copy
    this.#memory = OWN
  }

  /**
   * As own(), but a message of a run may stay in the copy made of that run alone: a queue is first in, first out, so
   * the messages of a run wait, and go, one behind the other.
   */
  settle(): void {
    if (this.#memory === LOANED) this.own()
  }

  /** Bytes of the PUBLISH packet that carries it at this QoS. */
  packetLength(qos: number): number {
    const remaining = this.size + (qos > 0 ? 2 : 0)
    return 1 + byteLengthOfRemaining(remaining) + remaining
  }

  /**
   * Writes all of the PUBLISH packet but the payload at `at`; returns where the payload goes. Same packet for every
   * receiver but for these bytes.
   */
  writeHead(into: Buffer, at: number, qos: number, dup: boolean, packetId: number): number {
    const topicEnd = this.topicAt + 2 + this.topicLength
    into[at] = 0x30 | (dup ? 8 : 0) | (qos << 1) | (this.retain ? 1 : 0)
    let next = writeRemaining(into, at + 1, this.size + (qos > 0 ? 2 : 0))
    copyBytes(this.bytes, this.topicAt, topicEnd, into, next)
    next += topicEnd - this.topicAt
    if (qos > 0) {
      into[next++] = packetId >> 8
      into[next++] = packetId & 0xff
    }
    return next
  }

  /** Writes the whole PUBLISH packet, of packetLength(qos) bytes, at `at`. */
  writeTo(into: Buffer, at: number, qos: number, dup: boolean, packetId: number): void {
    const idBytes = qos > 0 ? 2 : 0
    if (this.payloadAt - this.topicAt - 2 - this.topicLength !== idBytes) {
      copyBytes(this.bytes, this.payloadAt, this.end, into, this.writeHead(into, at, qos, dup, packetId))
      return
    }
    // Topic, identifier and payload lie as they go out: one copy, then the identifier.
    into[at] = 0x30 | (dup ? 8 : 0) | (qos << 1) | (this.retain ? 1 : 0)
    const body = writeRemaining(into, at + 1, this.end - this.topicAt)
    copyBytes(this.bytes, this.topicAt, this.end, into, body)
    if (qos > 0) {
      const idAt = body + this.payloadAt - this.topicAt - 2
      into[idAt] = packetId >> 8
      into[idAt + 1] = packetId & 0xff
    }
  }
}

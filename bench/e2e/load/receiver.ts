import type { PacketSink } from './client.ts'
import { isSame } from './is-same.ts'
import { topicField } from './packets.ts'
import { NUMBER_AT, PAYLOAD_HEADER, PUBLISHER_AT, RUN_AT, type Sender } from './sender.ts'
import type { Tally } from './tally.ts'
import type { Topology } from './topology.ts'

export interface ReceiverOptions {
  run: number
  subscriber: number
  topology: Topology
  senders: readonly Sender[]
  /** QoS that deliveries must have. */
  qos: number
}

/** Checks every message that one subscriber gets against what was sent, and tells the sender of its arrival. */
export class Receiver implements PacketSink {
  readonly #options: ReceiverOptions
  readonly #tally: Tally
  readonly #senders: readonly Sender[]
  readonly #run: number
  readonly #firstByte: number
  /** The topic subscribed to, -1 for all. */
  readonly #topic: number
  /** The topic field of every message when they are copies, empty when it has to be as sent. */
  readonly #copyTopic: Buffer
  readonly #copyView: DataView
  readonly #firstStreams: Int32Array
  /** The number expected next, by stream; numbers count within the stream. */
  readonly #next: Int32Array
  /** Numbers that were skipped and may still come, by stream. Empty unless the broker is at fault. */
  readonly #skipped = new Map<number, Set<number>>()

  constructor(options: ReceiverOptions, tally: Tally) {
    const { topology, senders } = options
    this.#options = options
    this.#tally = tally
    this.#senders = senders
    this.#run = options.run
    this.#firstByte = 0x30 | (options.qos << 1)
    this.#topic = topology.takesAll ? -1 : topology.topicOfSubscriber(options.subscriber)
    const copy = topology.copyOf(options.subscriber)
    this.#copyTopic = copy === null ? Buffer.alloc(0) : topicField(copy)
    this.#copyView = new DataView(this.#copyTopic.buffer, this.#copyTopic.byteOffset, this.#copyTopic.length)
    this.#next = new Int32Array(topology.streamsPerSubscriber)
    this.#firstStreams = Int32Array.from(senders, (_sender, publisher) => topology.firstStreamOf(publisher))
  }

  /** Takes the PUBLISH whose body is bytes[at..end) and that began with this first byte; `view` is of the same bytes. */
  publish(first: number, bytes: Buffer, view: DataView, at: number, end: number, now: number): void {
    if (first !== this.#firstByte) this.#checkFirstByte(first)
    const topicLength = end - at < 2 ? end : view.getUint16(at)
    const payload = at + 2 + topicLength + ((first & 6) === 0 ? 0 : 2)
    if (end - payload < PAYLOAD_HEADER) return this.#corrupt('a payload cut short')
    if (view.getUint32(payload + RUN_AT) !== this.#run) return this.#corrupt('a payload of another run')
    const publisher = view.getUint16(payload + PUBLISHER_AT)
    const sender = this.#senders[publisher]
    const number = view.getUint32(payload + NUMBER_AT)
    if (sender === undefined || number >= sender.made) return this.#corrupt('the number of a message never sent')
    const turn = number % sender.topicCount
    if (this.#topic >= 0 && this.#options.topology.topicsOf[publisher]?.[turn] !== this.#topic) {
      return this.#tally.fault('misrouted', `${this.#message(publisher, number)}, which it did not subscribe to`)
    }
    const stream = (this.#firstStreams[publisher] as number) + (this.#topic < 0 ? turn : 0)
    const inStream = (number - turn) / sender.topicCount
    if (inStream === this.#next[stream]) this.#next[stream] = inStream + 1
    else if (!this.#isLate(stream, inStream, publisher, number)) return
    // The slot still holds this very message, for this receiver had it not.
    const slot = number % sender.slots
    const size = end - payload
    const sent = sender.payloadAt[slot] as number
    if (size !== sender.size || !isSame(bytes, view, payload, sender.ring, sender.view, sent, size)) {
      this.#corrupt(`another payload than was sent: ${this.#message(publisher, number)}`)
    } else if (!this.#isTopic(bytes, view, at, topicLength + 2, sender, slot)) {
      this.#tally.fault('misrouted', `another topic than it should have: ${this.#message(publisher, number)}`)
    }
    this.#tally.delivered++
    this.#tally.latency.add(now - (sender.sentAt[slot] as number))
    sender.delivered(slot)
  }

  puback(packetId: number): void {
    this.#tally.fault('unknownAck', `PUBACK ${packetId} to subscriber ${this.#options.subscriber}`)
  }

  #isTopic(bytes: Buffer, view: DataView, at: number, length: number, sender: Sender, slot: number): boolean {
    const copy = this.#copyTopic
    if (copy.length > 0) return length === copy.length && isSame(bytes, view, at, copy, this.#copyView, 0, length)
    return isSame(bytes, view, at, sender.ring, sender.view, sender.topicAt[slot] as number, length)
  }

  #checkFirstByte(first: number): void {
    const qos = (first >> 1) & 3
    const who = `subscriber ${this.#options.subscriber}`
    if (qos !== this.#options.qos) this.#tally.fault('wrongQos', `QoS ${qos} to ${who}`)
    else this.#tally.fault('wrongFlags', `first byte 0x${first.toString(16)} to ${who}`)
  }

  /** For a number that is not the next one. False when the message was here before. */
  #isLate(stream: number, inStream: number, publisher: number, number: number): boolean {
    const next = this.#next[stream] as number
    let skipped = this.#skipped.get(stream)
    if (skipped === undefined) {
      skipped = new Set()
      this.#skipped.set(stream, skipped)
    }
    if (inStream > next) {
      for (let missing = next; missing < inStream; missing++) skipped.add(missing)
      this.#next[stream] = inStream + 1
      return true
    }
    const late = skipped.delete(inStream)
    this.#tally.fault(late ? 'disordered' : 'duplicate', this.#message(publisher, number))
    return late
  }

  #corrupt(detail: string): void {
    this.#tally.fault('corrupt', `subscriber ${this.#options.subscriber} got ${detail}`)
  }

  #message(publisher: number, number: number): string {
    return `message ${number} of publisher ${publisher} to subscriber ${this.#options.subscriber}`
  }
}

import type { Random } from '../crash/random.ts'
import { type Packet, publish, pubrel } from '../support/packets.ts'
import { Client, type ClientOptions } from './client.ts'
import { encodePayload, PROBE, type Stream } from './stream.ts'

const STEP_MS = 10
/** What became due while the broker was away is sent later, up to this many. */
const MAX_DUE = 400
/** Unacknowledged messages at most. */
const WINDOW = 500
const MAX_PAYLOAD = 20_000

export interface PublisherOptions extends ClientOptions {
  readonly streams: readonly Stream[]
  /** Messages per second over all streams. */
  readonly rate: number
  readonly random: Random
}

interface Flight {
  /** Null: a probe. */
  readonly stream: Stream | null
  readonly number: number
  readonly topic: string
  readonly qos: 1 | 2
  readonly payload: Buffer
  /** QoS 2: PUBREC came. */
  isReceived: boolean
}

/** Publishes at a steady rate; sends again, with the same packet identifiers, what is not acknowledged. */
export class Publisher extends Client {
  readonly #streams: readonly Stream[]
  readonly #rate: number
  readonly #random: Random
  /** By packet identifier, in the order sent. */
  readonly #flights = new Map<number, Flight>()
  #lastPacketId = 0
  #timer: NodeJS.Timeout | null = null
  #due = 0
  #lastStep = 0
  #turn = 0

  constructor(options: PublisherOptions) {
    super(options)
    this.#streams = options.streams
    this.#rate = options.rate
    this.#random = options.random
  }

  produce(): void {
    if (this.#timer !== null) return
    this.#lastStep = performance.now()
    this.#timer = setInterval(() => this.#step(), STEP_MS)
  }

  stopProducing(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  /** Sends something that has no number. */
  probe(topic: string, qos: 1 | 2): void {
    if (this.isConnected) this.#begin({ stream: null, number: 0, topic, qos, payload: PROBE, isReceived: false })
  }

  protected override onConnected(): void {
    for (const [packetId, flight] of this.#flights) {
      if (flight.isReceived) {
        this.send(pubrel(packetId))
      } else {
        flight.stream?.resend(flight.number)
        this.#transmit(packetId, flight, true)
      }
    }
  }

  protected override onPacket(packet: Packet): void {
    if (packet.type === 'puback') this.#finish(packet.packetId, 1)
    else if (packet.type === 'pubcomp') this.#finish(packet.packetId, 2)
    else if (packet.type === 'pubrec') this.#received(packet.packetId)
    else throw new Error(`a publisher got ${packet.type}`)
  }

  #received(packetId: number): void {
    const flight = this.#flights.get(packetId)
    if (flight?.qos !== 2) throw new Error(`PUBREC for ${packetId}, which waits for none`)
    flight.isReceived = true
    flight.stream?.acknowledge(flight.number)
    this.send(pubrel(packetId))
  }

  #finish(packetId: number, qos: 1 | 2): void {
    const flight = this.#flights.get(packetId)
    if (flight?.qos !== qos || flight.isReceived !== (qos === 2)) {
      throw new Error(`${qos === 1 ? 'PUBACK' : 'PUBCOMP'} for ${packetId}, which waits for none`)
    }
    if (qos === 1) flight.stream?.acknowledge(flight.number)
    this.#flights.delete(packetId)
  }

  #step(): void {
    const now = performance.now()
    this.#due = Math.min(this.#due + (this.#rate * (now - this.#lastStep)) / 1000, MAX_DUE)
    this.#lastStep = now
    if (!this.isConnected) return
    while (this.#due >= 1 && this.#flights.size < WINDOW) {
      this.#due--
      const stream = this.#streams[this.#turn++ % this.#streams.length] as Stream
      const number = stream.send()
      const { topic, qos } = stream
      this.#begin({ stream, number, topic, qos, payload: encodePayload(number, this.#size()), isReceived: false })
    }
  }

  /** Mostly small; now and then larger than what one read of a socket brings. */
  #size(): number {
    return this.#random.chance(0.01) ? this.#random.between(1000, MAX_PAYLOAD) : this.#random.between(0, 150)
  }

  #begin(flight: Flight): void {
    do {
      this.#lastPacketId = (this.#lastPacketId % 65_535) + 1
    } while (this.#flights.has(this.#lastPacketId))
    this.#flights.set(this.#lastPacketId, flight)
    this.#transmit(this.#lastPacketId, flight, false)
  }

  #transmit(packetId: number, { topic, qos, payload }: Flight, dup: boolean): void {
    this.send(publish({ topic, payload, qos, dup, packetId }))
  }
}

import { type Packet, publish, pubrel } from '../support/packets.ts'
import { Client, type World } from './client.ts'
import type { Random } from './random.ts'
import { encodePayload, type Stream } from './stream.ts'

const STEP_MS = 10
/** Most messages that are sent in one go when many are due. */
const MAX_BURST = 60
const MAX_PAYLOAD = 20_000

export interface PublisherOptions {
  readonly id: string
  readonly streams: readonly Stream[]
  /** Messages per second. */
  readonly rate: number
  /** Unacknowledged messages at most. */
  readonly window: number
  readonly random: Random
}

interface Flight {
  readonly stream: Stream
  readonly number: number
  readonly payload: Buffer
  /** QoS 2: PUBREC came. */
  isReceived: boolean
}

/** A publisher with a persistent session: sends again, with the same packet identifiers, what is not acknowledged. */
export class Publisher extends Client {
  readonly #options: PublisherOptions
  /** By packet identifier, in the order sent. */
  readonly #flights = new Map<number, Flight>()
  #lastPacketId = 0
  #hadSession = false
  #timer: NodeJS.Timeout | null = null
  #due = 0
  /** performance.now() of the last PUBACK or PUBCOMP. */
  acknowledgedAt = 0

  constructor(options: PublisherOptions, world: World) {
    super(options.id, false, world)
    this.#options = options
  }

  /** Everything sent is acknowledged. */
  get isIdle(): boolean {
    return this.#flights.size === 0
  }

  get isProducing(): boolean {
    return this.#timer !== null
  }

  produce(): void {
    this.#timer ??= setInterval(() => this.#step(), STEP_MS)
  }

  stopProducing(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  protected override onConnected(isSessionPresent: boolean): void {
    if (this.#hadSession && !isSessionPresent) this.ledger.violation('session', `${this.id} has lost its session`)
    this.#hadSession = true
    for (const [packetId, flight] of this.#flights) {
      if (flight.isReceived) {
        this.send(pubrel(packetId))
      } else {
        const { stream, number } = flight
        stream.transmissions[number] = (stream.transmissions[number] as number) + 1
        this.#transmit(packetId, flight, true)
      }
    }
  }

  protected override onPacket(packet: Packet): void {
    if (packet.type === 'puback') this.#acknowledged(packet.packetId, 1)
    else if (packet.type === 'pubcomp') this.#acknowledged(packet.packetId, 2)
    else if (packet.type === 'pubrec') this.#received(packet.packetId)
    else throw new Error(`a publisher got ${packet.type}`)
  }

  #received(packetId: number): void {
    const flight = this.#flights.get(packetId)
    if (flight?.stream.qos !== 2) throw new Error(`PUBREC for ${packetId}, which waits for none`)
    this.ledger.promised(flight.stream, flight.number)
    flight.isReceived = true
    this.send(pubrel(packetId))
  }

  #acknowledged(packetId: number, qos: 1 | 2): void {
    const flight = this.#flights.get(packetId)
    if (flight?.stream.qos !== qos || flight.isReceived !== (qos === 2)) {
      throw new Error(`${qos === 1 ? 'PUBACK' : 'PUBCOMP'} for ${packetId}, which waits for none`)
    }
    if (qos === 1) this.ledger.promised(flight.stream, flight.number)
    flight.stream.acknowledge(flight.number, this.ledger.tick())
    this.#flights.delete(packetId)
    this.acknowledgedAt = performance.now()
  }

  /** Sends what the rate makes due and the window allows, in bursts to one topic each. */
  #step(): void {
    const { rate, window, random, streams } = this.#options
    this.#due = Math.min(this.#due + (rate * STEP_MS) / 1000, MAX_BURST)
    if (!this.isConnected) return
    let count = Math.min(Math.floor(this.#due), window - this.#flights.size)
    while (count > 0) {
      const stream = random.pick(streams)
      const burst = random.between(1, count)
      for (let i = 0; i < burst; i++) this.#publish(stream)
      count -= burst
      this.#due -= burst
    }
  }

  #publish(stream: Stream): void {
    const number = stream.send(this.ledger.tick())
    const payload = encodePayload(stream, number, this.#size())
    const flight = { stream, number, payload, isReceived: false }
    const packetId = this.#takePacketId()
    this.#flights.set(packetId, flight)
    this.#transmit(packetId, flight, false)
  }

  /** Mostly small; now and then as large as is handled in a way of its own. */
  #size(): number {
    const { random } = this.#options
    return random.chance(0.005) ? random.between(1000, MAX_PAYLOAD) : random.between(0, 150)
  }

  #transmit(packetId: number, { stream, payload }: Flight, dup: boolean): void {
    this.send(publish({ topic: stream.topic, payload, qos: stream.qos, retain: stream.retain, dup, packetId }))
  }

  #takePacketId(): number {
    do {
      this.#lastPacketId = (this.#lastPacketId % 65_535) + 1
    } while (this.#flights.has(this.#lastPacketId))
    return this.#lastPacketId
  }
}

import { type Packet, type PacketOf, puback, pubcomp, pubrec, subscribe } from '../support/packets.ts'
import { Client, type ClientOptions } from './client.ts'
import { decodePayload, PROBE, type Stream } from './stream.ts'

export interface SubscriberOptions extends ClientOptions {
  readonly filter: string
  readonly qos: 1 | 2
  readonly streams: readonly Stream[]
  /** At the broker that the messages are published to: what it gets proves that the broker had it. Default false. */
  readonly isWitness?: boolean
}

/** Takes what arrives on one side and enters it in the ledger. */
export class Subscriber extends Client {
  readonly #filter: string
  readonly #qos: 1 | 2
  readonly #isWitness: boolean
  readonly #streams: ReadonlyMap<string, Stream>
  /** QoS 2: PUBLISH came and PUBREL has not. */
  readonly #receipts = new Set<number>()
  /** SUBSCRIBE was answered. */
  isSubscribed = false
  probes = 0

  constructor(options: SubscriberOptions) {
    super(options)
    this.#filter = options.filter
    this.#qos = options.qos
    this.#isWitness = options.isWitness ?? false
    this.#streams = new Map(options.streams.map(stream => [stream.topic, stream]))
  }

  protected override onConnected(): void {
    if (!this.isSubscribed) this.send(subscribe(1, [this.#filter, this.#qos]))
  }

  protected override onSessionLost(): void {
    this.isSubscribed = false
    this.#receipts.clear()
  }

  protected override onPacket(packet: Packet): void {
    switch (packet.type) {
      case 'publish':
        this.#onPublish(packet)
        break
      case 'pubrel':
        this.#receipts.delete(packet.packetId)
        this.send(pubcomp(packet.packetId))
        break
      case 'suback':
        if (packet.returnCodes[0] !== this.#qos) throw new Error(`SUBSCRIBE is granted ${packet.returnCodes[0]}`)
        this.isSubscribed = true
        break
      case 'connack':
      case 'puback':
      case 'pubrec':
      case 'pubcomp':
      case 'unsuback':
      case 'pingresp':
        throw new Error(`a subscriber got ${packet.type}`)
    }
  }

  #onPublish(packet: PacketOf<'publish'>): void {
    const { packetId, qos, topic } = packet
    if (qos !== this.#qos) throw new Error(`${topic} came at QoS ${qos}, not ${this.#qos}`)
    if (qos === 1) {
      this.#deliver(packet)
      this.send(puback(packetId))
      return
    }
    if (!this.#receipts.has(packetId)) this.#deliver(packet)
    this.#receipts.add(packetId)
    this.send(pubrec(packetId))
  }

  #deliver({ topic, payload, dup, retain }: PacketOf<'publish'>): void {
    if (payload.equals(PROBE)) {
      this.probes++
      return
    }
    const stream = this.#streams.get(topic)
    const number = decodePayload(payload)
    if (stream === undefined || number === null || retain) {
      const what = `${payload.length} bytes of ${topic}${retain ? ' with RETAIN' : ''}`
      this.ledger.violation('broken', `${this.id} got ${what} that nobody published`)
      return
    }
    if (this.#isWitness) {
      stream.witness(number)
      return
    }
    const problem = stream.receive(number, dup)
    if (problem === null) return
    this.ledger.violation(problem.includes('first time') ? 'order' : 'broken', problem)
  }
}

import {
  type Packet,
  type PacketOf,
  pingreq,
  puback,
  pubcomp,
  pubrec,
  type Qos,
  subscribe,
  unsubscribe,
} from '../support/packets.ts'
import { Client, type World } from './client.ts'
import type { Copy, SessionRecord, Span } from './session-record.ts'
import { decodePayload } from './stream.ts'

const PING_MS = 100

interface Holding {
  readonly qos: Qos
  span: Span
  state: 'asking' | 'held' | 'leaving'
  /** Of the SUBSCRIBE or UNSUBSCRIBE that waits for its answer. */
  packetId: number
}

/** A PUBACK that was sent: of which delivery of which message. */
interface Ack {
  readonly copy: Copy
  readonly delivery: number
}

export interface SubscriberOptions {
  readonly id: string
  readonly filters?: readonly (readonly [filter: string, qos: Qos])[]
  /** Acknowledgements are sent this much later, so that a kill finds messages under way. Milliseconds, default 0. */
  readonly ackDelayMs?: number
}

/** A subscriber with a persistent session that keeps its side of QoS 1 and 2 across connections. */
export class Subscriber extends Client {
  readonly record: SessionRecord
  readonly #ackDelayMs: number
  readonly #holdings = new Map<string, Holding>()
  /** QoS 2: PUBLISH came and PUBREL has not. */
  readonly #receipts = new Set<number>()
  #delayed: { bytes: Buffer; ack: Ack | null }[] = []
  #delay: NodeJS.Timeout | null = null
  #ping: NodeJS.Timeout | null = null
  #isPinging = false
  /** PUBACKs of this connection: sent before the last PINGREQ, and behind it. */
  #pinged: Ack[] = []
  #unpinged: Ack[] = []
  #hadSession = false
  #lastPacketId = 0

  constructor(options: SubscriberOptions, world: World) {
    super(options.id, false, world)
    this.record = world.ledger.session(options.id)
    this.#ackDelayMs = options.ackDelayMs ?? 0
    for (const [filter, qos] of options.filters ?? []) this.subscribe(filter, qos)
  }

  /** Every SUBSCRIBE and UNSUBSCRIBE is answered. */
  get isSettled(): boolean {
    for (const { state } of this.#holdings.values()) if (state !== 'held') return false
    return true
  }

  /** Filters and whether they may be unsubscribed from now. */
  get filters(): ReadonlyMap<string, { readonly state: string }> {
    return this.#holdings
  }

  subscribe(filter: string, qos: Qos): void {
    const holding: Holding = { qos, span: this.record.ask(filter), state: 'asking', packetId: 0 }
    this.#holdings.set(filter, holding)
    this.#ask(filter, holding)
  }

  unsubscribe(filter: string): void {
    const holding = this.#holdings.get(filter)
    if (holding?.state !== 'held') return
    holding.state = 'leaving'
    holding.span.leavingAt = this.ledger.tick()
    this.#ask(filter, holding)
  }

  protected override onConnected(isSessionPresent: boolean): void {
    if (this.#hadSession && !isSessionPresent) {
      this.ledger.violation('session', `${this.id} has lost its session`)
      this.#receipts.clear()
    }
    for (const [filter, holding] of this.#holdings) {
      if (!isSessionPresent && this.#hadSession && holding.state === 'held') holding.state = 'asking'
      if (holding.state !== 'held') this.#ask(filter, holding)
    }
    this.#hadSession = true
    this.#ping = setInterval(() => this.#sendPing(), PING_MS)
  }

  protected override onGone(): void {
    if (this.#ping !== null) clearInterval(this.#ping)
    if (this.#delay !== null) clearTimeout(this.#delay)
    this.#ping = null
    this.#delay = null
    this.#delayed = []
    this.#pinged = []
    this.#unpinged = []
    this.#isPinging = false
  }

  protected override onPacket(packet: Packet): void {
    switch (packet.type) {
      case 'publish':
        this.#onPublish(packet)
        break
      case 'pubrel':
        this.#receipts.delete(packet.packetId)
        this.#answer(pubcomp(packet.packetId), null)
        break
      case 'pingresp':
        this.#onPingresp()
        break
      case 'suback':
      case 'unsuback':
        this.#onAnswer(packet)
        break
      case 'connack':
      case 'puback':
      case 'pubrec':
      case 'pubcomp':
        throw new Error(`a subscriber got ${packet.type}`)
    }
  }

  #onPublish(packet: PacketOf<'publish'>): void {
    const { packetId, qos } = packet
    if (qos === 2) {
      if (!this.#receipts.has(packetId)) this.#deliver(packet)
      this.#receipts.add(packetId)
      this.#answer(pubrec(packetId), null)
    } else {
      const copy = this.#deliver(packet)
      if (qos === 1) this.#answer(puback(packetId), copy && { copy, delivery: copy.deliveries })
    }
  }

  /** Hands a message to the application; a retained one that SUBSCRIBE brought is no news. */
  #deliver({ topic, payload, qos, dup, retain }: PacketOf<'publish'>): Copy | null {
    if (retain) return null
    const decoded = decodePayload(payload)
    const stream = decoded === null ? undefined : this.ledger.streams[decoded.stream]
    if (decoded === null || stream === undefined || stream.topic !== topic || decoded.number >= stream.length) {
      this.ledger.violation('broken', `${this.id} got ${payload.length} bytes of ${topic} that nobody published`)
      return null
    }
    return this.record.receive({ stream, number: decoded.number, qos, dup, connection: this.connection })
  }

  #answer(bytes: Buffer, ack: Ack | null): void {
    if (this.#ackDelayMs === 0) {
      this.send(bytes)
      if (ack !== null) this.#unpinged.push(ack)
      return
    }
    this.#delayed.push({ bytes, ack })
    this.#delay ??= setTimeout(() => {
      this.#delay = null
      for (const { bytes, ack } of this.#delayed) {
        this.send(bytes)
        if (ack !== null) this.#unpinged.push(ack)
      }
      this.#delayed = []
    }, this.#ackDelayMs)
  }

  #sendPing(): void {
    if (this.#isPinging) return
    this.#isPinging = true
    this.#pinged = this.#unpinged
    this.#unpinged = []
    this.send(pingreq())
  }

  #onPingresp(): void {
    if (!this.#isPinging) throw new Error('PINGRESP without PINGREQ')
    this.#isPinging = false
    const now = performance.now()
    for (const { copy, delivery } of this.#pinged) if (copy.deliveries === delivery) copy.settledAt = now
    this.#pinged = []
  }

  #ask(filter: string, holding: Holding): void {
    this.#lastPacketId = (this.#lastPacketId % 65_535) + 1
    holding.packetId = this.#lastPacketId
    if (holding.state === 'asking') this.send(subscribe(holding.packetId, [filter, holding.qos]))
    else this.send(unsubscribe(holding.packetId, filter))
  }

  #onAnswer(packet: PacketOf<'suback' | 'unsuback'>): void {
    for (const [filter, holding] of this.#holdings) {
      if (holding.packetId !== packet.packetId || holding.state === 'held') continue
      if (packet.type === 'unsuback' && holding.state === 'leaving') {
        holding.span.goneAt = this.ledger.tick()
        this.#holdings.delete(filter)
      } else if (packet.type === 'suback' && holding.state === 'asking') {
        this.#onSuback(filter, holding, packet.returnCodes[0])
      } else continue
      return
    }
    throw new Error(`${packet.type} ${packet.packetId} that nobody asked for`)
  }

  #onSuback(filter: string, holding: Holding, granted: number | undefined): void {
    if (granted === holding.qos) {
      holding.state = 'held'
      holding.span.heldFrom = Math.min(holding.span.heldFrom, this.ledger.tick())
    } else if (this.ledger.isFaulty) {
      setTimeout(() => {
        if (holding.state === 'asking') this.#ask(filter, holding)
      }, PING_MS)
    } else throw new Error(`SUBSCRIBE to ${filter} is granted ${granted}`)
  }
}

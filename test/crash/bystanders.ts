import {
  type Packet,
  type PacketOf,
  puback,
  pubcomp,
  publish,
  pubrec,
  pubrel,
  type Qos,
  subscribe,
} from '../support/packets.ts'
import { Client, type World } from './client.ts'
import type { Random } from './random.ts'
import { Subscriber } from './subscriber.ts'

/** Acknowledges whatever comes, as a client does that keeps no record. */
function answerTo(packet: Packet): Buffer | null {
  if (packet.type === 'publish' && packet.qos === 1) return puback(packet.packetId)
  if (packet.type === 'publish' && packet.qos === 2) return pubrec(packet.packetId)
  if (packet.type === 'pubrel') return pubcomp(packet.packetId)
  if (packet.type === 'pubrec') return pubrel(packet.packetId)
  return null
}

/** A client with Clean Session that reads along and publishes what nobody keeps: traffic the store must not mind. */
export class Noise extends Client {
  readonly #random: Random
  #timer: NodeJS.Timeout | null = null
  #lastPacketId = 1

  constructor(id: string, random: Random, world: World) {
    super(id, true, world)
    this.#random = random
  }

  protected override onConnected(): void {
    this.send(subscribe(1, ['m/#', this.#random.between(0, 2)], ['noise/#', this.#random.between(0, 2)]))
    this.#timer = setInterval(() => this.#speak(), 20)
  }

  protected override onPacket(packet: Packet): void {
    const answer = answerTo(packet)
    if (answer !== null) this.send(answer)
  }

  protected override onGone(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
  }

  #speak(): void {
    for (let i = this.#random.between(0, 4); i > 0; i--) {
      this.#lastPacketId = (this.#lastPacketId % 65_535) + 1
      const qos = this.#random.between(0, 2)
      this.send(publish({ topic: `noise/${this.id}`, payload: 'noise', qos, packetId: this.#lastPacketId }))
    }
  }
}

/** A persistent session that subscribes and unsubscribes all the time. */
export class Wanderer {
  readonly subscriber: Subscriber
  readonly #random: Random
  readonly #choice: readonly string[]
  #timer: NodeJS.Timeout | null = null

  constructor(id: string, choice: readonly string[], random: Random, world: World) {
    this.subscriber = new Subscriber({ id }, world)
    this.#choice = choice
    this.#random = random
  }

  wander(): void {
    this.#timer = setTimeout(
      () => {
        const filter = this.#random.pick(this.#choice)
        const held = this.subscriber.filters.get(filter)
        if (held === undefined) this.subscriber.subscribe(filter, this.#random.pick<Qos>([1, 2]))
        else this.subscriber.unsubscribe(filter)
        this.wander()
      },
      this.#random.between(20, 250),
    )
  }

  rest(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
  }
}

type Step = 'begin' | 'subscribe' | 'return' | 'clean' | 'again'

const NEXT: Readonly<Record<Step, Step>> = {
  begin: 'subscribe',
  subscribe: 'return',
  return: 'clean',
  clean: 'again',
  again: 'begin',
}

/**
 * Makes a session, comes back to it, removes it by Clean Session, comes back and looks whether it is gone; and then
 * another one. What CONNACK or SUBACK confirmed has to hold whatever happens to the broker.
 */
export class Settler extends Client {
  readonly #random: Random
  #step: Step = 'begin'
  /** Whether the broker has the session; null: an unanswered CONNECT may have changed that. */
  #expected: boolean | null = null
  #isUnanswered = false
  #timer: NodeJS.Timeout | null = null

  constructor(id: string, random: Random, world: World) {
    super(id, true, world)
    this.#random = random
  }

  /** After a CONNECT without an answer nobody knows whether it has made or removed the session. */
  protected override onAttempt(): void {
    if (this.#isUnanswered && this.#expected === this.isClean) this.#expected = null
    this.#isUnanswered = true
  }

  protected override onConnected(isPresent: boolean): void {
    this.#isUnanswered = false
    const isKept = !this.isClean
    if (isKept && this.#expected !== null && isPresent !== this.#expected) {
      const what = isPresent ? 'is back after its removal' : 'is lost'
      this.ledger.violation('session', `the session of ${this.id} ${what} (${this.#step})`)
    }
    this.#expected = isKept
    if (this.#step === 'subscribe') this.send(subscribe(7, ['m/#', 1]))
    else this.#proceed()
  }

  protected override onPacket(packet: Packet): void {
    const answer = answerTo(packet)
    if (answer !== null) this.send(answer)
    if (packet.type === 'suback' && this.#step === 'subscribe') this.#proceed()
  }

  /** The step is done again with the next connection. */
  protected override onGone(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  rest(): void {
    this.goOffline(true)
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  /** The step is done; the next one begins with a connection of its own. */
  #proceed(): void {
    this.#timer = setTimeout(
      () => {
        this.goOffline(this.#random.chance(0.5))
        this.#step = NEXT[this.#step]
        this.isClean = this.#step === 'begin' || this.#step === 'clean'
        this.goOnline()
      },
      this.#random.between(5, 100),
    )
  }
}

/** Reads the retained messages of a filter. */
export class Reader extends Client {
  readonly #filter: string
  readonly #onMessage: (message: PacketOf<'publish'>) => void

  constructor(id: string, filter: string, onMessage: (message: PacketOf<'publish'>) => void, world: World) {
    super(id, true, world)
    this.#filter = filter
    this.#onMessage = onMessage
  }

  /** Connections that were accepted so far. */
  get connections(): number {
    return this.connection
  }

  protected override onConnected(): void {
    this.send(subscribe(1, [this.#filter, 1]))
  }

  protected override onPacket(packet: Packet): void {
    const answer = answerTo(packet)
    if (answer !== null) this.send(answer)
    if (packet.type === 'publish') this.#onMessage(packet)
  }
}

import type { Principal } from '../auth/index.ts'
import type { Output } from '../wire/index.ts'
import { PUBACK_BYTE, PUBREC_BYTE } from '../wire/index.ts'
import { Delivery } from './delivery.ts'
import { type Budget, type ForwardedCopy, Forwarding } from './forwarding.ts'
import type { Voice } from './forwards.ts'
import { Message } from './message.ts'
import type { RetainedStore } from './retained.ts'
import { isTopic, type Route, type RouteCache } from './route.ts'
import { Run } from './run.ts'
import type { Session } from './session.ts'
import type { HubState } from './state.ts'
import { type Acknowledging, type Hold, REFUSED, type SessionLog, type Store } from './store/index.ts'

/** The publisher, as far as routing needs it. */
export interface Publisher {
  readonly principal: Principal
  /** Who it is to rules. */
  readonly voice: Voice | null
  readonly output: Output
  /** Application messages taken from it. */
  received: number
  /** The route of its last message: most publishers say the same topic again. */
  route: Route | null
  readonly closed: boolean
  /** The session that gets nothing of what it publishes: a bridge's own; null: there is none. */
  readonly spared: Session | null
  /** What is stored of its session; null: nothing. */
  readonly log: SessionLog | null
  /** Acknowledgements that wait until what they promise is stored. */
  held: Hold | null
  markDirty(): void
  /** Messages of QoS 1 or 2 that can't be stored: not delivered, not acknowledged, and so sent again one day. */
  unstored(count: number): void
  /** Notes an incoming QoS 2 message. False when it is a copy; refuses by closing when too many wait. */
  receive(packetId: number): boolean
  /** Takes that back: the message is not taken on. */
  forget(packetId: number): void
}

/** What is wrong with a PUBLISH: the text that is logged, and the clause. */
export type Refusal = string

/**
 * The way of a message through the hub when nothing but the hub has a say in it: from the bytes of the publisher's
 * chunk to the outputs of the subscribers. Packets of one topic that lie one behind the other are gathered into a Run
 * and delivered as one. A reader gives packets to publish() and calls flush() before it does anything else.
 */
export class Dispatch {
  readonly #state: HubState
  readonly #routes: RouteCache
  readonly #retained: RetainedStore
  readonly #delivery: Delivery
  readonly #forwarding: Forwarding
  readonly #run = new Run()
  #route: Route | null = null
  #publisher: Publisher | null = null
  #isFlushing = false

  constructor(state: HubState, routes: RouteCache, retained: RetainedStore) {
    this.#state = state
    this.#routes = routes
    this.#retained = retained
    this.#delivery = new Delivery(state, routes)
    this.#forwarding = new Forwarding(state, routes, retained, this.#delivery)
  }

  /**
   * Takes the PUBLISH packet in chunk[start..end), its variable header at `body`. Returns null, or why the connection
   * must be closed.
   */
  publish(publisher: Publisher, chunk: Buffer, start: number, body: number, end: number): Refusal | null {
    const first = chunk[start] as number
    const qos = (first >> 1) & 3
    if (body + 2 > end) return 'PUBLISH is too short [MQTT-3.3.2-1]'
    const topicLength = ((chunk[body] as number) << 8) | (chunk[body + 1] as number)
    const topicEnd = body + 2 + topicLength
    const payloadAt = qos > 0 ? topicEnd + 2 : topicEnd
    if (payloadAt > end) return 'PUBLISH is too short [MQTT-3.3.2-1]'

    let route = publisher.route
    if (route === null || !isTopic(route, chunk, body + 2, topicLength)) {
      route = this.#routes.find(chunk, body + 2, topicLength)
      if (route === null) return 'publish topic is no well-formed UTF-8 [MQTT-1.5.3-1]'
      publisher.route = route
    }
    if (route.problem !== null) {
      if (route.isBridgeState && publisher.spared !== null && qos < 2)
        return this.#tellState(publisher, route, chunk, start, body, payloadAt, end)
      return `publish topic (${route.topic}) invalid: it ${route.problem}`
    }
    if (!route.allows(publisher.principal)) return `publish topic (${route.topic}) not permitted`

    if (first === 0x30 || first === 0x32) {
      const run = this.#run
      if (
        run.count === 0 ||
        run.end !== start ||
        run.source !== chunk ||
        run.qos !== qos ||
        this.#route !== route ||
        this.#publisher !== publisher ||
        run.isFull
      ) {
        this.flush()
        this.#route = route
        this.#publisher = publisher
        run.begin(chunk, start, qos, topicLength, this.#state.isShared)
      }
      if (qos > 0 && chunk[topicEnd] === 0 && chunk[topicEnd + 1] === 0) return 'packet identifier is 0 [MQTT-2.3.1-1]'
      run.add(end, topicEnd)
      return null
    }
    return this.#publishOne(publisher, route, chunk, start, body, payloadAt, end)
  }

  /** Delivers what publish() has gathered. */
  flush(): void {
    const run = this.#run
    // A delivery may end a connection, and that flushes: the run under way is not delivered twice.
    if (run.count === 0 || this.#isFlushing) return
    this.#isFlushing = true
    try {
      this.#deliverRun(this.#route as Route, run)
    } finally {
      run.reset()
      this.#isFlushing = false
    }
  }

  /** Delivers one message to the subscribers of its topic, without rules. Its number in the log, 0, or REFUSED. */
  deliver(route: Route, message: Message, retain: boolean, spared: Session | null): number {
    return retain ? this.#delivery.retained(route, message, spared) : this.#delivery.message(route, message, spared)
  }

  /** What the rules make of one message, for who publishes the copies by himself. */
  copies(
    route: Route,
    qos: number,
    retain: boolean,
    voice: Voice | null,
    hops: number,
    budget: Budget,
  ): ForwardedCopy[] {
    return this.#forwarding.copies(route, qos, retain, voice, hops, budget)
  }

  /** Whether a message can be taken on with all that rules make of it: if not, nobody gets any of it. */
  takes(
    route: Route,
    size: number,
    qos: number,
    retain: boolean,
    voice: Voice | null,
    spared: Session | null,
  ): boolean {
    return !this.#forwarding.mayRefuse || this.#forwarding.roomFor(route, 1, size, qos, retain, voice, spared) > 0
  }

  /** Whether anybody hears what is published to a topic. */
  isHeard(topic: string): boolean {
    const { sessions, rules } = this.#delivery.fresh(this.#routes.of(topic))
    return sessions.length > 0 || rules.length > 0
  }

  #deliverRun(route: Route, run: Run): void {
    const { counters, latency, now } = this.#state
    const publisher = this.#publisher as Publisher
    const { voice, spared } = publisher
    counters.messagesReceived += run.count
    counters.publishBytesReceived += run.payloadBytes
    publisher.received += run.count
    route.published += run.count
    if (run.qos > 0 && this.#forwarding.mayRefuse) {
      // Room is reckoned with the mean size: fewer messages may be larger ones.
      for (;;) {
        const room = this.#forwarding.roomFor(route, run.count, run.size, run.qos, false, voice, spared)
        if (room >= run.count) break
        publisher.unstored(run.count - room)
        if (room === 0) return
        run.cut(room)
      }
    }
    const before = counters.messagesSent
    let isStored = this.#delivery.run(route, run, spared) > 0
    if (route.rules.length > 0 && this.#forwarding.run(route, run, false, voice)) isStored = true
    if (latency !== null) latency.delivered(now, counters.messagesSent - before)
    if (run.qos > 0) this.#acknowledge(run, isStored)
  }

  #acknowledge(run: Run, isStored: boolean): void {
    const publisher = this.#publisher as Publisher
    const { source, idAt, count } = run
    const hold = isStored ? (this.#state.store as Store).commit.hold(publisher) : publisher.held
    if (hold !== null) {
      for (let i = 0; i < count; i++) {
        const id = idAt[i] as number
        hold.add(PUBACK_BYTE, ((source[id] as number) << 8) | (source[id + 1] as number))
      }
      return
    }
    let at = publisher.output.reserve(count * 4)
    publisher.output.controls += count
    const chunk = publisher.output.chunk as Buffer
    for (let i = 0; i < count; i++) {
      const id = idAt[i] as number
      chunk[at] = PUBACK_BYTE
      chunk[at + 1] = 2
      chunk[at + 2] = source[id] as number
      chunk[at + 3] = source[id + 1] as number
      at += 4
    }
    publisher.markDirty()
  }

  /** A bridge tells of itself. Where it may not, that is no reason to end its connection. */
  #tellState(
    publisher: Publisher,
    route: Route,
    chunk: Buffer,
    start: number,
    body: number,
    payloadAt: number,
    end: number,
  ): Refusal | null {
    this.flush()
    const first = chunk[start] as number
    const isAcknowledged = (first & 6) !== 0
    const packetId = isAcknowledged ? ((chunk[payloadAt - 2] as number) << 8) | (chunk[payloadAt - 1] as number) : 0
    if (isAcknowledged && packetId === 0) return 'packet identifier is 0 [MQTT-2.3.1-1]'
    const { counters } = this.#state
    counters.messagesReceived++
    counters.publishBytesReceived += end - payloadAt
    publisher.received++
    if (route.allows(publisher.principal)) {
      const retain = (first & 1) !== 0
      const { spared, voice } = publisher
      const message = new Message(chunk, body, payloadAt, end, 0, false)
      message.own()
      this.deliver(route, message, retain, spared)
      if (retain) this.#retained.store(route.topic, message.payload, 0, spared?.clientId)
      if (route.rules.length > 0) this.#forwarding.message(route, message, retain, voice)
    }
    if (isAcknowledged) acknowledge(publisher, PUBACK_BYTE, packetId, null)
    return null
  }

  /** A message that can't be part of a run: QoS 2, retained, or sent again. */
  #publishOne(
    publisher: Publisher,
    route: Route,
    chunk: Buffer,
    start: number,
    body: number,
    payloadAt: number,
    end: number,
  ): Refusal | null {
    this.flush()
    const first = chunk[start] as number
    const qos = (first >> 1) & 3
    const retain = (first & 1) !== 0
    if (qos === 3) return 'PUBLISH with QoS 3 [MQTT-3.3.1-4]'
    if (qos === 0 && (first & 8) !== 0) return 'PUBLISH with QoS 0 and DUP [MQTT-3.3.1-2]'
    const packetId = qos > 0 ? ((chunk[payloadAt - 2] as number) << 8) | (chunk[payloadAt - 1] as number) : 0
    if (qos > 0 && packetId === 0) return 'packet identifier is 0 [MQTT-2.3.1-1]'
    const { counters, store, latency, now } = this.#state
    counters.messagesReceived++
    counters.publishBytesReceived += end - payloadAt
    publisher.received++
    route.published++
    const isStorable = store !== null && qos > 0
    if (isStorable && store.blocked !== null && (retain || (qos === 2 && publisher.log !== null))) {
      publisher.unstored(1)
      return null
    }
    let mustWait = isStorable && retain
    if (qos < 2 || publisher.receive(packetId)) {
      const message = new Message(chunk, body, payloadAt, end, qos, false)
      if (this.#state.isShared) message.own()
      const before = counters.messagesSent
      const { voice, spared } = publisher
      const isTaken = this.takes(route, message.size, qos, retain, voice, spared)
      const seq = isTaken ? this.deliver(route, message, retain, spared) : REFUSED
      if (seq === REFUSED) {
        if (qos === 2) publisher.forget(packetId)
        publisher.unstored(1)
        return null
      }
      if (retain) this.#retained.store(route.topic, message.payload, qos, spared?.clientId)
      if (route.rules.length > 0 && this.#forwarding.message(route, message, retain, voice)) mustWait = isStorable
      if (latency !== null) latency.delivered(now, counters.messagesSent - before)
      if (qos === 2 && publisher.log !== null) store?.saveReceipt(publisher.log, packetId)
      mustWait ||= seq > 0 || (qos === 2 && publisher.log !== null)
    } else mustWait = publisher.log !== null // the first copy may still be on its way to disk
    if (qos > 0) acknowledge(publisher, qos === 1 ? PUBACK_BYTE : PUBREC_BYTE, packetId, mustWait ? store : null)
    return null
  }
}

/** Acknowledges in the order of what is acknowledged [MQTT-4.6.0-2]; with a `store` when all until now is stored. */
export function acknowledge(to: Acknowledging, firstByte: number, packetId: number, store: Store | null): void {
  const hold = store === null || store.commit.isIdle ? to.held : store.commit.hold(to)
  if (hold !== null) {
    hold.add(firstByte, packetId)
    return
  }
  to.output.acknowledge(firstByte, packetId)
  to.markDirty()
}

import type { Principal } from '../auth/index.ts'
import { Message } from './message.ts'
import type { Output } from './output.ts'
import type { RetainedStore } from './retained.ts'
import { isTopic, type Route, type RouteCache } from './route.ts'
import { Run } from './run.ts'
import type { HubState } from './state.ts'
import { type Acknowledging, type Hold, REFUSED, type SessionLog, type Store } from './store/index.ts'
import { PUBACK_BYTE, PUBREC_BYTE } from './wire.ts'

/** The publisher, as far as routing needs it. */
export interface Publisher {
  readonly principal: Principal
  readonly output: Output
  /** The route of its last message: most publishers say the same topic again. */
  route: Route | null
  readonly closed: boolean
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
  readonly #run = new Run()
  #route: Route | null = null
  #publisher: Publisher | null = null
  #isFlushing = false

  constructor(state: HubState, routes: RouteCache, retained: RetainedStore) {
    this.#state = state
    this.#routes = routes
    this.#retained = retained
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
    if (route.problem !== null) return `publish topic (${route.topic}) invalid: it ${route.problem}`
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

  /**
   * Delivers one message to all subscribers of its topic, once it is on its way to the log of those that are kept.
   * Returns whether it is; or REFUSED, and then nobody gets it.
   */
  deliver(route: Route, message: Message): number {
    this.#refresh(route) // a hook may publish to the same topic, and that makes new sessions
    const { sessions, qos } = route
    if (message.qos > 0) {
      if (this.#mayRefuse && this.#roomFor(route, 1, message.size) === 0) return REFUSED
      const { store } = this.#state
      if (store !== null && route.kept > 0) message.seq = store.appendMessage(route, message)
      if (message.seq === REFUSED) return REFUSED
    }
    for (let i = 0; i < sessions.length; i++) {
      const granted = qos[i] as number
      // Never more than was granted, never more than was published [MQTT-3.8.4-6].
      sessions[i]?.deliver(message, message.qos < granted ? message.qos : granted)
    }
    return message.seq
  }

  /** Whether anybody hears what is published to a topic. */
  isHeard(topic: string): boolean {
    const route = this.#routes.of(topic)
    this.#refresh(route)
    return route.sessions.length > 0
  }

  #refresh(route: Route): void {
    if (route.epoch !== this.#state.epoch) this.#routes.refresh(route, this.#state.epoch)
  }

  /** A queue that takes no more refuses the message for all. */
  get #mayRefuse(): boolean {
    return this.#state.settings.overflow === 'reject-publish'
  }

  /** How many of so many messages all queues of a route have room for. */
  #roomFor(route: Route, count: number, size: number): number {
    let room = count
    for (const session of route.sessions) room = Math.min(room, session.roomFor(count, size))
    return room
  }

  #deliverRun(route: Route, run: Run): void {
    const counters = this.#state.counters
    counters.messagesReceived += run.count
    counters.publishBytesReceived += run.end - run.start
    this.#refresh(route)
    const sessions = route.sessions
    const { source, start, end } = run
    if (run.qos === 0) {
      for (let i = 0; i < sessions.length; i++) sessions[i]?.deliverBytes(source, start, end, run)
      return
    }
    const { store } = this.#state
    const room = this.#mayRefuse ? this.#roomFor(route, run.count, run.size) : run.count
    if (room < run.count) {
      ;(this.#publisher as Publisher).unstored(run.count - room)
      if (room === 0) return
      run.cut(room)
    }
    if (store !== null && route.kept > 0) run.seq = store.appendRun(route, run)
    if (run.seq === REFUSED) {
      ;(this.#publisher as Publisher).unstored(run.count)
      return
    }
    this.#deliverQos1(route, run)
    this.#acknowledge(run)
  }

  #deliverQos1(route: Route, run: Run): void {
    const { sessions, qos } = route
    for (let i = 0; i < sessions.length; i++) {
      const session = sessions[i]
      if (session === undefined) continue
      if ((qos[i] as number) > 0) session.deliverRun(run)
      else {
        const image = run.downgraded()
        session.deliverBytes(image, 0, image.length, run)
      }
    }
  }

  #acknowledge(run: Run): void {
    const publisher = this.#publisher as Publisher
    const { source, idAt, count, seq } = run
    const hold = seq > 0 ? (this.#state.store as Store).commit.hold(publisher) : publisher.held
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
    const counters = this.#state.counters
    counters.messagesReceived++
    counters.publishBytesReceived += end - start
    const { store } = this.#state
    const isStorable = store !== null && qos > 0
    if (isStorable && store.blocked !== null && (retain || (qos === 2 && publisher.log !== null))) {
      publisher.unstored(1)
      return null
    }
    let mustWait = isStorable && retain
    if (qos < 2 || publisher.receive(packetId)) {
      const message = new Message(chunk, body, payloadAt, end, qos, false)
      if (this.#state.isShared) message.own()
      const seq = this.deliver(route, message)
      if (seq === REFUSED) {
        if (qos === 2) publisher.forget(packetId)
        publisher.unstored(1)
        return null
      }
      if (retain) this.#retained.store(route.topic, message.payload, qos)
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

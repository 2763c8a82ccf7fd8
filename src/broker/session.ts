import type { Principal } from '../auth/index.ts'
import { FREE, Inflight, WAITS_PUBACK, WAITS_PUBCOMP, WAITS_PUBREC } from './inflight.ts'
import type { Message } from './message.ts'
import { MessageQueue } from './message-queue.ts'
import { type Output, REFERENCE_FROM } from './output.ts'
import type { Run } from './run.ts'
import type { HubState } from './state.ts'
import { copyBytes, PUBREL_BYTE } from './wire.ts'

/** Output of one turn above this is written at once, so that a flood within one turn stays bounded. */
const FLUSH_FROM = 262_144

/** This many queued messages of a connected client may stay in the chunk they came in until the next sweep. */
const NEAR = 256

/** The connection of a session, as far as delivery needs it. */
export interface Receiver {
  readonly output: Output
  /** The peer does not keep up: QoS 0 beyond a limit is dropped, QoS 1 and 2 wait in the session's queue. */
  readonly blocked: boolean
  /** QoS 0 messages in the output since it was last written. */
  pendingQos0: number
  /** Whether forward() has to be asked. */
  readonly forwards: boolean
  /** The message as this client may see it; null keeps it away. */
  forward(message: Message): Message | null
  markDirty(): void
  flush(): void
}

/** What the server keeps of a client, section 4.1: while it is connected and, without Clean Session, beyond. */
export class Session {
  readonly clientId: string
  /** Ends with the connection [MQTT-3.1.2-6]. */
  clean: boolean
  /** Topic filter -> granted QoS. */
  readonly subscriptions = new Map<string, number>()
  receiver: Receiver | null = null
  /** Who had the session last; what waited for one principal is not another's. */
  principal: Principal | null = null
  /** Set while a Route is made, to give overlapping filters one entry. */
  mark = 0
  markAt = 0
  readonly #state: HubState
  #inflight: Inflight | null = null
  #queue: MessageQueue | null = null
  /** QoS 2 packet identifiers whose PUBREL has not come. */
  #receipts: Set<number> | null = null
  #hasRetried = false
  #isPumping = false

  constructor(clientId: string, clean: boolean, state: HubState) {
    this.clientId = clientId
    this.clean = clean
    this.#state = state
  }

  /** Messages waiting for room in the window or for the client to come back. */
  get queued(): number {
    return this.#queue === null ? 0 : this.#queue.length
  }

  /** Messages sent and not acknowledged. */
  get unacknowledged(): number {
    return this.#inflight === null ? 0 : this.#inflight.length
  }

  /** Delivers one message at this QoS, now or when the window and the connection allow. */
  deliver(message: Message, qos: number): void {
    const receiver = this.receiver
    if (qos === 0) {
      if (receiver === null) {
        // Published with QoS 0 it is gone; with more it waits, as in OpenEdge, even for a subscription of QoS 0.
        if (message.qos > 0 && !this.clean) this.#enqueue(message, 0)
        return
      }
      if (this.queued > 0) this.#enqueueQos0(message)
      else if (this.#admitsQos0(receiver, message.size, 1)) this.#send(receiver, message, 0)
      return
    }
    if (receiver === null || receiver.blocked || this.queued > 0 || this.#window().free <= 0) {
      this.#enqueue(message, qos)
      return
    }
    this.#send(receiver, message, qos)
  }

  /** Delivers a stored message because of a SUBSCRIBE: never dropped for lack of room, for the store holds it anyway. */
  deliverRetained(message: Message, qos: number): void {
    const receiver = this.receiver
    if (receiver === null) return
    if (this.queued > 0 || receiver.blocked || (qos > 0 && this.#window().free <= 0))
      this.#enqueueRetained(message, qos)
    else this.#send(receiver, message, qos)
  }

  /** Delivers a run at QoS 0; its packets lie one behind the other in `source`. */
  deliverBytes(source: Buffer, start: number, end: number, run: Run): void {
    const receiver = this.receiver
    if (receiver === null) {
      if (run.qos === 0 || this.clean) return
      for (let i = 0; i < run.count; i++) this.deliver(run.message(i), 0)
    } else if (this.queued > 0) {
      for (let i = 0; i < run.count; i++) this.#enqueueQos0(run.message(i))
    } else if (receiver.blocked && receiver.pendingQos0 + run.count > this.#state.settings.qos0Buffer) {
      for (let i = 0; i < run.count; i++) this.deliver(run.message(i), 0) // as many as there is room for
    } else if (this.#admitsQos0(receiver, end - start, run.count)) {
      receiver.output.append(source, start, end, receiver.blocked || (this.#state.isShared && source === run.source))
      this.#written(receiver, run.count)
    }
  }

  /** Delivers a run of QoS 1 packets of one topic at QoS 1: one copy of all bytes, then the packet identifiers. */
  deliverRun(run: Run): void {
    const receiver = this.receiver
    const window = this.#window()
    // As many as the window takes go at once; the others wait in the queue.
    const isLarge = run.end - run.start >= REFERENCE_FROM * run.count // then payloads go by reference, one by one
    const isWaiting = receiver === null || receiver.blocked || this.queued > 0
    const count = isLarge || isWaiting ? 0 : Math.min(window.free, run.count)
    if (receiver !== null && count > 0) {
      const { source, start, idAt } = run
      const end = count < run.count ? (run.at[count] as number) : run.end
      const now = this.#state.now
      const output = receiver.output
      const at = output.reserve(end - start)
      const chunk = output.chunk as Buffer
      copyBytes(source, start, end, chunk, at)
      const shift = at - start
      for (let i = 0; i < count; i++) {
        const id = window.push(run.message(i), WAITS_PUBACK, now)
        const to = (idAt[i] as number) + shift
        chunk[to] = id >> 8
        chunk[to + 1] = id & 0xff
      }
      this.#written(receiver, count)
    }
    for (let i = count; i < run.count; i++) this.deliver(run.message(i), 1)
  }

  /** The client is there (again): sends what was not acknowledged, in order, then what waited [MQTT-4.4.0-1]. */
  attach(receiver: Receiver): void {
    this.receiver = receiver
    const output = receiver.output
    const now = this.#state.now
    const window = this.#inflight
    window?.forEach((packetId, state, message) => {
      window.resent(packetId, now)
      if (state === WAITS_PUBCOMP) output.acknowledge(PUBREL_BYTE, packetId)
      else if (message !== null) output.publish(message, state === WAITS_PUBREC ? 2 : 1, true, packetId) // [MQTT-3.3.1-1]
    })
    if (output.size > 0) receiver.markDirty()
    this.pump()
  }

  /** The connection ended; what is kept moves into memory of its own. */
  detach(): void {
    this.receiver = null
    this.own()
  }

  /** Frees the input chunks that waiting messages still point into. */
  own(): void {
    this.#inflight?.forEach((_id, _state, message) => message?.own())
    if (this.#queue?.length === 0) this.#queue = null
    else this.#queue?.settle()
  }

  /** Moves waiting messages into the window and onto the wire as far as both have room. */
  pump(): void {
    const queue = this.#queue
    const receiver = this.receiver
    if (queue === null || receiver === null || this.#isPumping) return
    this.#isPumping = true // a flush in between finds room again and comes back here
    try {
      while (queue.length > 0 && !receiver.blocked && receiver.output.size < FLUSH_FROM) {
        const qos = queue.peekQos()
        if (qos > 0 && this.#window().free <= 0) break
        this.#send(receiver, queue.shift() as Message, qos)
        if (this.receiver !== receiver || this.#queue !== queue) break // a hook ended the connection or emptied the queue
      }
    } finally {
      this.#isPumping = false
    }
  }

  /** PUBACK from the client. */
  onPuback(packetId: number): Message | null {
    const window = this.#inflight
    if (window === null) return null
    const message = window.messageOf(packetId)
    if (!window.acknowledge(packetId)) return null
    // Once the client is behind, the next overdue message does not wait for the sweep.
    if (this.#hasRetried) this.retry(this.#state.now - this.#state.settings.retryIntervalMs)
    return message
  }

  /** PUBREC from the client. Returns the message when the handshake moved on. */
  onPubrec(packetId: number): Message | null {
    const window = this.#inflight
    if (window === null) return null
    const message = window.messageOf(packetId)
    return window.received(packetId, this.#state.now) ? message : null
  }

  /** PUBCOMP from the client. */
  onPubcomp(packetId: number): boolean {
    return this.#inflight?.complete(packetId) ?? false
  }

  /** What a packet identifier waits for; FREE when it is not in use. */
  stateOf(packetId: number): number {
    return this.#inflight?.stateOf(packetId) ?? FREE
  }

  /** Notes an incoming QoS 2 message; false when it was there already: a copy that must not be delivered [MQTT-4.3.3-2]. */
  receive(packetId: number): boolean {
    this.#receipts ??= new Set()
    if (this.#receipts.has(packetId)) return false
    this.#receipts.add(packetId)
    return true
  }

  /** Whether a QoS 2 message with this identifier waits for its PUBREL. */
  hasReceipt(packetId: number): boolean {
    return this.#receipts?.has(packetId) ?? false
  }

  /** Incoming QoS 2 messages whose PUBREL has not come. */
  get receipts(): number {
    return this.#receipts?.size ?? 0
  }

  /** PUBREL came: the identifier is free again. */
  release(packetId: number): boolean {
    const had = this.#receipts?.delete(packetId) ?? false
    if (this.#receipts?.size === 0) this.#receipts = null
    return had
  }

  /**
   * Sends the oldest unacknowledged message again when it has waited since before `before`, as OpenEdge does while the
   * connection stands.
   */
  retry(before: number): void {
    if (this.#inflight?.isEmpty ?? true) this.#hasRetried = false
    const receiver = this.receiver
    const window = this.#inflight
    if (receiver === null || window === null || receiver.blocked) return
    const packetId = window.overdue(before)
    if (packetId === 0) return
    window.resent(packetId, this.#state.now)
    this.#hasRetried = true
    const state = window.stateOf(packetId)
    const message = window.messageOf(packetId)
    if (state === WAITS_PUBCOMP) receiver.output.acknowledge(PUBREL_BYTE, packetId)
    else if (message !== null) receiver.output.publish(message, state === WAITS_PUBREC ? 2 : 1, true, packetId)
    receiver.markDirty()
  }

  /** Puts back what an earlier life of this session had sent; in the order of sending, before attach(). */
  restoreSent(packetId: number, state: number, message: Message | null): boolean {
    return this.#window().restore(packetId, state, message, this.#state.now)
  }

  /** Puts back a message that an earlier life of this session had not sent. */
  restoreQueued(message: Message, qos: number): void {
    this.#enqueue(message, qos)
  }

  /** Forgets the messages whose topics the client may no longer hear. Before attach(). */
  keepOnly(mayHear: (topic: string) => boolean): void {
    this.#inflight?.forget(message => !mayHear(message.topic))
    const queue = this.#queue
    if (queue === null) return
    this.#queue = null
    for (
      let qos = queue.peekQos(), message = queue.shift();
      message !== null;
      qos = queue.peekQos(), message = queue.shift()
    )
      if (mayHear(message.topic)) this.#enqueue(message, qos)
  }

  /** Forgets all messages on their way to the client. */
  empty(): void {
    this.#inflight = null
    this.#queue?.clear()
    this.#queue = null
  }

  #window(): Inflight {
    this.#inflight ??= new Inflight(this.#state.settings.window)
    return this.#inflight
  }

  #send(receiver: Receiver, given: Message, qos: number): void {
    const message = receiver.forwards ? receiver.forward(given) : given
    const { observer, now } = this.#state
    if (message === null) {
      if (qos > 0) observer?.withheld(this, given)
      return
    }
    let packetId = 0
    if (qos > 0) {
      packetId = this.#window().push(message, qos === 2 ? WAITS_PUBREC : WAITS_PUBACK, now)
      observer?.sent(this, given, qos, packetId)
    }
    receiver.output.publish(message, qos, false, packetId)
    this.#written(receiver, 1)
  }

  #written(receiver: Receiver, count: number): void {
    this.#state.counters.messagesSent += count
    receiver.markDirty()
    if (receiver.output.size >= FLUSH_FROM && !receiver.blocked) receiver.flush()
  }

  #admitsQos0(receiver: Receiver, bytes: number, count: number): boolean {
    if (!receiver.blocked) return true
    const { qos0Buffer, qos0BufferBytes } = this.#state.settings
    if (receiver.pendingQos0 + count > qos0Buffer || receiver.output.size + bytes > qos0BufferBytes) {
      this.#state.counters.droppedQos0 += count
      return false
    }
    receiver.pendingQos0 += count
    return true
  }

  #enqueueQos0(message: Message): void {
    const { qos0Buffer, queueBytes } = this.#state.settings
    const queue = this.#queue as MessageQueue
    if (queue.qos0 >= qos0Buffer || queue.bytes + message.size > queueBytes || this.#state.isFull(message.size)) {
      this.#state.counters.droppedQos0++
      return
    }
    message.own()
    queue.push(message, 0, false)
  }

  /** A stored message waits once, however often it is asked for. */
  #enqueueRetained(message: Message, qos: number): void {
    this.#queue ??= new MessageQueue(this.#state)
    const { exempt } = this.#queue
    if (exempt.has(message)) return
    if (exempt.size >= this.#state.settings.retainedCount) this.#state.counters.droppedQueued++
    else this.#queue.push(message, qos, true)
  }

  #enqueue(message: Message, qos: number): void {
    this.#queue ??= new MessageQueue(this.#state)
    const queue = this.#queue
    // Near a connected client a message soon goes on; farther back it must not pin the chunk it came in.
    if (this.receiver === null || queue.length >= NEAR) message.settle()
    queue.push(message, qos, false)
    const { queueMessages, queueBytes } = this.#state.settings
    while (queue.counted > queueMessages || queue.bytes > queueBytes || this.#state.isFull(0)) {
      if (queue.counted <= 1 || !queue.dropOldest()) return
      this.#state.counters.droppedQueued++
    }
  }
}

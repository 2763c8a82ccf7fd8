import { copyBytes, PUBREL_BYTE, REFERENCE_FROM } from '../wire/index.ts'
import { WAITS_PUBACK, WAITS_PUBCOMP, WAITS_PUBREC } from './inflight.ts'
import { KeptState } from './kept-state.ts'
import type { Message } from './message.ts'
import { MessageQueue } from './message-queue.ts'
import type { Receiver } from './receiver.ts'
import type { Run } from './run.ts'
import type { SessionLog } from './store/index.ts'

/** Output of one turn above this is written at once, so that a flood within one turn stays bounded. */
const FLUSH_FROM = 262_144

/** This many queued messages of a connected client may stay in the chunk they came in until the next sweep. */
const NEAR = 256

/** The way of messages to one client, and of its acknowledgements back. */
export class Session extends KeptState {
  #hasRetried = false
  #isPumping = false

  /** Delivers one message at this QoS, now or when the window and the connection allow. */
  deliver(message: Message, qos: number): void {
    const { receiver, log } = this
    // Dropped by a full queue.
    if (log !== null && message.qos > 0 && qos > 0 && log.taken(message.seq, 1) === 0) return
    if (log !== null && log.disk.count > 0) {
      if (message.seq === 0) this.#follow(log, message)
      if (message.seq === 0 || log.disk.has(message.seq)) return
    }
    if (qos === 0) {
      if (receiver === null) {
        // Published with QoS 0 it is gone; with more it waits, as in OpenEdge, even for a subscription of QoS 0.
        if (message.qos > 0 && !this.clean) this.#enqueue(message, 0)
        return
      }
      if (this.queued > 0 || !this.#mayPass(0)) this.#enqueueQos0(message)
      else if (this.#admitsQos0(receiver, message.size, 1)) this.#send(receiver, message, 0)
      return
    }
    if (receiver === null || !this.#mayPass(qos) || receiver.blocked || this.queued > 0 || this.window().free <= 0) {
      this.#enqueue(message, qos)
      return
    }
    this.#send(receiver, message, qos)
  }

  /** Delivers a stored message because of a SUBSCRIBE: never dropped for lack of room, for the store holds it anyway. */
  deliverRetained(message: Message, qos: number): void {
    const { receiver, log } = this
    if (receiver === null) return
    if (log !== null && qos > 0) {
      // Asked for over and over it does not fill the disk.
      const { queueMessages, retainedCount } = this.state.settings
      const isWanted = log.disk.count < Math.max(queueMessages, retainedCount)
      if (!isWanted || this.state.store?.appendFor(this, message, qos) !== true) this.state.counters.droppedQueued++
    } else if (log !== null && log.disk.count > 0) this.#follow(log, message)
    else if (this.queued > 0 || receiver.blocked || !this.#mayPass(qos) || (qos > 0 && this.window().free <= 0))
      this.#enqueueRetained(message, qos)
    else this.#send(receiver, message, qos)
  }

  /** Delivers a run at QoS 0; its packets lie one behind the other in `source`. */
  deliverBytes(source: Buffer, start: number, end: number, run: Run): void {
    const receiver = this.receiver
    if (receiver === null) {
      if (run.qos === 0 || this.clean || this.log !== null) return
      for (let i = 0; i < run.count; i++) this.deliver(run.message(i), 0)
    } else if (this.queued > 0 || !this.#mayPass(0)) {
      for (let i = 0; i < run.count; i++) this.#enqueueQos0(run.message(i))
    } else if (receiver.blocked && receiver.pendingQos0 + run.count > this.state.settings.qos0Buffer) {
      for (let i = 0; i < run.count; i++) this.deliver(run.message(i), 0) // as many as there is room for
    } else if (this.#admitsQos0(receiver, end - start, run.count)) {
      receiver.output.append(source, start, end, receiver.blocked || (run.isShared && source === run.source))
      this.#written(receiver, run.count, run.payloadBytes)
    }
  }

  /** Delivers a run of QoS 1 packets of one topic at QoS 1: one copy of all bytes, then the packet identifiers. */
  deliverRun(run: Run): void {
    const { receiver, log } = this
    if (log !== null && log.disk.has(run.seq)) return
    const total = log === null ? run.count : log.taken(run.seq, run.count)
    if (total === 0) return
    const window = this.window()
    // As many as the window takes go at once; the others wait in the queue.
    const isLarge = run.end - run.start >= REFERENCE_FROM * run.count // then payloads go by reference, one by one
    const isWaiting = receiver === null || receiver.blocked || this.queued > 0 || !this.#mayPass(1)
    const count = isLarge || isWaiting ? 0 : Math.min(window.free, total)
    if (receiver !== null && count > 0) {
      const { source, start, idAt } = run
      const end = count < run.count ? (run.at[count] as number) : run.end
      const now = this.state.now
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
      log?.touch()
      this.#written(receiver, count, run.payloadOf(count))
    }
    for (let i = count; i < total; i++) this.deliver(run.message(i), 1)
  }

  /** The client is there (again): sends what was not acknowledged, in order, then what waited [MQTT-4.4.0-1]. */
  attach(receiver: Receiver): void {
    this.receiver = receiver
    const output = receiver.output
    const now = this.state.now
    const window = this.inflight
    const withheld = new Set<Message>()
    window?.forEach((packetId, state, message) => {
      window.resent(packetId, now)
      // That PUBREC came was stored before the client was let in, unless the disk fails.
      if (state === WAITS_PUBCOMP) {
        if ((this.state.store?.commit.failure ?? null) === null) output.acknowledge(PUBREL_BYTE, packetId)
        else receiver.acknowledge(PUBREL_BYTE, packetId)
      }
      if (message === null || this.log?.holds(packetId) === true) return // it goes when its identifier is stored
      // What comes from the log is as it was published: the hook has its say again.
      const seen = this.wasRestored && receiver.forwards ? receiver.forward(message) : message
      if (this.receiver !== receiver) return // the hook has ended the connection: what it said does not count
      if (seen === null) {
        withheld.add(message)
        return
      }
      if (seen !== message) {
        seen.seq = message.seq
        window.replace(packetId, seen)
      }
      output.publish(seen, state === WAITS_PUBREC ? 2 : 1, true, packetId) // [MQTT-3.3.1-1]
    })
    this.wasRestored = false
    for (const message of withheld) this.log?.consumed(message.seq)
    if (withheld.size > 0) window?.forget(message => withheld.has(message))
    if (this.receiver !== receiver) return // the hook ended the connection
    if (output.size > 0) receiver.markDirty()
    this.pump()
  }

  /** The connection ended; what is kept moves into memory of its own. */
  detach(): void {
    this.receiver = null
    if (this.log !== null) this.log.leave()
    else this.own()
  }

  /** Moves waiting messages into the window and onto the wire as far as both have room. */
  pump(): void {
    const queue = this.queue
    const receiver = this.receiver
    if (receiver === null || this.#isPumping) return
    if (queue === null) {
      this.log?.feed.wake()
      return
    }
    this.#isPumping = true // a flush in between finds room again and comes back here
    try {
      while (queue.length > 0 && !receiver.blocked && receiver.output.size < FLUSH_FROM) {
        const qos = queue.peekQos()
        if ((qos > 0 && this.window().free <= 0) || !this.#mayPass(qos)) break
        this.#send(receiver, queue.shift() as Message, qos)
        if (this.receiver !== receiver || this.queue !== queue) break // a hook ended the connection or emptied the queue
      }
    } finally {
      this.#isPumping = false
    }
    if (queue.length === 0) this.calmDown()
    this.log?.feed.wake()
  }

  /** PUBACK from the client. */
  onPuback(packetId: number): Message | null {
    const window = this.inflight
    if (window === null) return null
    const message = window.messageOf(packetId)
    if (!window.acknowledge(packetId)) return null
    if (message !== null) this.log?.consumed(message.seq)
    // Once the client is behind, the next overdue message does not wait for the sweep.
    if (this.#hasRetried) this.retry(this.state.now - this.state.settings.retryIntervalMs)
    return message
  }

  /** PUBREC from the client. Returns the message when the handshake moved on. */
  onPubrec(packetId: number): Message | null {
    const window = this.inflight
    if (window === null) return null
    const message = window.messageOf(packetId)
    if (!window.received(packetId, this.state.now)) return null
    if (message !== null) this.log?.consumed(message.seq)
    return message
  }

  /** PUBCOMP from the client. */
  onPubcomp(packetId: number): boolean {
    this.log?.touch()
    return this.inflight?.complete(packetId) ?? false
  }

  /**
   * Sends the oldest unacknowledged message again when it has waited since before `before`, as OpenEdge does while the
   * connection stands.
   */
  retry(before: number): void {
    if (this.inflight?.isEmpty ?? true) this.#hasRetried = false
    const receiver = this.receiver
    const window = this.inflight
    if (receiver === null || window === null || receiver.blocked || !this.#mayPass(1)) return
    const packetId = window.overdue(before)
    if (packetId === 0) return
    window.resent(packetId, this.state.now)
    this.#hasRetried = true
    const state = window.stateOf(packetId)
    const message = window.messageOf(packetId)
    if (state === WAITS_PUBCOMP) receiver.acknowledge(PUBREL_BYTE, packetId)
    else if (message !== null) receiver.output.publish(message, state === WAITS_PUBREC ? 2 : 1, true, packetId)
    receiver.markDirty()
  }

  /** Puts back a message that an earlier life of this session had not sent. */
  restoreQueued(message: Message, qos: number): void {
    if (this.log === null) {
      this.#enqueue(message, qos)
      return
    }
    // Its log has seen to the limits.
    this.queue ??= new MessageQueue(this.state)
    message.settle()
    this.queue.push(message, qos, false)
  }

  /** More waits on disk, behind what waits in memory: where that is too much, the oldest give way. */
  trim(): void {
    const { queue } = this
    const { overflow, queueMessages, queueBytes } = this.state.settings
    if (queue === null || overflow !== 'drop-oldest') return
    while (this.queued > queueMessages || this.queuedBytes > queueBytes) {
      const oldest = queue.dropOldest()
      if (oldest === null) return
      this.#drop(oldest)
    }
  }

  /** Forgets the messages whose topics no subscription of the client matches. Before attach(). */
  keepHeard(): void {
    const isUnheard = (message: Message): boolean => {
      if (this.hears(message.topic)) return false
      this.log?.consumed(message.seq)
      return true
    }
    this.log?.guard()
    this.inflight?.forget(isUnheard)
    this.queue?.forget(isUnheard)
  }

  /** The packet identifier of a QoS 2 message is stored: now it may be sent. */
  sendHeld(packetId: number, message: Message): void {
    const { receiver } = this
    const window = this.inflight
    if (receiver !== null && window?.messageOf(packetId) === message) {
      receiver.output.publish(message, 2, false, packetId)
      this.#written(receiver, 1, message.end - message.payloadAt)
    }
    if (this.#mayPass(1)) this.pump()
  }

  #send(receiver: Receiver, given: Message, qos: number): void {
    const message = receiver.forwards ? receiver.forward(given) : given
    const { observer, now } = this.state
    const { log } = this
    if (message === null && this.receiver !== receiver && log !== null) {
      log.giveBack(given) // the hook has failed, and ended the connection: the next one gets it
      return
    }
    if (log !== null && (message === null || qos === 0)) log.consumed(given.seq)
    if (message === null) {
      if (qos > 0) observer?.withheld(this, given)
      return
    }
    let packetId = 0
    if (qos > 0) {
      message.seq = given.seq
      packetId = this.window().push(message, qos === 2 ? WAITS_PUBREC : WAITS_PUBACK, now)
      observer?.sent(this, given, qos, packetId)
      if (log !== null && qos === 2) {
        log.sendLater(packetId, message)
        return
      }
      log?.touch()
    }
    receiver.output.publish(message, qos, false, packetId)
    this.#written(receiver, 1, message.end - message.payloadAt)
  }

  #written(receiver: Receiver, count: number, bytes: number): void {
    const { counters } = this.state
    counters.messagesSent += count
    counters.publishBytesSent += bytes
    receiver.sent += count
    receiver.markDirty()
    if (receiver.output.size >= FLUSH_FROM && !receiver.blocked) receiver.flush()
  }

  #admitsQos0(receiver: Receiver, bytes: number, count: number): boolean {
    if (!receiver.blocked) return true
    const { qos0Buffer, qos0BufferBytes } = this.state.settings
    if (receiver.pendingQos0 + count > qos0Buffer || receiver.output.size + bytes > qos0BufferBytes) {
      this.state.counters.droppedQos0 += count
      return false
    }
    receiver.pendingQos0 += count
    return true
  }

  /** Nothing overtakes a QoS 2 message that waits for its packet identifier to be stored. */
  #mayPass(qos: number): boolean {
    return this.log === null || this.log.held === 0 || qos === 2
  }

  #follow(log: SessionLog, message: Message): void {
    if (this.receiver !== null && !log.follow(message)) this.state.counters.droppedQos0++
  }

  #enqueueQos0(message: Message): void {
    if (this.isEnded) return
    const { log } = this
    if (log !== null && log.disk.count > 0) {
      this.deliver(message, 0)
      return
    }
    const { qos0Buffer, queueBytes } = this.state.settings
    this.queue ??= new MessageQueue(this.state)
    const queue = this.queue
    if (queue.qos0 >= qos0Buffer || queue.bytes + message.size > queueBytes || this.state.isFull(message.size)) {
      this.state.counters.droppedQos0++
      log?.consumed(message.seq)
      return
    }
    message.own()
    queue.push(message, 0, false)
  }

  /** A stored message waits once, however often it is asked for. */
  #enqueueRetained(message: Message, qos: number): void {
    this.queue ??= new MessageQueue(this.state)
    const { exempt } = this.queue
    if (exempt.has(message)) return
    if (exempt.size >= this.state.settings.retainedCount) this.state.counters.droppedQueued++
    else this.queue.push(message, qos, true)
  }

  #enqueue(message: Message, qos: number): void {
    if (this.isEnded) return // in the middle of its own delivery
    this.queue ??= new MessageQueue(this.state)
    const queue = this.queue
    const { queueMessages, queueBytes, overflow } = this.state.settings
    const isOver = queue.counted >= queueMessages || queue.bytes + message.size > queueBytes
    // Stored messages share the memory of all without losing any: what has no room there waits on disk.
    const isUnstored = this.log === null
    if (overflow === 'drop-newest' && (isOver || (isUnstored && this.state.isFull(message.size)))) {
      this.#drop(message)
      return
    }
    // Near a connected client a message soon goes on; farther back it must not pin the chunk it came in.
    if (this.receiver === null || queue.length >= NEAR) message.settle()
    queue.push(message, qos, false)
    if (overflow !== 'drop-oldest') return // there was room when it was taken
    while (queue.counted > queueMessages || queue.bytes > queueBytes || (isUnstored && this.state.isFull(0))) {
      const oldest = queue.counted > 1 ? queue.dropOldest() : null
      if (oldest === null) return
      this.#drop(oldest)
    }
  }

  #drop(message: Message): void {
    this.state.counters.droppedQueued++
    this.log?.consumed(message.seq)
    this.overflowed()
  }
}

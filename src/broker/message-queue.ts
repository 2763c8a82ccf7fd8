import type { Message } from './message.ts'

const FIRST_CAPACITY = 16
const EXEMPT = 4

/** Counts the bytes that wait in all queues together. */
export interface WaitingBytes {
  waitingBytes: number
}

/**
 * Messages that wait for room in the window, each with the QoS it will be delivered at; first in, first out. Retained
 * messages wait in their turn too, but are exempt from limits: the store holds them anyway.
 */
export class MessageQueue {
  /** Bytes of topics and payloads, without those of exempt messages. */
  bytes = 0
  /** The QoS 0 messages among those that count. */
  qos0 = 0
  /** The exempt ones. */
  readonly exempt = new Set<Message>()
  readonly #total: WaitingBytes
  /** Null where a message was dropped. */
  #messages: (Message | null)[] = []
  #qos = new Uint8Array(0)
  #mask = -1
  #head = 0
  #places = 0
  #length = 0
  /** So many places from the head on hold no message that could be dropped. */
  #kept = 0

  constructor(total: WaitingBytes) {
    this.#total = total
  }

  get length(): number {
    return this.#length
  }

  /** Messages that count against limits. */
  get counted(): number {
    return this.#length - this.exempt.size
  }

  push(message: Message, qos: number, exempt: boolean): void {
    if (this.#places > this.#mask) this.#grow()
    const slot = (this.#head + this.#places++) & this.#mask
    this.#messages[slot] = message
    this.#qos[slot] = exempt ? qos | EXEMPT : qos
    this.#length++
    if (exempt) this.exempt.add(message)
    else this.#account(message, qos, 1)
  }

  /** The QoS of the oldest; only when there is one. */
  peekQos(): number {
    return (this.#qos[this.#head] as number) & ~EXEMPT
  }

  /** Takes the oldest; null when empty. */
  shift(): Message | null {
    if (this.#length === 0) return null
    const message = this.#messages[this.#head] as Message
    this.#take(this.#head, message)
    this.#skip()
    return message
  }

  /** The number of the first logged message; 0 when there is none. */
  get firstSeq(): number {
    for (let i = 0; i < this.#places; i++) {
      const seq = this.#messages[(this.#head + i) & this.#mask]?.seq ?? 0
      if (seq > 0) return seq
    }
    return 0
  }

  /** Drops the oldest that is not exempt; null when there is none. */
  dropOldest(): Message | null {
    for (; this.#kept < this.#places; this.#kept++) {
      const slot = (this.#head + this.#kept) & this.#mask
      const message = this.#messages[slot] as Message | null
      if (message === null || ((this.#qos[slot] as number) & EXEMPT) !== 0) continue
      this.#take(slot, message)
      this.#skip()
      return message
    }
    return null
  }

  /** Takes out what is unwanted. */
  forget(isUnwanted: (message: Message) => boolean): void {
    for (let i = 0; i < this.#places; i++) {
      const slot = (this.#head + i) & this.#mask
      const message = this.#messages[slot] as Message | null
      if (message !== null && isUnwanted(message)) this.#take(slot, message)
    }
    this.#skip()
  }

  /** Moves all messages out of memory that they share with others than their run. */
  settle(): void {
    for (let i = 0; i < this.#places; i++) this.#messages[(this.#head + i) & this.#mask]?.settle()
  }

  /** Forgets all. */
  clear(): void {
    this.#total.waitingBytes -= this.bytes
    this.bytes = 0
    this.#messages = []
    this.#qos = new Uint8Array(0)
    this.#mask = -1
    this.#head = 0
    this.#places = 0
    this.#length = 0
    this.#kept = 0
    this.qos0 = 0
    this.exempt.clear()
  }

  #take(slot: number, message: Message): void {
    const qos = this.#qos[slot] as number
    this.#messages[slot] = null
    this.#length--
    if ((qos & EXEMPT) !== 0) this.exempt.delete(message)
    else this.#account(message, qos, -1)
  }

  #account(message: Message, qos: number, sign: number): void {
    this.bytes += sign * message.size
    this.#total.waitingBytes += sign * message.size
    if (qos === 0) this.qos0 += sign
  }

  /** Brings the head to the oldest message. */
  #skip(): void {
    while (this.#places > 0 && this.#messages[this.#head] === null) {
      this.#head = (this.#head + 1) & this.#mask
      this.#places--
      if (this.#kept > 0) this.#kept--
    }
  }

  #grow(): void {
    const capacity = Math.max(FIRST_CAPACITY, (this.#mask + 1) * 2)
    const messages: (Message | null)[] = Array.from({ length: capacity }, () => null)
    const qos = new Uint8Array(capacity)
    for (let i = 0; i < this.#places; i++) {
      const from = (this.#head + i) & this.#mask
      messages[i] = this.#messages[from] as Message | null
      qos[i] = this.#qos[from] as number
    }
    this.#messages = messages
    this.#qos = qos
    this.#mask = capacity - 1
    this.#head = 0
  }
}

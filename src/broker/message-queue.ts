import type { Message } from './message.ts'

const FIRST_CAPACITY = 16
const EXEMPT = 4

/** Messages that wait for room in the window, each with the QoS it will be delivered at; first in, first out. */
export class MessageQueue {
  /** Bytes of topics and payloads, without those of exempt messages. */
  bytes = 0
  /** How many of the messages do not count against limits. */
  exempt = 0
  #messages: (Message | null)[] = []
  #qos = new Uint8Array(0)
  #mask = -1
  #head = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  push(message: Message, qos: number, exempt: boolean): void {
    if (this.#length > this.#mask) this.#grow()
    const slot = (this.#head + this.#length++) & this.#mask
    this.#messages[slot] = message
    this.#qos[slot] = exempt ? qos | EXEMPT : qos
    if (exempt) this.exempt++
    else this.bytes += message.size
  }

  /** The QoS of the oldest; only when there is one. */
  peekQos(): number {
    return (this.#qos[this.#head] as number) & ~EXEMPT
  }

  /** Takes the oldest; null when empty. */
  shift(): Message | null {
    if (this.#length === 0) return null
    const message = this.#messages[this.#head] as Message
    this.#messages[this.#head] = null
    if (((this.#qos[this.#head] as number) & EXEMPT) !== 0) this.exempt--
    else this.bytes -= message.size
    this.#head = (this.#head + 1) & this.#mask
    this.#length--
    return message
  }

  /** Moves all messages into memory of their own. */
  own(): void {
    for (let i = 0; i < this.#length; i++) this.#messages[(this.#head + i) & this.#mask]?.own()
  }

  #grow(): void {
    const capacity = Math.max(FIRST_CAPACITY, (this.#mask + 1) * 2)
    const messages: (Message | null)[] = new Array<Message | null>(capacity).fill(null)
    const qos = new Uint8Array(capacity)
    for (let i = 0; i < this.#length; i++) {
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

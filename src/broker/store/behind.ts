import type { Message } from '../message.ts'
import type { WaitingBytes } from '../message-queue.ts'

/** QoS 0 messages that must not overtake logged ones that wait on disk. They are in memory only. */
export class Behind {
  /** Bytes of topics and payloads. */
  bytes = 0
  readonly #total: WaitingBytes
  #waiting: { readonly before: number; readonly message: Message }[] = []

  constructor(total: WaitingBytes) {
    this.#total = total
  }

  get length(): number {
    return this.#waiting.length
  }

  /** Adds a message that goes before the one with this number. */
  push(before: number, message: Message): void {
    message.own()
    this.#account(message.size)
    this.#waiting.push({ before, message })
  }

  /** Takes those that go before the message with this number. */
  takeBefore(seq: number, visit: (message: Message) => void): void {
    let count = 0
    while (count < this.#waiting.length && (this.#waiting[count]?.before ?? 0) <= seq) count++
    if (count === 0) return
    for (const { message } of this.#waiting.splice(0, count)) {
      this.#account(-message.size)
      visit(message)
    }
  }

  /** Takes out what is not wanted. */
  keep(isWanted: (message: Message) => boolean): void {
    this.#waiting = this.#waiting.filter(({ message }) => {
      if (isWanted(message)) return true
      this.#account(-message.size)
      return false
    })
  }

  clear(): void {
    this.#account(-this.bytes)
    this.#waiting = []
  }

  #account(bytes: number): void {
    this.bytes += bytes
    this.#total.waitingBytes += bytes
  }
}

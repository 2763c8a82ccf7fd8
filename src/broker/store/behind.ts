import type { Message } from '../message.ts'

/** QoS 0 messages that must not overtake logged ones that wait on disk. They are in memory only. */
export class Behind {
  #waiting: { readonly before: number; readonly message: Message }[] = []

  get length(): number {
    return this.#waiting.length
  }

  /** Adds a message that goes before the one with this number. */
  push(before: number, message: Message): void {
    message.own()
    this.#waiting.push({ before, message })
  }

  /** Takes those that go before the message with this number. */
  takeBefore(seq: number, visit: (message: Message) => void): void {
    let count = 0
    while (count < this.#waiting.length && (this.#waiting[count]?.before ?? 0) <= seq) count++
    if (count > 0) for (const { message } of this.#waiting.splice(0, count)) visit(message)
  }

  clear(): void {
    if (this.#waiting.length > 0) this.#waiting = []
  }
}

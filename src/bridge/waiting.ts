import type { Entry } from './entry.ts'

/** Messages that wait until the target takes them, in the order in which they came. */
export class Waiting {
  bytes = 0
  /** Messages of QoS 0 among them. */
  qos0 = 0
  #entries: (Entry | null)[] = []
  #head = 0

  get length(): number {
    return this.#entries.length - this.#head
  }

  push(entry: Entry): void {
    entry.own()
    this.#entries.push(entry)
    this.bytes += entry.size
    if (entry.outQos === 0) this.qos0++
  }

  peek(): Entry | null {
    return this.#entries[this.#head] ?? null
  }

  shift(): Entry | null {
    const entry = this.#entries[this.#head] ?? null
    if (entry === null) return null
    this.#entries[this.#head++] = null
    if (this.#head > 64 && this.#head * 2 > this.#entries.length) this.#compact()
    this.#took(entry)
    return entry
  }

  /** Removes the oldest message of QoS 0. */
  dropQos0(): void {
    const at = this.#entries.findIndex(entry => entry !== null && entry.outQos === 0)
    if (at === -1) return
    this.#took(this.#entries[at] as Entry)
    this.#entries.splice(at, 1)
  }

  /** Removes all that `isUnwanted` says. */
  remove(isUnwanted: (entry: Entry) => boolean): void {
    for (let count = this.length; count > 0; count--) {
      const entry = this.shift() as Entry
      if (!isUnwanted(entry)) this.push(entry)
    }
  }

  #took(entry: Entry): void {
    this.bytes -= entry.size
    if (entry.outQos === 0) this.qos0--
  }

  #compact(): void {
    this.#entries = this.#entries.slice(this.#head)
    this.#head = 0
  }
}

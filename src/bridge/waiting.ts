import type { Entry } from './entry.ts'

/** Places that were given free at the front before they are really given back. */
const SLACK = 64

/** Messages that wait until the target takes them, in the order in which they came. */
export class Waiting {
  length = 0
  bytes = 0
  /** Messages of QoS 0 among them. */
  qos0 = 0
  /** Null: it has gone. */
  #entries: (Entry | null)[] = []
  /** Nobody waits in front of this, and no message of QoS 0 in front of the other. */
  #head = 0
  #headQos0 = 0

  push(entry: Entry): void {
    entry.own()
    this.#entries.push(entry)
    this.length++
    this.bytes += entry.size
    if (entry.outQos === 0) this.qos0++
  }

  peek(): Entry | null {
    if (this.length === 0) return null
    while (this.#entries[this.#head] === null) this.#head++
    return this.#entries[this.#head] ?? null
  }

  shift(): Entry | null {
    const entry = this.peek()
    if (entry !== null) this.#take(this.#head, entry)
    return entry
  }

  /** Removes the oldest message of QoS 0. */
  dropQos0(): void {
    if (this.qos0 === 0) return
    let at = Math.max(this.#headQos0, this.#head)
    while (this.#entries[at]?.outQos !== 0) at++
    this.#headQos0 = at + 1
    this.#take(at, this.#entries[at] as Entry)
  }

  /** Removes all that `isUnwanted` says. */
  remove(isUnwanted: (entry: Entry) => boolean): void {
    const kept = this.#entries.slice(this.#head).filter(entry => entry !== null && !isUnwanted(entry))
    this.#entries = []
    this.#head = 0
    this.#headQos0 = 0
    this.length = 0
    this.bytes = 0
    this.qos0 = 0
    for (const entry of kept) if (entry !== null) this.push(entry)
  }

  #take(at: number, entry: Entry): void {
    this.#entries[at] = null
    this.length--
    this.bytes -= entry.size
    if (entry.outQos === 0) this.qos0--
    if (this.#head < SLACK || this.#head * 2 < this.#entries.length) return
    this.#entries = this.#entries.slice(this.#head)
    this.#headQos0 = Math.max(this.#headQos0 - this.#head, 0)
    this.#head = 0
  }
}

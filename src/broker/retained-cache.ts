import type { Message } from './message.ts'
import type { RetainedEntry } from './retained-entry.ts'
import type { Store } from './store/index.ts'

/** What a message in memory costs beyond its bytes: two objects, and an allocation of its own. */
const OVERHEAD = 512

/**
 * Which stored messages are in memory as well. One that is not written yet is pinned; the others go, those first that
 * nobody wanted since the hand came by last, when together they are more than the limit.
 */
export class RetainedCache {
  /** Bytes that may be taken by what could be read from the store again. */
  limit: number
  #bytes = 0
  #hand = 0
  readonly #ring: RetainedEntry[] = []
  /** Changed since the last batch was stored, and those of before that. */
  #young: RetainedEntry[] = []
  #old: RetainedEntry[] = []
  #isArmed = false

  constructor(limit: number) {
    this.limit = limit
  }

  /** Bytes taken by what could be read from the store again. */
  get bytes(): number {
    return this.#bytes
  }

  /** A new message, which has just been added to the batch: it stays in memory until that is written. */
  pin(entry: RetainedEntry, message: Message, store: Store): void {
    entry.message = message
    entry.pins++
    this.#young.push(entry)
    if (this.#isArmed) return
    this.#isArmed = true
    store.commit.after(() => this.#written(store))
  }

  /** A message as the store has it. `isOneOfMany`: only when there is room, so that others are not pushed out for it. */
  keep(entry: RetainedEntry, message: Message, isOneOfMany: boolean): void {
    if (entry.message !== null || entry.isGone) return
    if (isOneOfMany && !this.hasRoomFor(entry)) return
    entry.message = message
    this.#admit(entry)
  }

  hasRoomFor(entry: RetainedEntry): boolean {
    return this.#bytes + costOf(entry) <= this.limit
  }

  /** Lets go of the message, whatever becomes of its topic. Before it becomes another. */
  forget(entry: RetainedEntry): void {
    if (entry.slot !== -1) this.#remove(entry)
    entry.message = null
  }

  /**
   * A batch is written. What was added while it was under way is in the next one, and nobody says of an entry which it
   * was: all wait for one batch more than the one that was current when the last one ended.
   */
  #written(store: Store): void {
    const written = this.#old
    this.#old = this.#young
    this.#young = []
    if (this.#old.length > 0) store.commit.after(() => this.#written(store))
    else this.#isArmed = false
    for (const entry of written) {
      entry.pins--
      if (entry.pins === 0 && entry.message !== null) this.#admit(entry)
    }
  }

  #admit(entry: RetainedEntry): void {
    const cost = costOf(entry)
    if (cost > this.limit) {
      entry.message = null
      return
    }
    while (this.#bytes + cost > this.limit) this.#advance()
    entry.isUsed = false
    entry.slot = this.#ring.length
    this.#ring.push(entry)
    this.#bytes += cost
  }

  /** The hand moves on: over a message that was wanted, for once, and in place of one that was not. */
  #advance(): void {
    if (this.#hand >= this.#ring.length) this.#hand = 0
    const entry = this.#ring[this.#hand++] as RetainedEntry
    if (entry.isUsed) entry.isUsed = false
    else this.forget(entry) // the last, and youngest, takes its place behind the hand
  }

  #remove(entry: RetainedEntry): void {
    const last = this.#ring.pop() as RetainedEntry
    if (last !== entry) {
      this.#ring[entry.slot] = last
      last.slot = entry.slot
    }
    entry.slot = -1
    this.#bytes -= costOf(entry)
  }
}

function costOf({ size }: RetainedEntry): number {
  return size + OVERHEAD
}

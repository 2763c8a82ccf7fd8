import type { LogEntry } from './log-record.ts'

const SHIFT_FROM = 64

/** The entries of one session that are in memory, in their order; those before the first that is not done are gone. */
export class EntryList {
  #entries: LogEntry[] = []
  /** Those before it are done. */
  #head = 0

  get first(): LogEntry | undefined {
    return this.#entries[this.#head]
  }

  get last(): LogEntry | undefined {
    return this.#entries.length > this.#head ? this.#entries.at(-1) : undefined
  }

  push(entry: LogEntry): void {
    this.#entries.push(entry)
  }

  /** The entry of this message; mostly it is the first. */
  find(seq: number): LogEntry | undefined {
    const entries = this.#entries
    let low = this.#head
    let high = entries.length - 1
    const first = entries[low]
    if (first === undefined || seq < first.seq + first.count)
      return first !== undefined && seq >= first.seq ? first : undefined
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((entries[middle] as LogEntry).seq <= seq) low = middle
      else high = middle - 1
    }
    const found = entries[low] as LogEntry
    return seq < found.seq + found.count ? found : undefined
  }

  /** Takes entries that are done from the front. */
  shiftDone(visit: (entry: LogEntry) => void): void {
    const entries = this.#entries
    while (this.#head < entries.length && (entries[this.#head] as LogEntry).left === 0)
      visit(entries[this.#head++] as LogEntry)
    if (this.#head === entries.length) {
      entries.length = 0
      this.#head = 0
    } else if (this.#head > SHIFT_FROM && this.#head * 2 > entries.length) {
      entries.splice(0, this.#head)
      this.#head = 0
    }
  }

  /** Forgets what lies behind this entry, and with `inclusive` the entry as well. */
  cut(entry: LogEntry, inclusive: boolean): void {
    this.#entries.length = this.#entries.indexOf(entry, this.#head) + (inclusive ? 0 : 1)
  }

  list(): LogEntry[] {
    return this.#entries.slice(this.#head)
  }
}

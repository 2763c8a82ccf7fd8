interface RepeatsOptions {
  /** Lines of one key in one window before it is only counted. Default 5. */
  readonly most?: number
  /** Keys remembered, and as many again of those that had lines left out. Default 1000. */
  readonly keys?: number
  /** Milliseconds. Default one minute. */
  readonly windowMs?: number
}

/** Lines that were left out, and not told of yet. */
export interface LeftOut {
  /** Null: of several keys, more than are remembered. */
  readonly key: string | null
  readonly count: number
}

interface Entry {
  readonly since: number
  spoken: number
  leftOut: number
}

/**
 * Keeps a repeated offender from filling the log: a few lines in a window, then the number of those left out, which the
 * next line has, or `collect` when there is none.
 *
 * Memory is bounded and offenders are not forgotten for the sake of others: a key that had lines left out is apart from
 * those that merely spoke, which give way to new ones. A key that gives way begins anew, it is never silenced.
 */
export class Repeats {
  readonly #most: number
  readonly #keys: number
  readonly #windowMs: number
  /** Keys that have spoken, in the order of their windows. */
  readonly #calm = new Map<string, Entry>()
  /** Keys that had lines left out. */
  readonly #loud = new Map<string, Entry>()
  /** Left out of keys that had to give way. */
  #others = 0

  constructor({ most = 5, keys = 1000, windowMs = 60_000 }: RepeatsOptions = {}) {
    this.#most = most
    this.#keys = keys
    this.#windowMs = windowMs
  }

  /** Something was left out that nobody has been told of. */
  get hasLeftOut(): boolean {
    return this.#loud.size > 0 || this.#others > 0
  }

  /**
   * Null when this line should not be written; else how many lines of this key were left out before it. `now` in
   * milliseconds of any clock that does not go back.
   */
  admit(key: string, now: number, most: number = this.#most): number | null {
    const entry = this.#loud.get(key) ?? this.#calm.get(key)
    if (entry === undefined || this.#isOver(entry, now)) {
      this.#loud.delete(key)
      this.#calm.delete(key)
      this.#begin(key, now)
      return entry === undefined ? 0 : entry.leftOut
    }
    if (entry.spoken < most) {
      entry.spoken++
      return 0
    }
    if (entry.leftOut++ === 0) this.#raise(key, entry)
    return null
  }

  /** Takes what was left out in windows that are over at `now`, or have been. */
  collect(now: number): LeftOut[] {
    const found: LeftOut[] = []
    for (const [key, entry] of this.#loud) {
      if (!this.#isOver(entry, now)) continue
      this.#loud.delete(key)
      found.push({ key, count: entry.leftOut })
    }
    if (this.#others > 0) found.push({ key: null, count: this.#others })
    this.#others = 0
    return found
  }

  #isOver(entry: Entry, now: number): boolean {
    return now - entry.since >= this.#windowMs
  }

  #begin(key: string, now: number): void {
    for (const [oldest, entry] of this.#calm) {
      if (this.#calm.size < this.#keys && !this.#isOver(entry, now)) break
      this.#calm.delete(oldest)
    }
    this.#calm.set(key, { since: now, spoken: 1, leftOut: 0 })
  }

  #raise(key: string, entry: Entry): void {
    this.#calm.delete(key)
    if (this.#loud.size >= this.#keys) {
      for (const [oldest, { leftOut }] of this.#loud) {
        this.#others += leftOut
        this.#loud.delete(oldest)
        break
      }
    }
    this.#loud.set(key, entry)
  }
}

/** How often one key may speak in one window before it is only counted. */
const SPEAKS = 5
const WINDOW_MS = 60_000
const MAX_KEYS = 1000

/** Keeps a repeated offender from filling the log: a few lines a minute each, then the number of those left out. */
export class Repeats {
  readonly #seen = new Map<string, { since: number; count: number }>()

  /**
   * Null when this line should not be written; else how many lines of this key were left out before it. `now` in
   * milliseconds of any clock.
   */
  admit(key: string, now: number): number | null {
    const entry = this.#seen.get(key)
    if (entry === undefined || now - entry.since >= WINDOW_MS) {
      this.#seen.delete(key)
      if (this.#seen.size >= MAX_KEYS) {
        for (const oldest of this.#seen.keys()) {
          this.#seen.delete(oldest)
          break
        }
      }
      this.#seen.set(key, { since: now, count: 1 })
      return entry === undefined ? 0 : Math.max(0, entry.count - SPEAKS)
    }
    entry.count++
    return entry.count <= SPEAKS ? 0 : null
  }
}

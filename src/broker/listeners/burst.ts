/** Without one more for so long, a burst is over. */
const QUIET_MS = 10_000
/** A burst that does not end gets a line this often. */
const REPEAT_MS = 60_000

/** Decides which occurrences of an event that others can provoke are worth a log line: the first of each burst. */
export class Burst {
  #unsaid = 0
  #loggedAt = Number.NEGATIVE_INFINITY
  #lastAt = Number.NEGATIVE_INFINITY

  /** Counts one. Returns how many there were since the last line when another one is due, else 0. */
  hit(now: number = performance.now()): number {
    const isDue = now - this.#lastAt >= QUIET_MS || now - this.#loggedAt >= REPEAT_MS
    this.#lastAt = now
    this.#unsaid++
    if (!isDue) return 0
    const count = this.#unsaid
    this.#unsaid = 0
    this.#loggedAt = now
    return count
  }
}

/** Upper ends of the buckets, in seconds; above the last comes one without end. */
const BOUNDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

/** Chunks of one turn that are told apart; more are as old as the last of them. */
const CHUNKS = 256

/**
 * How long messages take on the data path, from the moment their bytes were read to the end of the turn in which they were
 * put into the outputs of their receivers, as a histogram. That is when they are handed to the kernel, unless the receiver does not keep up.
 * Time in a queue or on disk is not in it, nor are messages that a hook has a say in. It costs two numbers a chunk and a
 * look at the clock a turn.
 */
export class Latency {
  readonly bounds: readonly number[] = BOUNDS
  /** Messages in each bucket, not added up. */
  readonly counts = new Float64Array(BOUNDS.length + 1)
  /** Seconds. */
  sum = 0
  // Of fixed size, for an array that is emptied in every turn is made anew in every turn.
  readonly #readAt = new Float64Array(CHUNKS)
  readonly #messages = new Float64Array(CHUNKS)
  #chunks = 0

  /** Messages that came with a chunk read at this time (milliseconds) were put into outputs. */
  delivered(readAt: number, messages: number): void {
    if (messages <= 0) return
    const last = this.#chunks - 1
    if (last >= 0 && (this.#readAt[last] === readAt || last === CHUNKS - 1)) {
      this.#messages[last] = (this.#messages[last] as number) + messages
      return
    }
    this.#readAt[this.#chunks] = readAt
    this.#messages[this.#chunks++] = messages
  }

  /** All outputs were written. */
  written(): void {
    if (this.#chunks === 0) return
    const now = performance.now()
    for (let i = 0; i < this.#chunks; i++) {
      const seconds = (now - (this.#readAt[i] as number)) / 1000
      const messages = this.#messages[i] as number
      let bucket = 0
      while (bucket < BOUNDS.length && seconds > (BOUNDS[bucket] as number)) bucket++
      this.counts[bucket] = (this.counts[bucket] as number) + messages
      this.sum += seconds * messages
    }
    this.#chunks = 0
  }
}

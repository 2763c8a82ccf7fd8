/** How many steps the time that messages are kept is divided into. */
const STEPS = 256

/** Knows roughly when messages were numbered, without asking each: the number that was next at certain times. */
export class AgeMarks {
  readonly #stepMs: number
  /** Step of time -> the number behind the last message of that step. */
  readonly #marks = new Map<number, number>()

  /** `retentionMs`: how far back anybody will ask. */
  constructor(retentionMs: number) {
    this.#stepMs = Math.max(retentionMs / STEPS, 1)
  }

  /** All messages published until `time` have smaller numbers than `end`. */
  note(time: number, end: number): void {
    const step = Math.floor(time / this.#stepMs)
    if ((this.#marks.get(step) ?? 0) < end) this.#marks.set(step, end)
  }

  /** A number below which there are messages from before `time`; 0 when there are none. Forgets older marks. */
  before(time: number): number {
    let end = 0
    for (const [step, mark] of this.#marks) {
      if (step * this.#stepMs >= time) continue
      if (mark > end) end = mark
      this.#marks.delete(step)
    }
    this.#last = Math.max(this.#last, end)
    return this.#last
  }

  #last = 0
}

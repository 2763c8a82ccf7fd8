/** Something that gathers output and writes it when asked. */
export interface Flushable {
  flush(): void
}

/** Has everybody's output of a turn of the event loop written in one go at its end, after all that was readable was read. */
export class Turns {
  #dirty: Flushable[] = []
  #spare: Flushable[] = []
  #isArmed = false
  readonly #flushAll = (): void => this.#flush()

  flushLater(item: Flushable): void {
    this.#dirty.push(item)
    if (this.#isArmed) return
    this.#isArmed = true
    setImmediate(this.#flushAll)
  }

  #flush(): void {
    this.#isArmed = false
    const items = this.#dirty
    this.#dirty = this.#spare
    for (const item of items) item.flush()
    items.length = 0
    this.#spare = items
  }
}

import { type Entry, NOBODY } from './entry.ts'

const MOST = 65_535

/**
 * The messages of QoS 1 and 2 that one direction of a rule has on its hands, in the order in which they came, by their packet
 * identifiers at both ends. These are the same wherever possible: then a bridge that forgot everything can still finish
 * what it began, because the identifiers that the source repeats are those that the target knows.
 */
export class Entries {
  readonly #byOut = new Map<number, Entry>()
  /** Those whose identifiers differ, by the one at the source. */
  readonly #aliases = new Map<number, Entry>()
  #nextAlias = MOST

  get size(): number {
    return this.#byOut.size
  }

  /** In the order in which they came. */
  [Symbol.iterator](): IterableIterator<Entry> {
    return this.#byOut.values()
  }

  /** The one that the target knows by this identifier. */
  ofTarget(outId: number): Entry | undefined {
    return this.#byOut.get(outId)
  }

  /** The one that the source knows, or knew, by this identifier. */
  ofSource(sourceId: number): Entry | undefined {
    const entry = this.#byOut.get(sourceId)
    return entry?.sourceId === sourceId && entry.epoch !== NOBODY ? entry : this.#aliases.get(sourceId)
  }

  /** The identifier for the target; 0: all are taken. */
  idFor(sourceId: number): number {
    if (!this.#byOut.has(sourceId)) return sourceId
    if (this.#byOut.size >= MOST) return 0
    while (this.#byOut.has(this.#nextAlias)) this.#nextAlias = this.#nextAlias > 1 ? this.#nextAlias - 1 : MOST
    return this.#nextAlias
  }

  add(entry: Entry): void {
    this.#byOut.set(entry.outId, entry)
    if (entry.outId !== entry.sourceId) this.#aliases.set(entry.sourceId, entry)
  }

  delete(entry: Entry): void {
    this.#byOut.delete(entry.outId)
    this.#forgetAlias(entry)
  }

  /** The source knows nothing of it any more. */
  orphan(entry: Entry): void {
    entry.epoch = NOBODY
    this.#forgetAlias(entry)
  }

  #forgetAlias(entry: Entry): void {
    if (entry.outId !== entry.sourceId && this.#aliases.get(entry.sourceId) === entry)
      this.#aliases.delete(entry.sourceId)
  }
}

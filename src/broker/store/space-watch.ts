import type { Logger } from '../../common/index.ts'
import type { Database } from './database.ts'

/** It is full no more when so much of the limit is free again. */
const FREE_AGAIN = 0.05
/** A full database is compacted at most this often: what was deleted takes space until then. */
const COMPACT_EVERY_MS = 5000

/** Knows whether there is room for more: below storage.max.bytes, and with the reserve still free on the disk. */
export class SpaceWatch {
  isFull = false
  /** As last seen; null: not looked at yet. */
  usedBytes: number | null = null
  readonly #database: Database
  readonly #maxBytes: number
  readonly #log: Logger
  readonly #changed: () => void
  #isChecking = false
  #compactedAt = 0
  #isStopped = false

  /** `maxBytes` 0: no limit. `changed` is called when isFull has changed. */
  constructor(database: Database, maxBytes: number, log: Logger, changed: () => void) {
    this.#database = database
    this.#maxBytes = maxBytes
    this.#log = log
    this.#changed = changed
  }

  stop(): void {
    this.#isStopped = true
  }

  /** Looks at the disk, unless it is still looking. */
  check(): void {
    if (this.#isChecking || this.#isStopped) return
    this.#isChecking = true
    this.#check()
      .catch(error => {
        if (!this.#isStopped) this.#log.warn({ dir: this.#database.dir, err: error as Error }, 'store.space.unknown')
      })
      .finally(() => {
        this.#isChecking = false
      })
  }

  async #check(): Promise<void> {
    const [used, free] = await Promise.all([this.#database.liveBytes(), this.#database.freeBytes()])
    this.usedBytes = used
    const margin = this.isFull ? this.#maxBytes * FREE_AGAIN : 0
    const isOver = this.#maxBytes > 0 && used > this.#maxBytes - margin
    const reserve = this.#database.reserveBytes
    const isShort = free < (this.isFull ? 2 * reserve : reserve)
    if (this.isFull && !isShort) await this.#database.restoreReserve()
    const isFull = isOver || isShort
    if (isFull && performance.now() - this.#compactedAt > COMPACT_EVERY_MS) {
      this.#compactedAt = performance.now()
      await this.#database.compact()
    }
    if (isFull === this.isFull || this.#isStopped) return
    this.isFull = isFull
    this.#log[isFull ? 'error' : 'info']({ dir: this.#database.dir, used, free, max: this.#maxBytes }, 'store.space')
    this.#changed()
  }
}

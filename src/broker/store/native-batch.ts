import type { Level } from './database.ts'

/** The part of classic-level's chained batch that its public methods call. */
interface Inner {
  _put(key: Buffer, value: Buffer): void
  _del(key: Buffer): void
  _write(options: { sync: boolean }): Promise<void>
  _clear(): void
}

/**
 * One chained batch of classic-level, used over and over. What such a batch holds lies outside the heap and is freed only
 * when garbage is collected, which under load is hundreds of megabytes too late; and the other way, a batch as an array,
 * costs more CPU time than all the rest of a commit. A batch that has been written can't be used again through its public
 * methods, so this uses those beneath. With a version of classic-level that has none it takes arrays.
 */
export class NativeBatch {
  readonly #level: Level
  #inner: Inner | null = null

  constructor(level: Level) {
    this.#level = level
  }

  /** Writes all keys; a value of null deletes. One write at a time. */
  async write(keys: readonly Buffer[], values: readonly (Buffer | null)[], sync: boolean): Promise<void> {
    const inner = this.#open()
    if (inner === null) {
      const operations = keys.map((key, i) => {
        const value = values[i] as Buffer | null
        return value === null ? { type: 'del' as const, key } : { type: 'put' as const, key, value }
      })
      return this.#level.batch(operations, { sync })
    }
    try {
      for (let i = 0; i < keys.length; i++) {
        const value = values[i] as Buffer | null
        if (value === null) inner._del(keys[i] as Buffer)
        else inner._put(keys[i] as Buffer, value)
      }
      await inner._write({ sync })
    } catch (error) {
      this.#inner = null // the database is opened anew
      throw error
    }
    inner._clear()
  }

  #open(): Inner | null {
    if (this.#inner !== null) return this.#inner
    const batch = this.#level.batch() as unknown as Partial<Inner>
    const { _put, _del, _write, _clear } = batch
    if (!_put || !_del || !_write || !_clear) return null
    this.#inner = batch as Inner
    return this.#inner
  }
}

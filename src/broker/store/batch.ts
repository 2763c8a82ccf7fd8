import type { Hold } from './hold.ts'
import { cursorKey, queueKey, recordKey } from './keys.ts'
import type { LogEntry, LogRecord } from './log-record.ts'
import { encodeCursor, encodeEntry, encodeRecord } from './records.ts'
import type { SessionLog } from './session-log.ts'

/** What is written to the database in one go, and who waits for it. */
export class Batch {
  readonly holds: Hold[] = []
  readonly callbacks: (() => void)[] = []
  readonly keys: Buffer[] = []
  /** Null deletes. */
  readonly values: (Buffer | null)[] = []
  /** Bytes that it holds in memory, roughly. */
  bytes = 0
  /** The number of the first message that is not in it; set when it is sealed. */
  end = 0
  /** Where each key is, once that matters. */
  #places: Map<string, number> | null = null
  readonly #records: LogRecord[] = []
  readonly #touched: SessionLog[] = []

  get isEmpty(): boolean {
    return (
      this.keys.length === 0 &&
      this.#records.length === 0 &&
      this.#touched.length === 0 &&
      this.holds.length === 0 &&
      this.callbacks.length === 0
    )
  }

  /** `isLong`: the batch may have to wait for long, so a key is kept once, with its last value. */
  put(key: Buffer, value: Buffer, isLong = false): void {
    this.#set(key, value, isLong)
    this.bytes += key.length + value.length
  }

  del(key: Buffer, isLong = false): void {
    this.#set(key, null, isLong)
    this.bytes += key.length
  }

  #set(key: Buffer, value: Buffer | null, isLong: boolean): void {
    if (isLong) {
      this.#places ??= new Map(this.keys.map((each, i) => [each.toString('latin1'), i]))
      const name = key.toString('latin1')
      const place = this.#places.get(name)
      if (place !== undefined) {
        this.bytes -= key.length + (this.values[place]?.length ?? 0)
        this.values[place] = value
        return
      }
      this.#places.set(name, this.keys.length)
    }
    this.keys.push(key)
    this.values.push(value)
  }

  add(record: LogRecord): void {
    this.#records.push(record)
    this.bytes += record.packets.length
  }

  /** The window of a session has changed; what it is when the batch is sealed is what counts. */
  touch(log: SessionLog): void {
    this.#touched.push(log)
  }

  /** Takes what is to be written as it is now; what every receiver has by now is not written at all. */
  seal(end: number): void {
    this.end = end
    for (const record of this.#records) this.#addRecord(record)
    for (const log of this.#touched) this.#addCursor(log)
  }

  #addRecord(record: LogRecord): void {
    const { seq, time } = record
    const live: LogEntry[] = []
    for (const entry of record.entries) if (entry.left > 0 && !entry.log.isDropped) live.push(entry)
    if (live.length === 0) return
    const isShared = live.length > 1
    const holders = isShared ? live.map(entry => entry.log.number) : null
    if (holders !== null) {
      const key = recordKey(seq)
      this.put(key, encodeRecord(key, holders, record.packets))
    }
    for (const entry of live) {
      const { qos, count, size } = entry
      const key = queueKey(entry.log.number, seq)
      this.put(key, encodeEntry(key, { qos, count, size, time }, isShared ? null : record.packets))
      entry.isWritten = true
      entry.holders = holders
    }
  }

  #addCursor(log: SessionLog): void {
    log.isTouched = false
    if (log.isDropped) return
    const key = cursorKey(log.number)
    const cursor = log.cursor()
    if (cursor !== null) this.put(key, encodeCursor(key, cursor))
    else if (log.hasCursor) this.del(key)
    log.hasCursor = cursor !== null
  }
}

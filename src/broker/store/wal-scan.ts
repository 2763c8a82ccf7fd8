import { crc32c, endWithCrc32c } from './wal-crc32c.ts'
import {
  BATCH_HEAD,
  BLOCK_BYTES,
  endOf,
  FIRST,
  FULL,
  HEADER_BYTES,
  isWhole,
  LAST,
  sequenceOf,
  storedCrc,
} from './wal-fragment.ts'

/** What the disk writes as one. Lost writes leave zeros from such a boundary on. */
const SECTOR_BYTES = 512
/** Fewer zeros than these may be anybody's data. */
const FEW_ZEROS = 16

/** Where a log is not as it was written. */
export interface LogDamage {
  /** Of the fragment, in bytes from the start of the file. */
  readonly offset: number
  readonly reason: string
  /** True: an unfinished last write, as a loss of power leaves it. False: something stored is damaged. */
  readonly isTail: boolean
}

export interface LogFindings {
  readonly records: number
  /** Bytes from the start of the file in which every record is whole. */
  readonly wholeBytes: number
  readonly damage: LogDamage | null
  /** The sequence number that the next batch has; null when there was none and none was given. */
  readonly nextSequence: number | null
}

export interface LogScanOptions {
  /** Of the whole file, in bytes. */
  readonly size: number
  /** Whether the records are batches: then their sequence numbers must follow each other. */
  readonly isWal: boolean
  /** The sequence number the first batch must have; null: any. */
  readonly nextSequence?: number | null
  /** Where any is good: the first batch may have no greater one. */
  readonly firstAtMost?: number | null
  /** Called with each whole record; its bytes are good during the call only. */
  readonly record?: (bytes: Buffer, offset: number) => void
}

/**
 * Reads a log block by block and decides what its damage is. LevelDB itself drops a damaged block and goes on, without
 * a word; so what it would drop has to be known before it opens the database.
 *
 * A log may end in the middle of a write: cut off, with zeros, or with bytes that are no log. Anything else is damage:
 * a whole batch behind it, or a fragment that lies where it must, is as long as it must be and differs in some byte.
 */
export class LogScan {
  readonly #options: LogScanOptions
  /** Of the current block, in the file. */
  #base = 0
  #records = 0
  #whole = 0
  #next: number | null
  /** The fragments so far of the record that has no LAST yet. */
  #parts: Buffer[] | null = null
  #partsAt = 0
  #damage: { offset: number; reason: string } | null = null
  /** The damage is none of an unfinished write. */
  #isCertain = false
  /** The damaged fragment ended with its block, and is all there: a whole fragment behind it decides. */
  #isFitting = false

  constructor(options: LogScanOptions) {
    this.#options = options
    this.#next = options.nextSequence ?? null
  }

  /** Takes the next block: 32 KiB, or the rest of the file. */
  block(bytes: Buffer): void {
    if (this.#damage === null) this.#read(bytes)
    else if (!this.#isCertain) this.#search(bytes, 0)
    this.#base += bytes.length
  }

  end(): LogFindings {
    if (this.#damage === null && this.#parts !== null) {
      this.#damage = { offset: this.#partsAt, reason: 'the last record has no end' }
    }
    return {
      records: this.#records,
      wholeBytes: this.#damage === null ? this.#base : this.#whole,
      damage: this.#damage === null ? null : { ...this.#damage, isTail: !this.#isCertain },
      nextSequence: this.#next,
    }
  }

  #read(bytes: Buffer): void {
    let at = 0
    while (bytes.length - at >= HEADER_BYTES) {
      if (!isWhole(bytes, at)) {
        this.#judge(bytes, at)
        return
      }
      const end = endOf(bytes, at)
      if (!this.#fragment(bytes, at, end)) return
      at = end
    }
    // The file may end within the bytes of a block that are too few for a header.
    const isCut = at < bytes.length && at <= BLOCK_BYTES - HEADER_BYTES
    if (isCut) this.#found(at, 'the last record is cut off', false)
  }

  /** Takes a whole fragment; false when it does not belong there. */
  #fragment(bytes: Buffer, at: number, end: number): boolean {
    const type = bytes[at + 6] as number
    const start = at + HEADER_BYTES
    if (type === FULL || type === FIRST) {
      // Older writers of LevelDB may leave an empty FIRST at the end of a block. Nothing is lost with it.
      if (this.#parts?.some(part => part.length > 0)) {
        this.#damage = { offset: this.#partsAt, reason: 'a record has no end' }
        this.#isCertain = true
        return false
      }
      this.#partsAt = this.#base + at
      this.#parts = type === FIRST ? [] : null
    } else if (this.#parts === null) return this.#found(at, 'a record has no beginning', true)
    if (type === FULL) return this.#record(bytes, start, end, end)
    // Of a batch only the head matters, and enough of each fragment holds it however it was cut.
    const kept = this.#options.record === undefined ? Math.min(end, start + BATCH_HEAD) : end
    this.#parts?.push(Buffer.from(bytes.subarray(start, kept)))
    if (type !== LAST) return true
    const record = Buffer.concat(this.#parts ?? [])
    this.#parts = null
    return this.#record(record, 0, record.length, end)
  }

  /** Takes the record from `start` to before `end` of some bytes, that ends at `blockEnd` of the block. */
  #record(bytes: Buffer, start: number, end: number, blockEnd: number): boolean {
    const at = this.#partsAt - this.#base
    if (this.#options.isWal) {
      if (end - start < BATCH_HEAD) return this.#found(at, 'a record is too short', true)
      const sequence = sequenceOf(bytes, start)
      const isAhead = this.#next === null && sequence > (this.#options.firstAtMost ?? sequence)
      if (isAhead || (this.#next !== null && sequence !== this.#next))
        return this.#found(at, 'records before it are missing', true)
      this.#next = sequence + bytes.readUInt32LE(start + 8)
    }
    this.#options.record?.(bytes.subarray(start, end), this.#partsAt)
    this.#records++
    this.#whole = this.#base + blockEnd
    return true
  }

  #found(at: number, reason: string, isCertain: boolean): false {
    this.#damage = { offset: this.#base + at, reason }
    this.#isCertain = isCertain
    return false
  }

  /** Decides about the fragment at `at`, which is not whole. */
  #judge(bytes: Buffer, at: number): void {
    const limit = bytes.length
    const end = endOf(bytes, at)
    const isLast = this.#base + limit >= this.#options.size
    if (isZero(bytes, at, limit)) return void this.#found(at, 'zeros instead of a record', false)
    const type = bytes[at + 6] as number
    if (end <= limit && crc32c(bytes, at + 6, end) === storedCrc(bytes, at)) {
      return void this.#found(at, `unknown record type ${type}`, true)
    }
    // The checksum does not cover the length: with the right one it fits.
    if (endWithCrc32c(bytes, at + 6, limit, storedCrc(bytes, at)) > at + HEADER_BYTES) {
      return void this.#found(at, 'wrong length of a record', true)
    }
    if (end > limit) {
      const isCut = isLast && type >= FULL && type <= LAST
      this.#found(at, isCut ? 'the last record is cut off' : 'no log record', false)
      // The data of a record that is cut off come from anybody, and may look like records.
      if (!isCut) this.#rake(bytes, at + 1)
      return
    }
    const isLost = hasLostSector(bytes, at, end, this.#base)
    // No batch is so short that only this was left of it: these bytes were never a record.
    const mayBeShort = !this.#options.isWal || this.#parts !== null || end === BLOCK_BYTES
    const isRecord = mayBeShort || end - at >= HEADER_BYTES + BATCH_HEAD
    this.#found(at, 'wrong checksum of a record', false)
    if (limit - end < HEADER_BYTES) {
      if (isLast) this.#isCertain = !isLost && isRecord
      else this.#isFitting = !isLost
    } else if (isWhole(bytes, end)) {
      this.#isCertain = !isLost
      if (isLost) this.#search(bytes, end)
    } else this.#rake(bytes, at + 1)
  }

  /** Looks behind damage for the beginning of a whole batch. */
  #search(bytes: Buffer, from: number): void {
    let at = from
    while (bytes.length - at >= HEADER_BYTES && isWhole(bytes, at)) {
      const type = bytes[at + 6] as number
      if (this.#isFitting || type === FULL || type === FIRST) {
        this.#isCertain = true
        return
      }
      at = endOf(bytes, at)
    }
    this.#isFitting = false
    this.#rake(bytes, at)
  }

  /** Looks for a whole batch anywhere in the rest of a block, where nothing says where fragments begin. */
  #rake(bytes: Buffer, from: number): void {
    if (!this.#options.isWal) return
    const last = bytes.length - HEADER_BYTES - BATCH_HEAD
    for (let at = from; at <= last; at++) {
      const type = bytes[at + 6] as number
      if (type !== FULL && type !== FIRST) continue
      if (endOf(bytes, at) - at < HEADER_BYTES + BATCH_HEAD || !isWhole(bytes, at)) continue
      // Data may look like a log, but not like the next batches of this one.
      const ahead = sequenceOf(bytes, at + HEADER_BYTES) - (this.#next ?? 0)
      if (this.#next !== null && (ahead < 0 || ahead > this.#base + at - this.#whole)) continue
      this.#isCertain = true
      return
    }
  }
}

function isZero(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== 0) return false
  return true
}

/** Whether a sector of the disk, or its part within these bytes, is all zeros: it was never written. */
function hasLostSector(bytes: Buffer, from: number, to: number, base: number): boolean {
  for (let at = from + ((SECTOR_BYTES - ((base + from) % SECTOR_BYTES)) % SECTOR_BYTES); at < to; at += SECTOR_BYTES) {
    const end = Math.min(at + SECTOR_BYTES, to)
    if (end - at >= FEW_ZEROS && isZero(bytes, at, end)) return true
  }
  return false
}

import { unpackSnappy } from './verify-snappy.ts'
import { crc32c, unmaskCrc32c } from './wal-crc32c.ts'

/**
 * LevelDB's tables are blocks, each with the kind of its packing (1 byte: 0 none, 1 snappy) and a masked CRC-32C behind
 * it. A block holds entries in the order of their keys, of which each says how much of its key is the one before's:
 *
 *     shared | not shared | length of the value | rest of the key | value
 *
 * and then the places of entries that share nothing. A key ends with eight bytes of LevelDB's own: 1 for a value or 0
 * for a deletion, and the number of the write.
 */
export const BLOCK_TRAILER = 5
const NO_PACKING = 0
const SNAPPY = 1

/** Where a block lies in its table; without the trailer. */
export interface BlockHandle {
  readonly offset: number
  readonly size: number
}

export interface BlockEntry {
  /** With LevelDB's eight bytes. */
  readonly key: Buffer
  readonly value: Buffer
}

const KEY_TRAILER = 8
/** Of LevelDB's eight bytes, the first. */
export const DELETION = 0
const VALUE = 1

/** Whether a block is what was written. */
export function hasRightSum(table: Buffer, { offset, size }: BlockHandle): boolean {
  const end = offset + size + 1
  if (end + 4 > table.length) return false
  return crc32c(table, offset, end) === unmaskCrc32c(table.readInt32LE(end))
}

/** The entries of a block; null when it can't be taken apart. */
export function entriesOf(table: Buffer, { offset, size }: BlockHandle): BlockEntry[] | null {
  if (offset + size + BLOCK_TRAILER > table.length) return null
  const packing = table[offset + size]
  const stored = table.subarray(offset, offset + size)
  if (packing !== NO_PACKING && packing !== SNAPPY) return null
  const block = packing === SNAPPY ? unpackSnappy(stored) : stored
  return block === null ? null : takeApart(block)
}

function takeApart(block: Buffer): BlockEntry[] | null {
  if (block.length < 4) return null
  const end = block.length - 4 - block.readUInt32LE(block.length - 4) * 4
  if (end < 0) return null
  const fields = new Varints(block.subarray(0, end))
  const entries: BlockEntry[] = []
  let last = Buffer.alloc(0)
  while (fields.at < end) {
    const shared = fields.next()
    const rest = fields.next()
    const length = fields.next()
    if (fields.isBroken || shared > last.length || fields.at + rest + length > end) return null
    const key = Buffer.concat([last.subarray(0, shared), block.subarray(fields.at, fields.at + rest)])
    fields.at += rest
    entries.push({ key, value: block.subarray(fields.at, fields.at + length) })
    fields.at += length
    last = key
  }
  return entries
}

/** Numbers in groups of seven bits, one behind the other. */
export class Varints {
  at = 0
  /** There was none where one should be. */
  isBroken = false
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  next(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[this.at++]
      if (byte === undefined || scale > 2 ** 49) {
        this.isBroken = true
        return 0
      }
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }
}

export function varint(value: number): number[] {
  const bytes: number[] = []
  let left = value
  for (; left > 127; left = Math.floor(left / 128)) bytes.push((left % 128) + 128)
  return [...bytes, left]
}

/** The key of a record in a key of a table. */
export function userKey(key: Buffer): Buffer {
  return key.subarray(0, key.length - KEY_TRAILER)
}

/** Value or deletion. */
export function typeOf(key: Buffer): number {
  return key[key.length - KEY_TRAILER] as number
}

/** Whether these may be entries of a block with data: known kinds, in the order that LevelDB keeps them in. */
export function areInOrder(entries: readonly BlockEntry[], after: Buffer | null): boolean {
  let last = after
  for (const { key } of entries) {
    if (key.length <= KEY_TRAILER || typeOf(key) > VALUE) return false
    if (last !== null && compareKeys(last, key) >= 0) return false
    last = key
  }
  return entries.length > 0
}

/** Of two records with the same key the one that was written later comes first. */
export function compareKeys(one: Buffer, other: Buffer): number {
  const order = userKey(one).compare(userKey(other))
  if (order !== 0) return order
  const number = one.readBigUInt64LE(one.length - KEY_TRAILER)
  const otherNumber = other.readBigUInt64LE(other.length - KEY_TRAILER)
  if (number === otherNumber) return 0
  return number > otherNumber ? -1 : 1
}

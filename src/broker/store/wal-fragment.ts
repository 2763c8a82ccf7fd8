import { crc32c, unmaskCrc32c } from './wal-crc32c.ts'

/**
 * LevelDB's logs (the write-ahead logs and MANIFEST) are blocks of 32 KiB. A block holds fragments, each with a header
 *
 *     checksum of type and data, masked: 4 | length of the data: 2 | type: 1
 *
 * little-endian; where fewer bytes than a header remain of a block they are nothing. A record is one FULL fragment, or
 * FIRST, MIDDLE..., LAST.
 */
export const BLOCK_BYTES = 32_768
export const HEADER_BYTES = 7
export const FULL = 1
export const FIRST = 2
export const MIDDLE = 3
export const LAST = 4

/** A batch begins with its sequence number (8) and how many numbers it uses (4). */
export const BATCH_HEAD = 12

/** Where the fragment at `at` says that it ends. */
export function endOf(bytes: Buffer, at: number): number {
  return at + HEADER_BYTES + ((bytes[at + 4] as number) | ((bytes[at + 5] as number) << 8))
}

export function storedCrc(bytes: Buffer, at: number): number {
  return unmaskCrc32c(bytes.readInt32LE(at))
}

/** Whether a fragment of a known type with the right checksum begins at `at`; there must be room for a header. */
export function isWhole(bytes: Buffer, at: number): boolean {
  const type = bytes[at + 6] as number
  const end = endOf(bytes, at)
  if (type < FULL || type > LAST || end > bytes.length) return false
  return crc32c(bytes, at + 6, end) === storedCrc(bytes, at)
}

/** The sequence number of the batch that begins at `at`. */
export function sequenceOf(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32
}

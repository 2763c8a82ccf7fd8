/** CRC-32C (Castagnoli), the checksum of LevelDB's logs; Node.js has only the other CRC-32. */

const POLYNOMIAL = 0x82f63b78
/** What LevelDB adds to a checksum that lies in a file, after turning it by 15 bits. */
const MASK_DELTA = 0xa282ead8
/** Eight bytes are taken at a time: a table for each, so that a log of 32 MiB costs a fraction of a second. */
const LANES = 8

const TABLE = makeTable()

function makeTable(): Int32Array {
  const table = new Int32Array(LANES * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0)
    table[byte] = crc
  }
  for (let at = 256; at < table.length; at++) {
    const before = table[at - 256] as number
    table[at] = (table[before & 255] as number) ^ (before >>> 8)
  }
  return table
}

/** The checksum of `bytes` from `start` to before `end`, as a signed 32-bit number. */
export function crc32c(bytes: Uint8Array, start: number, end: number): number {
  const table = TABLE
  let crc = -1
  let at = start
  for (const last = end - LANES; at <= last; at += LANES) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24))
    crc =
      (table[1792 + (low & 255)] as number) ^
      (table[1536 + ((low >>> 8) & 255)] as number) ^
      (table[1280 + ((low >>> 16) & 255)] as number) ^
      (table[1024 + (low >>> 24)] as number) ^
      (table[768 + (bytes[at + 4] as number)] as number) ^
      (table[512 + (bytes[at + 5] as number)] as number) ^
      (table[256 + (bytes[at + 6] as number)] as number) ^
      (table[bytes[at + 7] as number] as number)
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ (table[(crc ^ (bytes[at] as number)) & 255] as number)
  return ~crc
}

/** Where, from `start` on, the bytes up to there first have this checksum; -1 when they never do before `limit`. */
export function endWithCrc32c(bytes: Uint8Array, start: number, limit: number, wanted: number): number {
  let crc = -1
  for (let at = start; at < limit; at++) {
    crc = (crc >>> 8) ^ (TABLE[(crc ^ (bytes[at] as number)) & 255] as number)
    if (~crc === wanted) return at + 1
  }
  return -1
}

/** A checksum as LevelDB writes it, so that the sum of bytes that hold sums stays good. */
export function maskCrc32c(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + MASK_DELTA) | 0
}

export function unmaskCrc32c(masked: number): number {
  const turned = (masked - MASK_DELTA) | 0
  return (turned >>> 17) | (turned << 15)
}

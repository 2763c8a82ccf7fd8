const UNITS = ['', 'k', 'm', 'g', 't', 'p']

/** What a size may look like, as the source of a regular expression: for editors and documents. */
export const SIZE_PATTERN = '^\\d+(\\.\\d+)? ?[kKmMgGtTpP]?[iI]?[bB]?$'

const SIZE = new RegExp(SIZE_PATTERN)
const PARTS = /^(\d+)(?:\.(\d+))? ?([kmgtp]?)/i

/** A longer text has digits that can't matter, and would cost time to read. */
const MAX_TEXT = 64

/**
 * Reads a size such as `32k`, `1.5 MB`, `4GiB` or `512`. The multiples are binary whatever their spelling: `1k`, `1kB` and
 * `1KiB` are all 1024 bytes.
 *
 * @returns bytes, a whole number, rounded down; null when `text` is no size or counts more bytes than a number can
 * hold exactly (8 PiB).
 */
export function parseSize(text: string): number | null {
  if (text.length > MAX_TEXT || !SIZE.test(text)) return null
  const [, whole = '0', fraction = '', unit = ''] = PARTS.exec(text) ?? []
  const multiple = 1024n ** BigInt(UNITS.indexOf(unit.toLowerCase()))
  const scale = 10n ** BigInt(fraction.length)
  const bytes = (BigInt(whole + fraction) * multiple) / scale
  return bytes > BigInt(Number.MAX_SAFE_INTEGER) ? null : Number(bytes)
}

/** Writes a size exactly, in the largest unit that divides it: `32k`, `16m`, `1000`. {@link parseSize} reads it back. */
export function formatSize(bytes: number): string {
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw new RangeError(`${bytes} is no size`)
  let count = bytes
  let unit = 0
  while (count > 0 && count % 1024 === 0 && unit < UNITS.length - 1) {
    count /= 1024
    unit++
  }
  return `${count}${UNITS[unit] ?? ''}`
}

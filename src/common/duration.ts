const NANOS_PER_MS = 1_000_000

/** Nanoseconds of each unit; the two spellings of micro (U+00B5, U+03BC) both occur. */
const NANOS_OF_UNIT: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['\u00b5s', 1_000n],
  ['\u03bcs', 1_000n],
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
])

/** The longest duration there is: a signed 64-bit count of nanoseconds, 292 years. */
const MAX_NANOS = 2n ** 63n - 1n

/** A longer text has digits that can't matter, and would cost time to read. */
const MAX_TEXT = 64

const WHOLE = /^[-+]?(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)$/
const TERM = /(\d*)(?:\.(\d*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/g

/** What a duration may look like, as the source of a regular expression without sign: for editors and documents. */
export const DURATION_PATTERN = '^(0|((\\d+(\\.\\d*)?|\\.\\d+)(ns|us|µs|ms|s|m|h))+)$'

/**
 * Reads a duration as Go writes it, such as `500ms`, `20s`, `1h30m` or `1.5h`.
 *
 * @returns milliseconds, with a fraction when the text is finer; null when `text` is no duration. `0` needs no unit,
 * any other number does.
 */
export function parseDuration(text: string): number | null {
  if (text.length > MAX_TEXT || !WHOLE.test(text)) return null
  let nanos = 0n
  for (const [, whole = '', fraction = '', unit = ''] of text.matchAll(TERM)) {
    const nanosOfUnit = NANOS_OF_UNIT.get(unit) ?? 0n
    nanos += BigInt(whole === '' ? '0' : whole) * nanosOfUnit
    // What is finer than a nanosecond is cut off, not rounded, as Go does.
    if (fraction !== '') nanos += (BigInt(fraction) * nanosOfUnit) / 10n ** BigInt(fraction.length)
  }
  if (nanos > MAX_NANOS) return null
  return nanosToMs(text.startsWith('-') ? -nanos : nanos)
}

/** Milliseconds of a count of nanoseconds, the unit of a bare number in a configuration file. */
export function nanosToMs(nanos: number | bigint): number {
  return Number(nanos) / NANOS_PER_MS
}

/**
 * Writes a duration so that people read it easily and {@link parseDuration} reads it back: `1h30m`, `1s500ms`, `0s`.
 * What is finer than a nanosecond is rounded.
 */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) throw new RangeError(`${ms} is no duration`)
  // Whole milliseconds apart: together with their fraction they may need more digits than a number has.
  const absolute = Math.abs(ms)
  const whole = Math.trunc(absolute)
  let rest = BigInt(whole) * BigInt(NANOS_PER_MS) + BigInt(Math.round((absolute - whole) * NANOS_PER_MS))
  if (rest === 0n) return '0s'
  let text = ms < 0 ? '-' : ''
  for (const unit of ['h', 'm', 's', 'ms', 'us', 'ns']) {
    const nanosOfUnit = NANOS_OF_UNIT.get(unit) ?? 1n
    if (rest >= nanosOfUnit) text += `${rest / nanosOfUnit}${unit}`
    rest %= nanosOfUnit
  }
  return text
}

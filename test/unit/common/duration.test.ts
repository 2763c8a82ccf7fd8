import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DURATION_PATTERN, formatDuration, nanosToMs, parseDuration } from '../../../src/common/index.ts'

test('parseDuration reads what Go writes', () => {
  const expected: [string, number][] = [
    ['0', 0],
    ['0s', 0],
    ['500ms', 500],
    ['20s', 20_000],
    ['1m', 60_000],
    ['48h', 172_800_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['1h0.5m', 3_630_000],
    ['.5s', 500],
    ['2.s', 2000],
    ['1m1m', 120_000],
    ['30m1h', 5_400_000],
    ['-20s', -20_000],
    ['+20s', 20_000],
    ['-0', 0],
    ['1us', 0.001],
    ['1\u00b5s', 0.001],
    ['1\u03bcs', 0.001],
    ['1500ns', 0.0015],
    ['1.005s', 1005],
    ['0.9ns', 0],
    ['2562047h47m16.854775807s', 9_223_372_036_854.775],
  ]
  for (const [text, ms] of expected) assert.equal(parseDuration(text), ms, text)
})

test('parseDuration refuses anything else', () => {
  const wrong = [
    '',
    ' ',
    '20',
    '-',
    '+',
    's',
    '.s',
    '1',
    '00',
    '20 s',
    ' 20s',
    '20s ',
    '20S',
    '1d',
    '1.2.3s',
    '1e3s',
    '1s-1s',
  ]
  // One nanosecond more than a signed 64-bit number holds, and a text without end.
  wrong.push('2562047h47m16.854775808s', '9'.repeat(30) + 's', '1s'.repeat(100_000), '0x10s', '1,5s', '١s')
  for (const text of wrong) assert.equal(parseDuration(text), null, text)
})

test('formatDuration writes the largest units first, and nothing that is zero', () => {
  const expected: [number, string][] = [
    [0, '0s'],
    [500, '500ms'],
    [20_000, '20s'],
    [60_000, '1m'],
    [5_400_000, '1h30m'],
    [172_800_000, '48h'],
    [1500, '1s500ms'],
    [3_600_001, '1h1ms'],
    [0.0015, '1us500ns'],
    [-20_000, '-20s'],
    [0.000_000_1, '0s'],
  ]
  for (const [ms, text] of expected) assert.equal(formatDuration(ms), text)
  assert.throws(() => formatDuration(Number.NaN), RangeError)
  assert.throws(() => formatDuration(Number.POSITIVE_INFINITY), RangeError)
})

test('a bare number counts nanoseconds', () => {
  assert.equal(nanosToMs(20_000_000), 20)
  assert.equal(nanosToMs(1n), 0.000_001)
})

test('the pattern for editors takes what the parser takes, but for a sign', () => {
  const pattern = new RegExp(DURATION_PATTERN)
  for (const text of ['0', '20s', '1h30m', '1.5h', '.5s', '1µs']) assert.ok(pattern.test(text), text)
  for (const text of ['', '20', '1d', '-20s', '20s ']) assert.ok(!pattern.test(text), text)
})

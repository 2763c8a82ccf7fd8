import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatSize, parseSize, SIZE_PATTERN } from '../../../src/common/index.ts'

test('parseSize reads binary multiples in every spelling', () => {
  const expected: [string, number][] = [
    ['0', 0],
    ['512', 512],
    ['512b', 512],
    ['1k', 1024],
    ['1K', 1024],
    ['1kB', 1024],
    ['1KiB', 1024],
    ['1ki', 1024],
    ['1 k', 1024],
    ['32k', 32_768],
    ['1.5k', 1536],
    ['16m', 16_777_216],
    ['4GiB', 4_294_967_296],
    ['1t', 1_099_511_627_776],
    ['2p', 2_251_799_813_685_248],
    ['1.9', 1],
    ['0.1k', 102],
    ['007k', 7168],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ]
  for (const [text, bytes] of expected) assert.equal(parseSize(text), bytes, text)
})

test('parseSize refuses anything else', () => {
  const wrong = [
    '',
    ' ',
    'k',
    '-1',
    '+1',
    '1e3',
    '.5k',
    '1.k',
    '1.2.3k',
    '1  k',
    ' 1k',
    '1k ',
    '1kk',
    '1x',
    '1bk',
    '1,5k',
    '٣k',
  ]
  wrong.push('8p', '9007199254740992', '9'.repeat(1000))
  for (const text of wrong) assert.equal(parseSize(text), null, text)
})

test('formatSize is exact, in the largest unit that divides', () => {
  const expected: [number, string][] = [
    [0, '0'],
    [1000, '1000'],
    [1024, '1k'],
    [1536, '1536'],
    [32_768, '32k'],
    [16_777_216, '16m'],
    [4_294_967_296, '4g'],
    [Number.MAX_SAFE_INTEGER, '9007199254740991'],
  ]
  for (const [bytes, text] of expected) assert.equal(formatSize(bytes), text)
  for (const wrong of [-1, 1.5, Number.NaN, 2 ** 53]) assert.throws(() => formatSize(wrong), RangeError)
})

test('the pattern for editors takes what the parser takes', () => {
  const pattern = new RegExp(SIZE_PATTERN)
  for (const text of ['0', '32k', '1.5 MB', '4GiB']) assert.ok(pattern.test(text), text)
  for (const text of ['', 'k', '-1', '1.2.3k', '1x']) assert.ok(!pattern.test(text), text)
})

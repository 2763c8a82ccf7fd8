import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Backoff } from '../../../src/common/index.ts'

const pauses = (backoff: Backoff, count: number): number[] => Array.from({ length: count }, () => backoff.next())

test('the first attempt comes at once, then the bound doubles up to the longest pause', () => {
  const backoff = new Backoff({ minMs: 500, maxMs: 3000, random: () => 0.5 })
  assert.deepEqual(pauses(backoff, 7), [0, 250, 500, 1000, 1500, 1500, 1500])
})

test('a pause is anything from nothing up to its bound', () => {
  const numbers = [0, 0.25, 0.999]
  const backoff = new Backoff({ minMs: 1000, maxMs: 1000, random: () => numbers.shift() ?? 0 })
  assert.deepEqual(pauses(backoff, 4), [0, 0, 250, 999])
})

test('after a reset the next attempt is a first one', () => {
  const backoff = new Backoff({ minMs: 500, maxMs: 60_000, random: () => 1 })
  pauses(backoff, 5)
  backoff.reset()
  assert.deepEqual(pauses(backoff, 3), [0, 500, 1000])
})

test('attempts without end do not overflow', () => {
  const backoff = new Backoff({ minMs: 500, maxMs: 60_000, random: () => 1 })
  assert.equal(pauses(backoff, 5000).at(-1), 60_000)
})

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Repeats } from '../../../src/broker/repeats.ts'

const WINDOW_MS = 60_000

suite('repeated lines', () => {
  test('are written a few times in a window, then counted, and told by the next line', () => {
    const repeats = new Repeats({ most: 3 })
    const said = Array.from({ length: 10 }, (_, i) => repeats.admit('x', i))
    assert.deepEqual(said, [0, 0, 0, null, null, null, null, null, null, null])
    assert.equal(repeats.admit('other', 20), 0, 'another key is not silenced')
    assert.equal(repeats.admit('x', WINDOW_MS - 1), null)
    assert.equal(repeats.admit('x', WINDOW_MS), 8)
    assert.equal(repeats.admit('x', WINDOW_MS + 1), 0, 'what was told is not told again')
  })

  test('are told of when their window is over and no further line comes', () => {
    const repeats = new Repeats({ most: 1 })
    for (let i = 0; i < 5; i++) repeats.admit('a', 0)
    for (let i = 0; i < 3; i++) repeats.admit('b', 1000)
    repeats.admit('calm', 0)
    assert.equal(repeats.hasLeftOut, true)
    assert.deepEqual(repeats.collect(WINDOW_MS - 1), [])
    assert.deepEqual(repeats.collect(WINDOW_MS), [{ key: 'a', count: 4 }])
    assert.deepEqual(repeats.collect(Number.POSITIVE_INFINITY), [{ key: 'b', count: 2 }])
    assert.equal(repeats.hasLeftOut, false)
    assert.equal(repeats.admit('a', WINDOW_MS + 1), 0)
  })

  test('a crowd that comes once each is not silenced, and does not make an offender be forgotten', () => {
    const repeats = new Repeats({ most: 2, keys: 100 })
    for (let i = 0; i < 5; i++) repeats.admit('offender', 0)
    for (let i = 0; i < 10_000; i++) assert.equal(repeats.admit(`client ${i}`, 1), 0)
    assert.equal(repeats.admit('offender', 2), null)
    assert.deepEqual(repeats.collect(WINDOW_MS), [{ key: 'offender', count: 4 }])
  })

  test('of more offenders than are remembered are counted together', () => {
    const repeats = new Repeats({ most: 1, keys: 10 })
    for (let i = 0; i < 25; i++) for (let n = 0; n < 4; n++) repeats.admit(`offender ${i}`, 0)
    const told = repeats.collect(WINDOW_MS)
    assert.equal(told.length, 11)
    assert.equal(
      told.reduce((sum, { count }) => sum + count, 0),
      25 * 3,
    )
    assert.deepEqual(told.at(-1), { key: null, count: 15 * 3 })
  })
})

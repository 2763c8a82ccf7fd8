import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { LoadAverage, SPANS } from '../../../src/broker/report/load-average.ts'

const MINUTE = 60_000

/** The same by definition: the rate of each interval, weighed by how long ago it was; nothing before the start. */
function byDefinition(steps: readonly { added: number; ms: number }[], spanMs: number): number {
  let average = 0
  let age = 0
  for (const { added, ms } of steps.toReversed()) {
    const rate = (added / ms) * MINUTE
    average += rate * (Math.exp(-age / spanMs) - Math.exp(-(age + ms) / spanMs))
    age += ms
  }
  return average
}

suite('load averages', () => {
  test('are what their definition says, whatever the intervals', () => {
    const steps = [
      { added: 600, ms: 10_000 },
      { added: 0, ms: 10_000 },
      { added: 1_000_000, ms: 1 },
      { added: 5, ms: 61_234.5 },
      { added: 70_000, ms: 300_000 },
      { added: 3, ms: 250 },
    ]
    const load = new LoadAverage(1000)
    let total = 1000
    steps.forEach(({ added, ms }, i) => {
      total += added
      load.update(total, ms)
      SPANS.forEach((span, s) => {
        const expected = byDefinition(steps.slice(0, i + 1), span.ms)
        const error = Math.abs((load.values[s] as number) - expected)
        assert.ok(
          error <= 1e-9 * Math.max(expected, 1),
          `${span.name} after ${i + 1} steps: ${load.values[s]}, ${expected}`,
        )
      })
    })
  })

  test('begin with nothing, and come near a steady rate: to 1 - 1/e of it after their span', () => {
    const load = new LoadAverage(5)
    assert.deepEqual(load.values, [0, 0, 0])
    for (let minute = 1; minute <= 15; minute++) {
      for (let second = 1; second <= 6; second++) load.update(5 + ((minute - 1) * 6 + second) * 20, MINUTE / 6)
      const at = SPANS.findIndex(({ ms }) => ms === minute * MINUTE)
      if (at >= 0)
        assert.ok(
          Math.abs((load.values[at] as number) - 120 * (1 - 1 / Math.E)) < 1e-9,
          `after ${minute} min: ${load.values[at]}`,
        )
    }
    assert.deepEqual(
      SPANS.map(({ name }) => name),
      ['1min', '5min', '15min'],
    )
  })

  test('two looks at one moment count once', () => {
    const load = new LoadAverage(0)
    load.update(10, MINUTE)
    const [before] = load.values
    load.update(50, 0)
    assert.equal(load.values[0], before, 'nothing is said for no time')
    load.update(50, MINUTE)
    const expected = 40 + Math.exp(-1) * ((before as number) - 40)
    assert.ok(Math.abs((load.values[0] as number) - expected) < 1e-9, 'the forty are not lost')
  })
})

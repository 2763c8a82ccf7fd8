import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { UsageError } from '../../../bench/e2e/arguments.ts'
import type { BrokerName } from '../../../bench/e2e/brokers.ts'
import { Histogram } from '../../../bench/e2e/load/histogram.ts'
import type { LoadResult } from '../../../bench/e2e/load/result.ts'
import { Tally } from '../../../bench/e2e/load/tally.ts'
import type { Measurement } from '../../../bench/e2e/measure.ts'
import { parseOptions } from '../../../bench/e2e/options.ts'
import { cellOf, judge } from '../../../bench/e2e/summary.ts'

function measured(broker: BrokerName, cpuUsPerDelivered: number, changes: Partial<Measurement> = {}): Measurement {
  const result: LoadResult = {
    kind: 'load',
    faults: new Tally().faults,
    firstFault: null,
    seconds: 1,
    published: 1000,
    delivered: 1000,
    deliveredPerSecond: 1000,
    cpuUsPerDelivered,
    brokerCpuShare: 1,
    brokerKernelShare: 0.5,
    rssKb: 1,
    rssPeakKb: 1,
    latencyUs: { p50: 1, p99: 2, p999: 3, count: 1000 },
    generatorBusy: 0.5,
    noise: { otherCpuShare: 0, stealShare: 0 },
  }
  return { broker, scenario: 'q0_fanin', round: 0, result, failure: null, fsyncMs: null, disturbed: false, ...changes }
}

describe('judge', () => {
  const judgeFanIn = (all: Measurement[]) => judge(all, ['q0_fanin']).map(({ value, isMet }) => ({ value, isMet }))

  test('compares the medians with the limit, a quarter of mosquitto here', () => {
    const mosquitto = [measured('mosquitto', 3), measured('mosquitto', 4), measured('mosquitto', 100)]
    assert.deepEqual(judgeFanIn([...mosquitto, measured('ours', 1)]), [{ value: 0.25, isMet: true }])
    assert.deepEqual(judgeFanIn([...mosquitto, measured('ours', 2)]), [{ value: 0.5, isMet: false }])
  })

  test('what was not measured, or failed, is a miss', () => {
    assert.deepEqual(judgeFanIn([measured('ours', 1)]), [{ value: null, isMet: false }])
    const failed = measured('ours', 1, { failure: 'lost 1' })
    assert.deepEqual(judgeFanIn([measured('mosquitto', 4), failed]), [{ value: null, isMet: false }])
  })

  describe('of a figure that has to be reached, given for a disk with an fsync of 2 ms', () => {
    const judgeRate = (rate: number, fsyncMs: number) => {
      const { result, ...own } = measured('ours', 1, { scenario: 'durable_always', fsyncMs })
      const all = [{ ...own, result: { ...(result as LoadResult), deliveredPerSecond: rate } }]
      return judge(all, ['durable_always']).map(({ limit, isMet }) => ({ limit, isMet }))
    }

    test('asks for no more on a faster disk', () => {
      assert.deepEqual(judgeRate(30_000, 0.2), [{ limit: 30_000, isMet: true }])
      assert.deepEqual(judgeRate(29_999, 0.2), [{ limit: 30_000, isMet: false }])
    })

    test('asks for less on a slower disk, in proportion', () => {
      assert.deepEqual(judgeRate(15_000, 4), [{ limit: 15_000, isMet: true }])
      assert.deepEqual(judgeRate(14_999, 4), [{ limit: 15_000, isMet: false }])
    })
  })

  test('looks at the scenarios of the run only', () => {
    assert.deepEqual(judge([], []), [])
  })
})

describe('cellOf', () => {
  test('leaves disturbed measurements out when two others remain', () => {
    const disturbed = measured('ours', 9, { disturbed: true })
    const cell = cellOf([measured('ours', 1), measured('ours', 2), disturbed], 'q0_fanin', 'ours')
    assert.equal(cell.used.length, 2)
    assert.equal(cell.leftOut, 1)
    assert.equal(cell.isDisturbed, false)
  })

  test('says so when disturbed measurements have to count', () => {
    const cell = cellOf([measured('ours', 1), measured('ours', 9, { disturbed: true })], 'q0_fanin', 'ours')
    assert.equal(cell.used.length, 2)
    assert.equal(cell.isDisturbed, true)
  })
})

test('Histogram tells percentiles within two per cent', () => {
  const histogram = new Histogram()
  for (let i = 1; i <= 10_000; i++) histogram.add(i / 100)
  for (const share of [0.001, 0.01, 0.5, 0.99, 1]) {
    const exact = share * 100_000
    const told = histogram.percentile(share)
    assert.ok(Math.abs(told - exact) / exact < 0.02, `${told} for ${exact} us`)
  }
  histogram.restart()
  assert.equal(histogram.percentile(0.5), 0)
  histogram.freeze()
  histogram.add(1)
  assert.equal(histogram.count, 0)
})

test('parseOptions refuses what it does not know', () => {
  assert.deepEqual(parseOptions(['--names', 'ours,mosquitto'])?.names, ['mosquitto', 'ours'])
  assert.equal(parseOptions(['--help']), null)
  for (const wrong of [['--names', 'other'], ['--rounds', '0'], ['--rounds', '1.5'], ['--duration', ''], ['--what']]) {
    assert.throws(() => parseOptions(wrong), UsageError, wrong.join(' '))
  }
})

import assert from 'node:assert/strict'
import { PerformanceObserver } from 'node:perf_hooks'
import { suite, test } from 'node:test'
import v8 from 'node:v8'
import vm from 'node:vm'
import { GcWatch } from '../../../src/metrics/gc-watch.ts'

v8.setFlagsFromString('--expose-gc')
const gc = vm.runInNewContext('gc') as (options?: { type: 'minor' }) => void

/** Collects so often, and lets the runtime tell of it. */
async function collect(count: number, how: () => void = () => gc({ type: 'minor' })): Promise<void> {
  for (let i = 0; i < count; i++) {
    how()
    await new Promise(resolve => setImmediate(resolve))
  }
  for (let i = 0; i < 3; i++) await new Promise(resolve => setImmediate(resolve))
}

function pausesOf(watch: GcWatch, kind: string): { count: number; seconds: number } {
  const value = (part: string): number =>
    watch.samples('gc').find(sample => sample.metricName === `gc_${part}` && sample.labels?.['kind'] === kind)?.value ??
    Number.NaN
  return { count: value('count'), seconds: value('sum') }
}

suite('pauses of the garbage collector', () => {
  test('are all counted while there are few, by kind', async t => {
    const watch = new GcWatch()
    t.after(() => watch.stop())
    assert.deepEqual(pausesOf(watch, 'minor'), { count: 0, seconds: 0 })
    watch.start()
    await collect(6)
    await collect(2, () => gc())
    const seen = pausesOf(watch, 'minor')
    assert.ok(seen.count >= 6 && seen.count < 16, `${seen.count} minor ones of 6`)
    assert.ok(seen.seconds > 0 && seen.seconds < 5, `${seen.seconds} s`)
    assert.ok(pausesOf(watch, 'major').count >= 2, 'major ones')
    watch.stop()
    assert.deepEqual(pausesOf(watch, 'minor'), seen, 'it ends with what it has seen')
    await collect(5)
    assert.deepEqual(pausesOf(watch, 'minor'), seen, 'nothing is seen any more')
    watch.start()
    await collect(5)
    assert.ok(pausesOf(watch, 'minor').count >= seen.count + 5, 'it goes on')
  })

  test('are looked at up to a number, and the rest is estimated from these', async t => {
    await collect(50)
    const disconnects = t.mock.method(PerformanceObserver.prototype, 'disconnect').mock
    const watch = new GcWatch()
    t.after(() => watch.stop())
    watch.start()
    await collect(500)
    const seen = pausesOf(watch, 'minor').count
    assert.ok(seen >= 15 && seen < 40, `${seen} are looked at`)
    assert.equal(disconnects.callCount(), 1, 'the runtime is told to be silent')
    watch.stop()
    const estimate = pausesOf(watch, 'minor').count
    assert.ok(estimate > 100 && estimate < 2500, `${estimate} of 500`)
    const { seconds, count } = pausesOf(watch, 'minor')
    assert.ok(seconds / count < 0.1 && seconds > 0, `${seconds} s`)
  })

  test('are looked at again in the next span, and never fewer than before', async t => {
    const watch = new GcWatch(100)
    t.after(() => watch.stop())
    watch.start()
    let last = 0
    const deadline = performance.now() + 10_000
    for (let rises = 0; rises < 5; ) {
      assert.ok(performance.now() < deadline, 'it goes on')
      await collect(60)
      const { count } = pausesOf(watch, 'minor')
      assert.ok(count >= last, `${count} after ${last}`)
      assert.equal(count, Math.round(count), 'whole pauses')
      if (count >= last + 100) rises++
      if (count >= last + 100) last = count
    }
  })
})

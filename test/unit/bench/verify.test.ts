// A load generator that overlooks a fault would praise a broken broker: each kind of fault has to be seen.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { LoadOptions } from '../../../bench/e2e/load/job.ts'
import type { LoadResult } from '../../../bench/e2e/load/result.ts'
import { runLoad } from '../../../bench/e2e/load/run-load.ts'
import type { Faults } from '../../../bench/e2e/load/tally.ts'
import { type Mischief, startFaultyRelay } from './faulty-relay.ts'

const options: LoadOptions = {
  publishers: 2,
  subscribers: 2,
  topics: 2,
  topic: 'bench/%d',
  filter: 'bench/%d',
  qos: 1,
  size: 64,
  window: 10,
  rate: 0,
  warmupMs: 20,
  durationMs: 150,
  stallMs: 300,
}

async function loadOn(mischief: Mischief, changes: Partial<LoadOptions> = {}): Promise<LoadResult> {
  const relay = await startFaultyRelay(mischief)
  try {
    const target = { host: '127.0.0.1', port: relay.port, credentials: null, pid: process.pid }
    return await runLoad(target, { ...options, ...changes })
  } finally {
    await relay.close()
  }
}

function faultsOf({ faults }: LoadResult): Partial<Faults> {
  return Object.fromEntries(Object.entries(faults).filter(([, count]) => count > 0))
}

describe('a relay without fault', () => {
  for (const qos of [0, 1]) {
    test(`passes at QoS ${qos}, and every message is counted`, async () => {
      const result = await loadOn('none', { qos })
      assert.deepEqual(faultsOf(result), {})
      assert.equal(result.firstFault, null)
      assert.ok(result.delivered > 100, `${result.delivered} delivered`)
      assert.equal(result.latencyUs.count, result.delivered)
      assert.ok(result.latencyUs.p50 > 0 && result.latencyUs.p50 <= result.latencyUs.p99)
    })
  }

  test('passes with one topic for all', async () => {
    const result = await loadOn('none', { publishers: 3, subscribers: 4, topics: 1 })
    assert.deepEqual(faultsOf(result), {})
    assert.ok(result.delivered > result.published, 'each message goes to four subscribers')
  })

  test('passes with more topics than publishers and a payload compared natively', async () => {
    const result = await loadOn('none', { publishers: 2, subscribers: 6, topics: 6, qos: 0, size: 1024 })
    assert.deepEqual(faultsOf(result), {})
    assert.ok(result.delivered > 100, `${result.delivered} delivered`)
  })

  test('keeps to the schedule when paced', async () => {
    const result = await loadOn('none', { rate: 400, durationMs: 500 })
    assert.deepEqual(faultsOf(result), {})
    const perSecond = result.published / result.seconds
    assert.ok(perSecond > 200 && perSecond < 600, `${perSecond} messages a second`)
  })
})

describe('one fault among many messages is seen', () => {
  const expected: [Mischief, Partial<Faults>][] = [
    ['drop', { lost: 1 }],
    ['duplicate', { duplicate: 1 }],
    ['corrupt payload', { corrupt: 1 }],
    ['cut payload', { corrupt: 1 }],
    ['rename topic', { misrouted: 1 }],
    ['send to all', { misrouted: 1 }],
    ['lower QoS', { wrongQos: 1 }],
    ['set DUP', { wrongFlags: 1 }],
    ['forget PUBACK', { unacknowledged: 1 }],
    ['repeat PUBACK', { unknownAck: 1 }],
  ]
  for (const [mischief, faults] of expected) {
    test(mischief, async () => {
      const result = await loadOn(mischief)
      assert.deepEqual(faultsOf(result), faults)
      assert.match(String(result.firstFault), new RegExp(`^${Object.keys(faults)[0]}: `))
    })
  }

  test('reorder', async () => {
    // One publisher and topic, since order is promised there only.
    const result = await loadOn('reorder', { publishers: 1, subscribers: 1, topics: 1 })
    assert.deepEqual(faultsOf(result), { disordered: 1 })
  })

  for (const mischief of ['drop', 'duplicate', 'corrupt payload'] as const) {
    test(`${mischief} at QoS 0`, async () => {
      const fault = mischief === 'drop' ? 'lost' : mischief === 'duplicate' ? 'duplicate' : 'corrupt'
      assert.deepEqual(faultsOf(await loadOn(mischief, { qos: 0 })), { [fault]: 1 })
    })
  }

  test('corrupt payload of one that is compared natively', async () => {
    assert.deepEqual(faultsOf(await loadOn('corrupt payload', { size: 1024 })), { corrupt: 1 })
  })

  test('a connection that the broker closes', async () => {
    await assert.rejects(
      loadOn('close'),
      /^Error: bench-(pub|sub)-\d: (the broker closed the connection|.*(ECONNRESET|EPIPE))/,
    )
  })
})

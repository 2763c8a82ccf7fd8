// What the comparison of a hub with itself rests on: rules that match as often as is said, copies that are looked at.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { UsageError } from '../../../bench/e2e/arguments.ts'
import { topicField } from '../../../bench/e2e/load/packets.ts'
import { Receiver } from '../../../bench/e2e/load/receiver.ts'
import type { LoadResult } from '../../../bench/e2e/load/result.ts'
import { Sender } from '../../../bench/e2e/load/sender.ts'
import { Tally } from '../../../bench/e2e/load/tally.ts'
import { Topology } from '../../../bench/e2e/load/topology.ts'
import { judge } from '../../../bench/features/bounds.ts'
import { makeComparisons } from '../../../bench/features/comparisons.ts'
import { parseOptions } from '../../../bench/features/options.ts'
import { type Compared, capacityOf, type Results } from '../../../bench/features/results.ts'
import { COPIES, ruleLines } from '../../../bench/features/rule-lines.ts'
import { parseHubConfig } from '../../../src/config/index.ts'
import { RuleTable } from '../../../src/router/index.ts'

const TOPICS = 10

describe('rules of the benchmark', () => {
  const { config, warnings } = parseHubConfig(ruleLines(1000, TOPICS).join('\n'), {
    file: 'rules.yml',
    env: {},
    strict: true,
  })

  test('are as many as are asked for, and good ones', () => {
    assert.equal(config.subscriptions.length, 1000)
    assert.deepEqual(
      warnings.filter(({ path }) => path.startsWith('subscriptions')),
      [],
    )
  })

  test('of which each message matches three', () => {
    const table = new RuleTable(config.subscriptions)
    for (let topic = 0; topic < TOPICS; topic++) {
      assert.equal(table.matching(`bench/${topic}`).length, COPIES.length, `bench/${topic}`)
      for (const copy of COPIES) assert.equal(table.matching(copy.replace('%d', `${topic}`)).length, 0, copy)
    }
  })
})

describe('a receiver of copies', () => {
  const RUN = 0xcafe0002
  const options = {
    publishers: 1,
    subscribers: 2,
    topics: 1,
    topic: 'bench/%d',
    filter: 'bench/%d',
    copies: ['copy/%d'],
  }

  /** What a message under this topic does to the subscriber with this number. */
  function receive(subscriber: number, topic: string): Tally {
    const tally = new Tally()
    const topology = new Topology(options)
    const topics = [{ name: 'bench/0', receivers: topology.receiversOf(0) }]
    const sender = new Sender({ run: RUN, publisher: 0, topics, qos: 0, size: 64, window: 4 }, tally, [])
    sender.make(0)
    const packet = Buffer.concat(sender.takeUnwritten())
    const body = Buffer.concat([topicField(topic), packet.subarray(packet.length - 64)])
    const receiver = new Receiver({ run: RUN, subscriber, topology, senders: [sender], qos: 0 }, tally)
    receiver.publish(0x30, body, new DataView(body.buffer, body.byteOffset, body.length), 0, body.length, 1)
    return tally
  }

  test('subscribes to the topic of the copies', () => {
    const topology = new Topology(options)
    assert.deepEqual([topology.filterOf(0), topology.filterOf(1)], ['bench/0', 'copy/0'])
    assert.equal(topology.receiversOf(0), 2)
  })

  test('takes a copy, and whoever takes the original takes that', () => {
    assert.equal(receive(1, 'copy/0').firstFault, null)
    assert.equal(receive(0, 'bench/0').firstFault, null)
  })

  test('finds fault with a copy under another topic', () => {
    for (const [subscriber, topic] of [
      [1, 'bench/0'],
      [1, 'copy/1'],
      [1, 'copy/00'],
      [0, 'copy/0'],
    ] as const) {
      assert.equal(receive(subscriber, topic).faults.misrouted, 1, `${topic} to subscriber ${subscriber}`)
    }
  })
})

describe('judge', () => {
  const reload = {
    reloads: 100,
    medianMs: 1,
    slowestMs: 2,
    messages: 1000,
    perSecond: 50_000,
    p99Us: 100,
    faults: 0,
    firstFault: null,
    rssBeforeKb: 100_000,
    rssAfterKb: 101_000,
  }
  const good: Results = { compared: [], starts: [{ rules: 10_000, checkMs: 500, readyMs: 900 }], reload, failures: [] }
  const missed = (results: Results): string[] =>
    judge(['start', 'reload'], results, 50_000).flatMap(({ what, isMet }) => (isMet ? [] : [what]))

  test('is content with good figures', () => {
    assert.deepEqual(missed(good), [])
  })

  test('counts what was not measured as missed', () => {
    assert.equal(missed({ ...good, starts: [], reload: null }).length, 5)
  })

  test('sees a lost message, growth, a slow start and a failure', () => {
    const bad = { ...reload, faults: 1, rssAfterKb: 200_000 }
    const starts = [{ rules: 10_000, checkMs: 500, readyMs: 1100 }]
    assert.equal(missed({ ...good, starts, reload: bad, failures: ['no'] }).length, 4)
  })

  test('compares the sides of each round with each other', async () => {
    const { rules_q0: comparison } = await makeComparisons({ rules: 20, warmupMs: 1, durationMs: 1 })
    const side = (cpuUsPerDelivered: number) => ({
      load: { cpuUsPerDelivered, deliveredPerSecond: 1e6 / cpuUsPerDelivered } as LoadResult,
      scrapes: null,
      restCpuShare: 0,
    })
    const compared: Compared = {
      name: 'rules_q0',
      comparison,
      // Slow minutes: twice the other side was slower by a tenth, once by a third.
      rounds: [
        { base: side(1), other: side(1.1) },
        { base: side(2), other: side(3) },
        { base: side(3), other: side(3.3) },
      ],
      failures: [],
    }
    const verdicts = judge([], { compared: [compared], starts: [], reload: null, failures: [] }, 1)
    assert.deepEqual(
      verdicts.map(({ measured, isMet }) => [measured, isMet]),
      [
        ['0.909', true],
        ['0.909', true],
        ['0', true],
      ],
    )
  })
})

test('what figures take by the second is no part of what a message costs', () => {
  // Half of a core busy: a fifth of that with figures, the rest with 100,000 messages of 4 us.
  const load = { cpuUsPerDelivered: 5, deliveredPerSecond: 100_000 } as LoadResult
  const capacity = capacityOf({ load, scrapes: null, restCpuShare: 0.1 })
  assert.ok(Math.abs(capacity - 0.9 / 4) < 1e-9, `${capacity} million a second`)
})

test('options that make no sense are refused', () => {
  for (const args of [['--parts', 'all'], ['--rules', '12'], ['--reloads', '1.5'], ['--rounds']]) {
    assert.throws(() => parseOptions(args), UsageError, args.join(' '))
  }
  assert.deepEqual(parseOptions(['--parts', 'reload,start'])?.parts, ['start', 'reload'])
})

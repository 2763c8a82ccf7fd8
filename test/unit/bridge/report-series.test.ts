/** What a bridge tells Prometheus. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { BridgeFigures } from '../../../src/bridge/figures.ts'
import { BridgeReporting } from '../../../src/bridge/report/index.ts'
import { silentLogger } from '../../../src/common/index.ts'
import { type Family, parseExposition, valueOf } from '../../support/exposition.ts'
import type { Cleanup } from '../../support/raw-client.ts'
import { bridgeFigures, flowFigures, NO_DROPS, ruleFigures } from './report-figures.ts'

type Families = ReadonlyMap<string, Family>

const REASONS = ['offline', 'limited', 'unmatched', 'invalid', 'echo', 'rejected', 'oversize']

/** Returns a function that scrapes figures. */
async function scraper(t: Cleanup, figures: () => BridgeFigures): Promise<() => Promise<Families>> {
  const reporting = new BridgeReporting({ figures, log: silentLogger, version: '1.2.3', isStopping: () => false })
  t.after(() => reporting.stop())
  await reporting.apply('http://127.0.0.1:0')
  return async () => {
    const response = await fetch(`${reporting.url}/metrics`)
    assert.equal(response.status, 200)
    return parseExposition(await response.text())
  }
}

function namesOf(families: Families): string[] {
  return [...families.keys()].filter(name => name.startsWith('openedge_bridge_'))
}

suite('figures of a bridge', () => {
  test('of connections: which stand, how often they were made, what was refused', async t => {
    const plant = ruleFigures('plant1', {
      hub: { connects: 3 },
      cloud: { phase: 'waiting', connects: 12, refused: ['a/#', 'b'] },
    })
    const other = ruleFigures('plant2', { remote: 'backup', hub: { phase: 'connecting' }, cloud: { phase: 'stopped' } })
    const families = await (await scraper(t, () => bridgeFigures(plant, other)))()
    const of = (name: string): number[] =>
      [
        { rule: 'plant1', side: 'hub', remote: 'cloud' },
        { rule: 'plant1', side: 'remote', remote: 'cloud' },
        { rule: 'plant2', side: 'hub', remote: 'backup' },
        { rule: 'plant2', side: 'remote', remote: 'backup' },
      ].map(labels => valueOf(families, `openedge_bridge_${name}`, labels))
    assert.deepEqual(of('link_up'), [1, 0, 0, 0])
    assert.deepEqual(of('connects_total'), [3, 12, 1, 1])
    assert.deepEqual(of('refused_filters'), [0, 2, 0, 0])
    assert.equal(valueOf(families, 'openedge_bridge_rules'), 2)
  })

  test('of each direction of a rule, on their own', async t => {
    const out = flowFigures('out', {
      received: 10,
      forwarded: 9,
      forwardedBytes: 12_345,
      acknowledged: 8,
      duplicates: 7,
      inFlight: 6,
      waiting: 5,
      lagMs: 4500,
    })
    const back = flowFigures('in', { received: 1, dropped: { ...NO_DROPS, echo: 2, oversize: 3 } })
    const rules = bridgeFigures(ruleFigures('both', { flows: [out, back] }), ruleFigures('one', { flows: [back] }))
    const families = await (await scraper(t, () => rules))()
    const expected: Readonly<Record<string, number>> = {
      received_total: 10,
      forwarded_total: 9,
      forwarded_bytes_total: 12_345,
      acknowledged_total: 8,
      duplicates_total: 7,
      in_flight: 6,
      waiting: 5,
      lag_seconds: 4.5,
    }
    for (const [name, value] of Object.entries(expected)) {
      const full = `openedge_bridge_${name}`
      assert.equal(valueOf(families, full, { rule: 'both', direction: 'out' }), value, name)
      assert.equal(valueOf(families, full, { rule: 'both', direction: 'in' }), name === 'received_total' ? 1 : 0, name)
      assert.equal(families.get(full)?.samples.length, 3, `${name}: there is no direction without a subscription`)
    }
    const dropped = (direction: string): number[] =>
      REASONS.map(reason => valueOf(families, 'openedge_bridge_dropped_total', { rule: 'both', direction, reason }))
    assert.deepEqual(dropped('out'), [0, 0, 0, 0, 0, 0, 0])
    assert.deepEqual(dropped('in'), [0, 0, 0, 0, 2, 0, 3])
  })

  test('are those of the moment, and go with their rules', async t => {
    let now = bridgeFigures(ruleFigures('a', { flows: [flowFigures('out', { received: 1 })] }))
    let asked = 0
    const scrape = await scraper(t, () => {
      asked++
      return now
    })
    const received = async (rule: string): Promise<number> =>
      valueOf(await scrape(), 'openedge_bridge_received_total', { rule, direction: 'out' })
    assert.equal(await received('a'), 1)
    now = bridgeFigures(ruleFigures('a', { flows: [flowFigures('out', { received: 5 })] }), ruleFigures('b'))
    assert.equal(await received('a'), 5)
    assert.equal(await received('b'), 0)
    assert.equal(asked, 3, 'each scrape looks once')
    now = bridgeFigures()
    const families = await scrape()
    for (const name of namesOf(families).filter(each => each !== 'openedge_bridge_rules'))
      assert.deepEqual(families.get(name)?.samples, [], name)
    assert.equal(valueOf(families, 'openedge_bridge_rules'), 0)
  })

  test('come with those of the program and the process, as at the hub', async t => {
    const families = await (await scraper(t, () => bridgeFigures()))()
    assert.equal(valueOf(families, 'openedge_build_info', { version: '1.2.3' }), 1)
    assert.ok(valueOf(families, 'openedge_uptime_seconds') > 0, 'it has been running for a while')
    assert.ok(valueOf(families, 'process_resident_memory_bytes') > 1e6, 'it has some memory')
    assert.ok(families.has('nodejs_gc_duration_seconds'), 'pauses of the collector')
    assert.ok(families.has('nodejs_eventloop_lag_p99_seconds'), 'delay of the event loop')
  })

  test('names of rules and remotes are all that a label is made of, whatever they are', async t => {
    const secret = { clientId: 'secret-id', address: 'tcp://secret-host:1883', lastError: 'secret-error' }
    const odd = 'ü"\\\n}{,rule="x'
    const figures = bridgeFigures(
      ruleFigures(odd, { remote: odd, hub: secret, cloud: { ...secret, refused: ['secret/topic'] } }),
    )
    const families = await (await scraper(t, () => figures))()
    assert.equal(valueOf(families, 'openedge_bridge_link_up', { rule: odd, side: 'hub', remote: odd }), 1)
    assert.equal(valueOf(families, 'openedge_bridge_waiting', { rule: odd, direction: 'in' }), 0)
    const labels = namesOf(families).flatMap(name =>
      (families.get(name)?.samples ?? []).flatMap(sample => Object.values(sample.labels)),
    )
    const known = new Set([odd, 'hub', 'remote', 'in', 'out', ...REASONS])
    assert.deepEqual(
      [...new Set(labels)].filter(label => !known.has(label)),
      [],
    )
  })

  test('of a thousand rules are there without delay', async t => {
    const rules = Array.from({ length: 1000 }, (_, i) => ruleFigures(`rule${i}`))
    const scrape = await scraper(t, () => ({ startedAt: 0, rules }))
    const families = await scrape()
    assert.equal(families.get('openedge_bridge_dropped_total')?.samples.length, 1000 * 2 * REASONS.length)
    const start = performance.now()
    await scrape()
    const took = performance.now() - start
    t.diagnostic(`${took.toFixed(0)} ms`)
    assert.ok(took < 5000, `${took} ms`)
  })
})

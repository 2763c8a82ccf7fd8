import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { Hub } from '../../../src/broker/index.ts'
import { MetricsServer } from '../../../src/broker/report/index.ts'
import { silentLogger } from '../../../src/common/index.ts'
import { configOf, embedHub, until } from '../../support/embedded-hub.ts'
import { type Family, parseExposition, valueOf } from '../../support/exposition.ts'
import { publish } from '../../support/packets.ts'
import type { Cleanup } from '../../support/raw-client.ts'
import { rule } from '../../support/rules.ts'
import { StoredHub } from '../../support/stored-hub.ts'

const ROOT = join(import.meta.dirname, '../../..')
/** Many times of what it takes. */
const PATIENCE_MS = 1000

type Families = ReadonlyMap<string, Family>

/** Serves the figures of a hub; returns a function that asks for them. */
async function asker(t: Cleanup, hub: Hub): Promise<() => Promise<string>> {
  const server = new MetricsServer(hub, {
    listen: 'http://127.0.0.1:0',
    log: silentLogger,
    version: '1.2.3',
    isReady: () => null,
  })
  t.after(() => server.stop())
  await server.start()
  return async () => {
    const response = await fetch(`${server.url}/metrics`)
    assert.equal(response.status, 200)
    return response.text()
  }
}

/** Serves the figures of a hub; returns a function that scrapes them. */
async function scraper(t: Cleanup, hub: Hub): Promise<() => Promise<Families>> {
  const get = await asker(t, hub)
  return async () => parseExposition(await get())
}

suite('figures for Prometheus', () => {
  test('those of the process and of Node.js', async t => {
    const { hub } = await embedHub(t)
    const scrape = await scraper(t, hub)
    const value = async (name: string): Promise<number> => valueOf(await scrape(), name)
    const now = Date.now() / 1000
    const start = await value('process_start_time_seconds')
    assert.ok(start < now && start > now - 3600, `started at ${start}, and it is ${now}`)
    const cpu = await value('process_cpu_seconds_total')
    for (let until = performance.now() + 60; performance.now() < until; );
    const families = await scrape()
    const used = valueOf(families, 'process_cpu_seconds_total') - cpu
    assert.ok(used > 0.03 && used < 30, `${used} s of processor time for 60 ms of work`)
    const [user, system] = ['user', 'system'].map(kind => valueOf(families, `process_cpu_${kind}_seconds_total`))
    assert.ok(
      Math.abs((user ?? 0) + (system ?? 0) - valueOf(families, 'process_cpu_seconds_total')) < 1e-6,
      'both kinds',
    )
    const busy = valueOf(families, 'nodejs_eventloop_utilization_ratio')
    assert.ok(busy > 0 && busy <= 1, `at work for ${busy} of the time`)
    assert.ok(
      valueOf(families, 'process_resident_memory_bytes') > valueOf(families, 'nodejs_heap_size_used_bytes'),
      'memory',
    )
    assert.equal(
      valueOf(families, 'nodejs_version_info', {
        version: process.version,
        major: `${parseInt(process.versions.node, 10)}`,
      }),
      1,
    )
    if (process.platform === 'linux') {
      const open = valueOf(families, 'process_open_fds')
      assert.ok(open > 3 && open < valueOf(families, 'process_max_fds'), `${open} files are open`)
    }
    assert.equal(valueOf(families, 'openedge_build_info', { version: '1.2.3' }), 1)
  })

  test('a loop that is held up is late', async t => {
    const { hub } = await embedHub(t)
    const scrape = await scraper(t, hub)
    await until(async () => {
      await setTimeout(250) // until it is looked at again
      for (let until = performance.now() + 200; performance.now() < until; );
      await setTimeout(150)
      const families = await scrape()
      const [min, max] = ['min', 'max'].map(each => valueOf(families, `nodejs_eventloop_lag_${each}_seconds`))
      assert.ok((max as number) < 5 && (min as number) <= (max as number), `from ${min} s to ${max} s`)
      return (max as number) > 0.03
    }, 'it was late')
  })

  test('the collector of garbage is watched, each pause of it', async t => {
    const { hub } = await embedHub(t)
    const scrape = await scraper(t, hub)
    const pauses = async (): Promise<number> =>
      valueOf(await scrape(), 'nodejs_gc_duration_seconds_count', { kind: 'minor' })
    const before = await pauses()
    for (let i = 0; i < 200; i++) Array.from({ length: 20_000 }, (_, n) => ({ n }))
    await until(async () => (await pauses()) > before + 3, 'pauses are counted')
  })

  test('those of the hub move with the traffic', async t => {
    const { hub, connect } = await embedHub(t)
    const scrape = await scraper(t, hub)
    const before = await scrape()
    const away = await connect('away', { cleanSession: false })
    await away.subscribe(['news', 1])
    await away.disconnect()
    const reader = await connect('reader')
    await reader.subscribe(['news', 0])
    for (let i = 0; i < 7; i++) await reader.publish({ topic: 'other', payload: 'x' })
    await reader.publish({ topic: 'kept', payload: '12345', retain: true })
    reader.send(publish({ topic: 'news', payload: 'x', qos: 1 }))
    assert.equal((await reader.everything()).length, 2)
    await until(() => hub.connections === 1, 'one has gone')
    const after = await scrape()
    const { counters } = hub.state
    const moved = (name: string): number => valueOf(after, name) - valueOf(before, name)
    const expected: Record<string, number> = {
      openedge_clients_connected: 1,
      openedge_clients_connected_maximum: 1,
      openedge_sessions: 2,
      openedge_sessions_absent: 1,
      openedge_connections: 1,
      openedge_connections_accepted_total: 2,
      openedge_subscriptions: 2,
      openedge_messages_received_total: 9,
      openedge_messages_sent_total: 1,
      openedge_retained_messages: 1,
      openedge_retained_bytes: 11,
      openedge_queued_messages: 1,
      openedge_received_bytes_total: counters.bytesReceived,
      openedge_sent_bytes_total: counters.bytesSent,
      openedge_packets_received_total: counters.messagesReceived + counters.controlReceived,
      openedge_publish_received_bytes_total: counters.publishBytesReceived,
    }
    for (const [name, change] of Object.entries(expected)) assert.equal(moved(name), change, name)
    assert.equal(moved('openedge_queued_bytes'), hub.state.waitingBytes)
    assert.equal(after.get('openedge_store_state')?.samples.length, 0, 'there is no store')
    assert.equal(moved('openedge_delivery_seconds_count'), counters.messagesSent)
    const sum = moved('openedge_delivery_seconds_sum')
    assert.ok(sum > 0 && sum < 5, `delivered in ${sum} s`)
  })

  test('what is dropped, by why', async t => {
    const { hub, connect } = await embedHub(t, { settings: { queueMessages: 2 } })
    const scrape = await scraper(t, hub)
    const away = await connect('away', { cleanSession: false })
    await away.subscribe(['news', 1])
    await away.disconnect()
    const writer = await connect('writer')
    for (let i = 0; i < 5; i++) await writer.publish({ topic: 'news', payload: 'x', qos: 1 })
    const families = await scrape()
    const dropped = ['slow_client', 'queue_full', 'expired'].map(reason =>
      valueOf(families, 'openedge_messages_dropped_total', { reason }),
    )
    assert.deepEqual(dropped, [0, 3, 0])
  })

  test('those of the store', async t => {
    const stored = await StoredHub.start(t)
    await stored.absent('device', ['flood', 1])
    const writer = await stored.guest('writer')
    await stored.flood(writer, { count: 100 })
    const families = await (await scraper(t, stored.hub))()
    const states = ['ok', 'full', 'failed'].map(state => valueOf(families, 'openedge_store_state', { state }))
    assert.deepEqual(states, [1, 0, 0])
    assert.equal(valueOf(families, 'openedge_store_queued_messages'), 100)
    assert.equal(valueOf(families, 'openedge_store_pending_bytes'), 0)
    assert.ok(valueOf(families, 'openedge_queued_bytes') > 100 * 'flood'.length, 'bytes that wait')
  })

  test('no client identifier, username, or topic but those of rules, is in them', async t => {
    const config = configOf('subscriptions: [{ source: { topic: secret/rule }, target: { topic: public } }]')
    const { hub, connect } = await embedHub(t, { config })
    const scrape = await scraper(t, hub)
    const client = await connect('secret-client')
    await client.subscribe(['secret/filter', 1])
    await client.publish({ topic: 'secret/topic', payload: 'secret', retain: true })
    const labels = [...(await scrape()).values()].flatMap(({ samples }) =>
      samples.flatMap(each => Object.values(each.labels)),
    )
    assert.deepEqual([...new Set(labels.filter(label => label.includes('secret')))], ['secret/rule'])
  })
})

suite('figures of rules', () => {
  test('are there whatever their topics, and go with them', async t => {
    const { hub, connect } = await embedHub(t)
    const scrape = await scraper(t, hub)
    const odd = 'a"b\\c\nd,target="x"} 1'
    // Written one behind the other the labels of these two would be the same.
    const pairs = [
      ['a', `x,target:y`],
      [`a,target:x`, 'y'],
      [odd, `${odd}/{topic}`],
      ['ü/+/#', '€/{1}/{#}'],
    ] as const
    hub.useRules(pairs.map(([source, target]) => rule(`${source} -> ${target}`)))
    const client = await connect('client')
    await client.publish({ topic: 'a' })
    await client.publish({ topic: odd })
    await client.publish({ topic: odd })
    const of = async (part: string): Promise<number[]> => {
      const families = await scrape()
      return pairs.map(([source, target]) => valueOf(families, `openedge_rule_${part}_total`, { source, target }))
    }
    assert.deepEqual(await of('matched'), [1, 0, 2, 0])
    assert.deepEqual(await of('forwarded'), [1, 0, 2, 0])
    assert.deepEqual(await of('dropped'), [0, 0, 0, 0])
    assert.equal(valueOf(await scrape(), 'openedge_rules_forwarded_total'), 3)
    hub.useRules([])
    const families = await scrape()
    assert.deepEqual(families.get('openedge_rule_matched_total')?.samples, [])
    assert.equal(valueOf(families, 'openedge_rules'), 0)
    assert.equal(valueOf(families, 'openedge_rules_forwarded_total'), 3, 'what was forwarded was')
  })

  test('of 10,000 rules those of the thousand that matched most, without delay', async t => {
    const { hub, connect } = await embedHub(t)
    hub.useRules(Array.from({ length: 10_000 }, (_, i) => rule(`in/${i} -> out/${i}`)))
    const get = await asker(t, hub)
    const client = await connect('client')
    client.send(Buffer.concat(Array.from({ length: 900 }, (_, i) => publish({ topic: `in/${9999 - i * 11}` }))))
    await client.quiet()
    const times: number[] = []
    for (let i = 0; i < 5; i++) {
      const start = performance.now()
      await get()
      times.push(performance.now() - start)
    }
    const families = parseExposition(await get())
    const samples = families.get('openedge_rule_matched_total')?.samples ?? []
    assert.equal(samples.length, 1000)
    assert.equal(samples.filter(({ value }) => value === 1).length, 900)
    assert.equal(valueOf(families, 'openedge_rule_matched_total', { source: 'in/9999', target: 'out/9999' }), 1)
    const best = Math.min(...times)
    t.diagnostic(`${best.toFixed(1)} ms`)
    assert.ok(best < PATIENCE_MS, `${best} ms`)
  })
})

test('a hub without metrics does not load their library', () => {
  const script = `
    const { createRequire } = await import('node:module')
    const { HubService } = await import('./src/broker/index.ts')
    const { MetricsServer } = await import('./src/broker/report/index.ts')
    const { createHub } = await import('./src/broker/index.ts')
    const isLoaded = () => Object.keys(createRequire(process.cwd() + '/x.js').cache).some(path => path.includes('prom-client'))
    const log = { info() {}, warn() {}, error() {}, debug() {} }
    const server = new MetricsServer(await createHub(), { listen: 'http://127.0.0.1:0', log, version: '', isReady: () => null })
    const before = isLoaded()
    await server.start()
    console.log(before, isLoaded(), typeof HubService)
    process.exit()
  `
  const output = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  assert.equal(output.trim(), 'false true function')
})

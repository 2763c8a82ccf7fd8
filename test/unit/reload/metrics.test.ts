/** What a running hub tells of itself, while that is configured otherwise. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { test } from 'node:test'
import { until } from '../../support/embedded-hub.ts'
import { account, as, ReloadedHub, TCP } from './reloaded-hub.ts'

const ANY = 'http://127.0.0.1:0'

function withMetrics(metrics: string, ...principals: string[]): string {
  const watcher = account('watcher', { pub: ['x'], sub: ['$SYS/#'] })
  return [TCP, `metrics: ${metrics}`, 'principals:', watcher, ...principals].join('\n')
}

async function get(url: string | null, path: string): Promise<number> {
  const response = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(5000) })
  await response.arrayBuffer()
  return response.status
}

test('the endpoint comes, moves and goes', async t => {
  const running = await ReloadedHub.start(t, withMetrics('{}'))
  const { service } = running
  assert.equal(service.metricsUrl, null, 'none')
  assert.equal(running.hub.state.latency, null, 'nothing is measured')
  await running.reload(withMetrics(`{ listen: '${ANY}' }`))
  const first = service.metricsUrl
  assert.equal(await get(first, '/metrics'), 200, 'figures')
  assert.equal(await get(first, '/readyz'), 200, 'ready')
  await running.reload(withMetrics(`{ listen: '${ANY}', report: { interval: 1s } }`))
  assert.equal(service.metricsUrl, first, 'it stays when something else changes')
  const { latency } = running.hub.state
  assert.ok(latency !== null, 'it is measured how long messages take')
  await running.reload(withMetrics(`{ listen: 'http://localhost:0' }`))
  assert.notEqual(service.metricsUrl, first, 'another one')
  assert.equal(await get(service.metricsUrl, '/metrics'), 200, 'figures')
  await assert.rejects(get(first, '/metrics'), 'the old one is gone')
  assert.equal(running.hub.state.latency, latency, 'measuring goes on')
  const port = new URL(service.metricsUrl ?? '').port
  await running.reload(withMetrics(`{ listen: 'http://127.0.0.1:${port}' }`))
  assert.equal(await get(service.metricsUrl, '/metrics'), 200, 'another host, the same port')
  await running.reload(withMetrics('{}'))
  assert.equal(service.metricsUrl, null, 'none again')
  assert.equal(running.hub.state.latency, null, 'nothing is measured any more')
})

test('an endpoint that can not be opened changes nothing', async t => {
  const server = net.createServer().listen(0, '127.0.0.1')
  t.after(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const running = await ReloadedHub.start(t, withMetrics(`{ listen: '${ANY}' }`, account('a', {})))
  const a = await running.connect(t, 'a', as('a'))
  const [url, urls] = [running.service.metricsUrl, [...running.urls]]
  const next = withMetrics(`{ listen: 'http://127.0.0.1:${port}' }`).replace(':0', ":0', 'ws://127.0.0.1:0")
  await assert.rejects(running.reload(next), { code: 'ERR_METRICS_BIND' })
  assert.deepEqual(running.urls, urls, 'the listeners are those that were there')
  assert.equal(running.logged('listener.started'), 1, 'no other was opened: its clients would have waited in vain')
  assert.equal(await get(url, '/metrics'), 200, 'the endpoint is there')
  await a.quiet()
})

test('events of clients are told, or not', async t => {
  const running = await ReloadedHub.start(t, withMetrics('{}', account('a', {})))
  const watcher = await running.connect(t, 'watcher', as('watcher'))
  await watcher.subscribe(['$SYS/broker/events/#', 0])
  await running.reload(withMetrics('{ events: true }', account('a', {})))
  await running.reload(withMetrics('{ events: true }', account('a', {})))
  const a = await running.connect(t, 'a', as('a'))
  assert.equal((await watcher.receive()).topic, '$SYS/broker/events/client/connected', 'once')
  await running.reload(withMetrics('{ events: true }'))
  await a.closed()
  const { topic, payload } = await watcher.receive()
  assert.equal(topic, '$SYS/broker/events/client/disconnected', 'who was removed')
  assert.match(payload.toString(), /principal removed/, 'and why')
  await running.reload(withMetrics('{ events: false }', account('a', {})))
  await (await running.connect(t, 'a', as('a'))).disconnect()
  await until(() => running.hub.clients['a'] === undefined, 'it is gone')
  await watcher.quiet()
})

test('reports come as often as configured', async t => {
  const running = await ReloadedHub.start(t, withMetrics('{ report: { interval: 1h } }'), { version: '9.8.7' })
  const watcher = await running.connect(t, 'watcher', as('watcher'))
  await watcher.subscribe(['$SYS/broker/version', 0], ['$SYS/broker/uptime', 0])
  const retained = [await watcher.receive(), await watcher.receive()].map(({ payload }) => payload.toString())
  assert.ok(
    retained.some(payload => payload.includes('9.8.7')),
    `the version: ${retained.join()}`,
  )
  await running.reload(withMetrics('{ report: { interval: 1s } }'))
  assert.equal((await watcher.receive()).topic, '$SYS/broker/uptime', 'another report comes')
})

/** Where a bridge serves its figures, and when it says that it is ready. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { suite, test } from 'node:test'
import type { BridgeFigures } from '../../../src/bridge/figures.ts'
import { BridgeReporting } from '../../../src/bridge/report/index.ts'
import { KeptLog } from '../../support/kept-log.ts'
import type { Cleanup } from '../../support/raw-client.ts'
import { bridgeFigures, ruleFigures } from './report-figures.ts'

const ANY = 'http://127.0.0.1:0'

interface Place {
  readonly reporting: BridgeReporting
  readonly log: KeptLog
  /** What is reported; may be changed. */
  readonly state: { figures: BridgeFigures; isStopping: boolean }
}

function place(t: Cleanup, figures: BridgeFigures = bridgeFigures(ruleFigures('plant1'))): Place {
  const state = { figures, isStopping: false }
  const log = new KeptLog()
  const reporting = new BridgeReporting({
    figures: () => state.figures,
    log,
    version: '1.2.3',
    isStopping: () => state.isStopping,
  })
  t.after(() => reporting.stop())
  return { reporting, log, state }
}

async function get(url: string | null, path: string): Promise<{ status: number; body: string }> {
  assert.ok(url !== null, 'there is an endpoint')
  const response = await fetch(url + path, { headers: { Connection: 'close' } })
  return { status: response.status, body: await response.text() }
}

/** A port that somebody has, on all addresses of IPv4. */
async function takenPort(t: Cleanup): Promise<number> {
  const server = createServer().listen(0, '0.0.0.0')
  await once(server, 'listening')
  t.after(() => void server.close())
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null, 'it listens')
  return address.port
}

suite('the endpoint of a bridge', () => {
  test('is off until it is asked for, comes, moves and goes', async t => {
    const { reporting, log } = place(t)
    assert.equal(reporting.url, null)
    await reporting.apply('')
    assert.equal(reporting.url, null)
    await reporting.apply(ANY)
    const first = reporting.url
    assert.match(String(first), /^http:\/\/127\.0\.0\.1:[1-9]\d*$/)
    assert.match((await get(first, '/')).body, /<title>openedge bridge<\/title>/)
    assert.equal((await get(first, '/healthz')).status, 200)
    await reporting.apply(ANY)
    assert.equal(reporting.url, first, 'the same address is the same endpoint')
    await reporting.apply('http://localhost:0')
    assert.notEqual(reporting.url, first)
    assert.equal((await get(reporting.url, '/metrics')).status, 200)
    await assert.rejects(get(first, '/healthz'), 'the first has gone')
    const last = reporting.url
    await reporting.apply('')
    assert.equal(reporting.url, null)
    await assert.rejects(get(last, '/healthz'), 'the second has gone')
    assert.equal(log.count('metrics.listening'), 2)
  })

  test('stays where it is when the next address can not be had', async t => {
    const { reporting } = place(t)
    await reporting.apply(ANY)
    const { url } = reporting
    const listen = `http://127.0.0.1:${await takenPort(t)}`
    await assert.rejects(reporting.apply(listen), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'ERR_METRICS_BIND')
      assert.ok(error.message.includes(listen), `${error.message} names ${listen}`)
      return true
    })
    assert.equal(reporting.url, url)
    assert.equal((await get(url, '/healthz')).status, 200)
    await reporting.apply(ANY)
    assert.equal(reporting.url, url, 'what failed is not taken for what is')
  })

  test('is not there when the first address can not be had, and comes with the next', async t => {
    const { reporting } = place(t)
    await assert.rejects(reporting.apply(`http://127.0.0.1:${await takenPort(t)}`), { code: 'ERR_METRICS_BIND' })
    assert.equal(reporting.url, null)
    await reporting.apply(ANY)
    assert.equal((await get(reporting.url, '/healthz')).status, 200)
  })

  test('moves from one address to all addresses on the same port, and back when that can not be', async t => {
    const { reporting } = place(t)
    await reporting.apply(ANY)
    const port = new URL(reporting.url ?? '').port
    await reporting.apply(`http://0.0.0.0:${port}`)
    assert.equal(reporting.url, `http://0.0.0.0:${port}`)
    assert.equal((await get(`http://127.0.0.1:${port}`, '/healthz')).status, 200)
    await assert.rejects(reporting.apply(`http://192.0.2.1:${port}`), { code: 'ERR_METRICS_BIND' })
    assert.equal(reporting.url, `http://0.0.0.0:${port}`)
    assert.equal((await get(`http://127.0.0.1:${port}`, '/healthz')).status, 200)
  })

  test('changes that come at once are made one after the other', async t => {
    const { reporting } = place(t)
    const changes = [ANY, '', 'http://localhost:0', ANY].map(listen => reporting.apply(listen))
    await Promise.all([...changes, reporting.stop()])
    assert.equal(reporting.url, null)
    await reporting.stop()
    assert.equal(reporting.url, null)
  })
})

suite('a bridge is ready', () => {
  test('when all rules are connected on both ends', async t => {
    const { reporting, state } = place(t, bridgeFigures(ruleFigures('plant1'), ruleFigures('plant2')))
    await reporting.apply(ANY)
    assert.deepEqual(await get(reporting.url, '/readyz'), { status: 200, body: 'ready\n' })
    state.figures = bridgeFigures()
    assert.equal((await get(reporting.url, '/readyz')).status, 200, 'without rules there is nothing to wait for')
  })

  test('and else says which are not, and why', async t => {
    const where = 'rule plant2: remote cloud (ssl://cloud.example:8883)'
    const { reporting } = place(
      t,
      bridgeFigures(
        ruleFigures('plant1', { hub: { phase: 'connecting' } }),
        ruleFigures('plant2', { cloud: { phase: 'waiting', lastError: `${where}: nobody listens there: start it` } }),
        ruleFigures('plant3', { remote: 'far', cloud: { phase: 'waiting', lastError: 'rule plant3: all\r\nis lost' } }),
        ruleFigures('plant4', { cloud: { lastError: `it failed yesterday` } }),
      ),
    )
    await reporting.apply(ANY)
    const { status, body } = await get(reporting.url, '/readyz')
    assert.equal(status, 503)
    assert.deepEqual(body.split('\n'), [
      'not ready: rule plant1: hub (tcp://127.0.0.1:1883) is connecting',
      `${where} is waiting: nobody listens there: start it`,
      'rule plant3: remote far (ssl://cloud.example:8883) is waiting: all is lost',
      '',
    ])
    assert.equal((await get(reporting.url, '/healthz')).status, 200, 'alive all the same')
  })

  test('of many that are not connected some are named, in lines that end', async t => {
    const lastError = 'x'.repeat(10_000)
    const rules = Array.from({ length: 100 }, (_, i) =>
      ruleFigures(`r${i}`, { cloud: { phase: 'waiting', lastError } }),
    )
    const { reporting } = place(t, bridgeFigures(...rules))
    await reporting.apply(ANY)
    const lines = (await get(reporting.url, '/readyz')).body.trimEnd().split('\n')
    assert.equal(lines.length, 21)
    assert.equal(lines.at(-1), 'and 80 more')
    assert.ok(Math.max(...lines.map(line => line.length)) < 600, 'no line is long')
  })

  test('not while it stops', async t => {
    const { reporting, state } = place(t)
    await reporting.apply(ANY)
    state.isStopping = true
    assert.deepEqual(await get(reporting.url, '/readyz'), {
      status: 503,
      body: 'not ready: the bridge is stopping\n',
    })
  })
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { suite, test } from 'node:test'
import type { Hub } from '../../../src/broker/index.ts'
import { createHub } from '../../../src/broker/index.ts'
import { MetricsServer } from '../../../src/broker/report/index.ts'
import { embedHub, until } from '../../support/embedded-hub.ts'
import { parseExposition, valueOf } from '../../support/exposition.ts'
import { KeptLog } from '../../support/kept-log.ts'
import { publish } from '../../support/packets.ts'
import type { Cleanup } from '../../support/raw-client.ts'
import { SlowStore } from '../../support/slow-store.ts'
import { StoredHub } from '../../support/stored-hub.ts'

const ANY = 'http://127.0.0.1:0'

interface Reply {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

function ask(url: string, options: http.RequestOptions = {}, body = ''): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { agent: false, ...options }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', chunk => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
    })
    request.on('error', reject)
    request.end(body)
  })
}

async function serve(
  t: Cleanup,
  hub: Hub,
  isReady: () => string | null = () => null,
  listen = ANY,
): Promise<MetricsServer> {
  const server = new MetricsServer(hub, { listen, log: new KeptLog(), version: '1.2.3', isReady })
  t.after(() => server.stop())
  await server.start()
  return server
}

/** Opens connections one after the other that say this, and waits for the answers, if a request is whole. */
async function hold(t: Cleanup, port: number, count: number, request = ''): Promise<net.Socket[]> {
  const sockets: net.Socket[] = []
  t.after(() => sockets.forEach(socket => void socket.destroy()))
  for (let i = 0; i < count; i++) {
    const socket = net.connect(port, '127.0.0.1')
    sockets.push(socket)
    socket.on('error', () => {})
    await once(socket, 'connect')
    if (request !== '') socket.write(request)
    if (request.endsWith('\r\n\r\n')) await once(socket, 'data')
    socket.resume()
  }
  return sockets
}

/** A hub that nobody connects to. */
async function idleHub(t: Cleanup): Promise<Hub> {
  const hub = await createHub()
  t.after(() => hub.closeGently(0))
  return hub
}

suite('the server of figures', () => {
  test('has its pages, and no others', async t => {
    const { url } = await serve(t, await idleHub(t))
    assert.match(url, /^http:\/\/127\.0\.0\.1:[1-9]\d*$/)
    const kinds = { '/metrics': 'text/plain; version=0.0.4; charset=utf-8', '/': 'text/html; charset=utf-8' }
    for (const path of ['/', '/metrics', '/healthz', '/readyz', '/metrics?name=x', '/healthz?']) {
      const { status, headers, body } = await ask(url + path)
      assert.equal(status, 200, path)
      assert.equal(headers['cache-control'], 'no-store', path)
      const kind =
        Object.entries(kinds).find(([each]) => path.split('?')[0] === each)?.[1] ?? 'text/plain; charset=utf-8'
      assert.equal(headers['content-type'], kind, path)
      assert.equal(headers['content-length'], `${Buffer.byteLength(body)}`, path)
      assert.ok(body.length > 0, `${path} is empty`)
    }
    assert.equal((await ask(`${url}/healthz`)).body, 'ok\n')
    const index = (await ask(url)).body
    for (const path of ['/metrics', '/healthz', '/readyz'])
      assert.ok(index.includes(`href="${path}"`), `a link to ${path}`)
    for (const path of [
      '/Metrics',
      '/metrics/',
      '/metrics/x',
      '//metrics',
      '/..',
      '/favicon.ico',
      '/%6detrics',
      '/__proto__',
    ])
      assert.equal((await ask(url, { path })).status, 404, path)
  })

  test('answers HEAD without a body, and refuses other methods', async t => {
    const { url } = await serve(t, await idleHub(t))
    for (const path of ['/metrics', '/healthz', '/readyz', '/', '/none']) {
      const head = await ask(url + path, { method: 'HEAD' })
      assert.equal(head.status, path === '/none' ? 404 : 200, path)
      assert.equal(head.body, '', path)
      assert.ok(Number(head.headers['content-length']) > 0, `${path}: how much GET would say`)
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
      const { status, headers } = await ask(`${url}/metrics`, { method }, method === 'POST' ? 'x'.repeat(100_000) : '')
      assert.equal(status, 405, method)
      assert.equal(headers.allow, 'GET, HEAD', method)
      assert.equal((await ask(`${url}/none`, { method })).status, 404, `${method} of what is not there`)
    }
  })

  test('is bounded: large headers, what is no HTTP, many connections', async t => {
    const { url } = await serve(t, await idleHub(t))
    assert.equal((await ask(url, { headers: { 'X-Large': 'x'.repeat(10_000) } })).status, 431)
    const port = Number(new URL(url).port)
    const garbage = net.connect(port, '127.0.0.1')
    garbage.end('\u0010\u0020\u0000\u0004MQTT\r\n\r\n')
    const [answer] = (await once(garbage, 'data')) as [Buffer]
    assert.match(answer.toString(), /^HTTP\/1\.1 400 /)
    const sockets = await hold(t, port, 40)
    await until(() => sockets.filter(socket => socket.closed).length >= 8, 'those beyond the limit are closed')
    assert.equal(sockets.filter(socket => socket.closed).length, 8, 'and no others')
  })

  test('can be asked at any time, however many connections others hold open', async t => {
    const { url } = await serve(t, await idleHub(t))
    const port = Number(new URL(url).port)
    const said: Readonly<Record<string, string>> = {
      nothing: '',
      'half a request': 'GET /metrics HTTP/1.1\r\nHost: x\r\n',
      'a request, and kept open': 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n',
    }
    for (const [what, request] of Object.entries(said)) {
      const sockets = await hold(t, port, 32, request)
      assert.equal(sockets.filter(socket => socket.closed).length, 0, `${what}: all are open`)
      const { status, body } = await ask(`${url}/healthz`)
      assert.deepEqual([status, body], [200, 'ok\n'], what)
      await until(() => sockets[0]?.closed === true, `${what}: the one that was idle for longest has gone`)
      assert.equal(sockets.filter(socket => socket.closed).length, 1, `${what}: only that one`)
      for (const socket of sockets) socket.destroy()
    }
  })

  test('a connection that is used stays, those that are idle for longer go first', async t => {
    const { url } = await serve(t, await idleHub(t))
    const port = Number(new URL(url).port)
    const [first] = await hold(t, port, 1, 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
    assert.ok(first !== undefined, 'it is open')
    const others = await hold(t, port, 31)
    const answered = once(first, 'data')
    first.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
    await answered
    await ask(`${url}/healthz`)
    await until(() => others[0]?.closed === true, 'the second')
    assert.equal(first.closed, false, 'the one that has just asked')
  })

  test('a connection may ask a hundred times', async t => {
    const { url } = await serve(t, await idleHub(t))
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
    t.after(() => agent.destroy())
    const ends: number[] = []
    for (let i = 1; i <= 101; i++) {
      const { headers, status } = await ask(`${url}/healthz`, { agent })
      assert.equal(status, 200, `request ${i}`)
      if (headers.connection === 'close') ends.push(i)
      else assert.match(String(headers['keep-alive']), /^timeout=5\b/, 'it may be idle for five seconds')
    }
    assert.deepEqual(ends, [100])
  })

  test('many scrapes at once are answered, all of them valid', async t => {
    const { url } = await serve(t, await idleHub(t))
    const replies = await Promise.all(Array.from({ length: 20 }, () => ask(`${url}/metrics`)))
    for (const { status, body } of replies) {
      assert.equal(status, 200)
      parseExposition(body)
    }
  })

  test('an address that can not be bound is refused with its URL and what to do', async t => {
    const hub = await idleHub(t)
    const { url } = await serve(t, hub)
    const start = (listen: string): Promise<MetricsServer> => serve(t, hub, () => null, listen)
    const refused = (listen: string, why: RegExp): Promise<void> =>
      assert.rejects(start(listen), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'ERR_METRICS_BIND', listen)
        assert.ok(error.message.includes(listen), `${error.message} names ${listen}`)
        assert.match(error.message, why)
        return true
      })
    await refused(url, /listens there already/)
    await refused('http://192.0.2.1:0', /no network interface/)
    for (const listen of [
      '',
      'https://127.0.0.1:1',
      'http://127.0.0.1:65536',
      'http://[1::x]:1',
      'http://a:1/x',
      'tcp://a:1',
    ])
      await refused(listen, /no URL of the form http:\/\/HOST:PORT/)
    assert.equal(hub.state.latency === null, false, 'the one that runs goes on measuring')
  })

  test('listens on IPv6, and on all addresses', async t => {
    const hub = await idleHub(t)
    const all = await serve(t, hub, () => null, 'http://:0')
    assert.equal((await ask(`http://127.0.0.1:${new URL(all.url).port}/healthz`)).status, 200)
    let six: MetricsServer
    try {
      six = await serve(t, hub, () => null, 'http://[::1]:0/')
    } catch (error) {
      assert.match((error as Error).message, /address/) // a machine without IPv6
      t.skip('no IPv6')
      return
    }
    assert.match(six.url, /^http:\/\/\[::1\]:[1-9]\d*$/)
    assert.equal((await ask(`${six.url}/healthz`)).body, 'ok\n')
  })

  test('stops at once, with connections open and requests half sent, and starts again', async t => {
    const hub = await idleHub(t)
    const server = await serve(t, hub)
    const { url } = server
    const port = Number(new URL(url).port)
    const half = net.connect(port, '127.0.0.1')
    half.write('GET /metrics HTTP/1.1\r\n')
    const kept = new http.Agent({ keepAlive: true })
    t.after(() => kept.destroy())
    await ask(`${url}/metrics`, { agent: kept })
    assert.ok(hub.state.latency !== null, 'latency is measured while somebody may ask')
    const gone = once(half, 'close')
    half.on('error', () => {})
    half.resume()
    await server.stop()
    await server.stop()
    await gone
    assert.equal(hub.state.latency, null)
    assert.equal(server.url, ANY)
    await assert.rejects(ask(`${url}/healthz`), { code: 'ECONNREFUSED' })
    await server.start()
    parseExposition((await ask(`${server.url}/metrics`)).body)
    assert.ok(hub.state.latency !== null, 'measured again')
  })

  test('of two the second goes on when the first stops', async t => {
    const { hub, connect } = await embedHub(t)
    const first = await serve(t, hub)
    const client = await connect('client')
    await client.subscribe(['news', 0])
    const deliver = async (): Promise<void> => {
      client.send(publish({ topic: 'news' }))
      await client.expect('publish')
    }
    await deliver()
    const second = await serve(t, hub)
    const delivered = async ({ url }: MetricsServer): Promise<number> =>
      valueOf(parseExposition((await ask(`${url}/metrics`)).body), 'openedge_delivery_seconds_count')
    assert.deepEqual([await delivered(first), await delivered(second)], [1, 1])
    await first.stop()
    assert.equal(await delivered(second), 1, 'what was measured is not forgotten')
    await deliver()
    assert.equal(await delivered(second), 2)
    await second.stop()
    assert.equal(hub.state.latency, null)
  })

  test('may be stopped while it starts', async t => {
    const hub = await idleHub(t)
    const server = new MetricsServer(hub, { listen: ANY, log: new KeptLog(), version: '', isReady: () => null })
    const starting = server.start()
    await server.stop()
    await starting
    assert.equal(hub.state.latency, null)
    assert.equal(server.url, ANY)
    await server.start()
    t.after(() => server.stop())
    assert.equal((await ask(`${server.url}/healthz`)).status, 200)
  })

  test('starting and stopping leaves nothing behind', async t => {
    const hub = await idleHub(t)
    const server = await serve(t, hub)
    await server.stop()
    const before = process.getActiveResourcesInfo().length
    for (let i = 0; i < 30; i++) {
      await server.start()
      await server.stop()
    }
    await until(() => process.getActiveResourcesInfo().length <= before, 'all is gone')
  })
})

suite('readiness', () => {
  test('is what the caller says', async t => {
    let reason: string | null = 'the listeners are not open yet'
    const { url } = await serve(t, await idleHub(t), () => reason)
    const not = await ask(`${url}/readyz`)
    assert.deepEqual([not.status, not.body], [503, 'not ready: the listeners are not open yet\n'])
    assert.equal((await ask(`${url}/readyz`, { method: 'HEAD' })).status, 503)
    assert.equal((await ask(`${url}/healthz`)).status, 200, 'alive all the same')
    reason = null
    assert.equal((await ask(`${url}/readyz`)).status, 200)
  })

  test('ends with the hub', async t => {
    const { hub } = await embedHub(t)
    const { url } = await serve(t, hub)
    assert.equal((await ask(`${url}/readyz`)).status, 200)
    await hub.closeGently(0)
    assert.deepEqual([(await ask(`${url}/readyz`)).status, (await ask(`${url}/healthz`)).status], [503, 200])
  })

  test('a hub whose storage is full is not ready', async t => {
    const stored = await StoredHub.start(t, { storage: { maxBytes: 1 } })
    const { url } = await serve(t, stored.hub)
    await until(() => stored.hub.state.store?.blocked === 'full', 'the storage is full')
    const { status, body } = await ask(`${url}/readyz`)
    assert.deepEqual([status, body], [503, 'not ready: the storage is full\n'])
    const families = parseExposition((await ask(`${url}/metrics`)).body)
    const states = ['ok', 'full', 'failed'].map(state => valueOf(families, 'openedge_store_state', { state }))
    assert.deepEqual(states, [0, 1, 0])
  })

  test('nor one whose disk fails, until it works again', async t => {
    const disk = await SlowStore.start(t)
    const { url } = await serve(t, disk.stored.hub)
    assert.equal((await ask(`${url}/readyz`)).status, 200)
    await disk.failNow()
    const { status, body } = await ask(`${url}/readyz`)
    assert.deepEqual([status, body], [503, 'not ready: the storage can not be written\n'])
    await disk.heal()
    await until(() => disk.stored.hub.state.store?.blocked === null, 'the disk works')
    assert.equal((await ask(`${url}/readyz`)).status, 200)
  })
})

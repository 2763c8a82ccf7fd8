/** Listeners of a running hub that come and go, without those who are connected. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { WebSocket } from 'ws'
import { makeTestCertificates, type TestCertificates } from '../../support/certs.ts'
import { OPEN_TO_ALL } from '../../support/hub.ts'
import { connect } from '../../support/packets.ts'
import type { Cleanup } from '../../support/raw-client.ts'
import { account, as, ReloadedHub, temporaryDirectory } from './reloaded-hub.ts'

function on(urls: readonly string[], ...lines: string[]): string {
  return [`listen: ${JSON.stringify(urls)}`, OPEN_TO_ALL, ...lines].join('\n')
}

async function certificates(t: Cleanup): Promise<{ made: TestCertificates; line: string }> {
  const made = await makeTestCertificates()
  t.after(() => made.remove())
  return { made, line: `certificate: { key: ${join(made.dir, 'server.key')}, cert: ${join(made.dir, 'server.pem')} }` }
}

/** A port that nobody has at the moment. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** A port that somebody else listens on until the test is over. */
async function takenPort(t: Cleanup): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  t.after(() => void server.close())
  await once(server, 'listening')
  return (server.address() as net.AddressInfo).port
}

async function refusesConnections(url: string): Promise<boolean> {
  const { hostname: host, port } = new URL(url.replace(/^\w+/, 'http'))
  const socket = net.connect({ host, port: Number(port) })
  try {
    await once(socket, 'connect')
    return false
  } catch {
    return true
  } finally {
    socket.destroy()
  }
}

const FREE = 'tcp://127.0.0.1:0'

suite('listeners', () => {
  test('one is added, the other stays as it is', async t => {
    const running = await ReloadedHub.start(t, on([FREE]))
    const [first] = running.urls
    const client = await running.connect(t, 'client')
    await running.reload(on(['ws://127.0.0.1:0', FREE]))
    assert.equal(running.urls.length, 2, 'two')
    assert.equal(running.urls[1], first, 'in the order of the configuration')
    await running.connect(t, 'new', {}, running.urls[0])
    await client.quiet()
    assert.equal(running.logged('listener.stopped'), 0, 'nothing was stopped')
  })

  test('one is removed, its connections stay', async t => {
    const running = await ReloadedHub.start(t, on([FREE, 'ws://127.0.0.1:0']))
    const [tcp = '', ws = ''] = running.urls
    const client = await running.connect(t, 'client', {}, ws)
    await running.reload(on([FREE]))
    assert.deepEqual(running.urls, [tcp], 'one is left')
    assert.equal(await refusesConnections(ws), true, 'the port is closed')
    await client.quiet()
    await running.connect(t, 'other', {}, tcp)
  })

  test('all are removed, and one comes again', async t => {
    const running = await ReloadedHub.start(t, on([FREE]))
    const client = await running.connect(t, 'client')
    await running.reload(on([]))
    assert.deepEqual(running.urls, [], 'none')
    await running.reload(on([FREE]))
    await running.connect(t, 'other')
    await client.quiet()
  })

  test('one takes the port of another', async t => {
    const port = await freePort()
    const running = await ReloadedHub.start(t, on([`tcp://127.0.0.1:${port}`]))
    const client = await running.connect(t, 'client')
    await running.reload(on([`ws://127.0.0.1:${port}`]))
    await running.connect(t, 'web', {}, `ws://127.0.0.1:${port}`)
    await running.reload(on([`tcp://0.0.0.0:${port}`]))
    await running.connect(t, 'all', {}, `tcp://127.0.0.1:${port}`)
    await client.quiet()
  })

  test('that can not be opened change nothing', async t => {
    const running = await ReloadedHub.start(t, on([FREE]))
    const before = [...running.urls]
    const client = await running.connect(t, 'client')
    const free = await freePort()
    const urls = [`tcp://127.0.0.1:${free}`, `tcp://127.0.0.1:${await takenPort(t)}`]
    const next = on(urls, 'limits: { topic: { levels: 1 } }')
    await assert.rejects(running.reload(next), { code: 'ERR_LISTEN_ADDRESS_IN_USE' })
    assert.deepEqual(running.urls, before, 'the listeners')
    assert.equal(await refusesConnections(`tcp://127.0.0.1:${free}`), true, 'the one that was opened is closed again')
    await client.publish({ topic: 'a/b', payload: '', qos: 1 })
    await running.connect(t, 'other')
  })

  test('that had to make room in vain are there again, also on a port that was any', async t => {
    const running = await ReloadedHub.start(t, on([FREE]))
    const [url = ''] = running.urls
    const client = await running.connect(t, 'client')
    const taken = `tcp://127.0.0.1:${await takenPort(t)}`
    const isAtFault = ({ message }: Error): boolean => message.includes(taken)
    await assert.rejects(running.reload(on([url.replace('tcp', 'ws'), taken])), isAtFault, 'not the one that gave way')
    assert.deepEqual(running.urls, [url], 'the same port')
    await running.connect(t, 'other', {}, url)
    await client.quiet()
    await running.reload(on([FREE]))
    assert.deepEqual(running.urls, [url], 'and it is known as the one it was')
  })

  test('unix sockets come and go', async t => {
    const path = join(temporaryDirectory(t), 'hub.sock')
    const running = await ReloadedHub.start(t, on([FREE]))
    await running.reload(on([FREE, `unix://${path}`]))
    const socket = net.connect({ path })
    t.after(() => void socket.destroy())
    socket.write(connect({ clientId: 'local' }))
    const [connack] = (await once(socket, 'data')) as [Buffer]
    assert.deepEqual([...connack], [0x20, 2, 0, 0], 'CONNACK')
    await running.reload(on([FREE]))
    const late = net.connect({ path })
    await assert.rejects(once(late, 'connect'), { code: 'ENOENT' })
    assert.equal(socket.destroyed, false, 'who is connected stays')
  })
})

suite('TLS', () => {
  test('comes to a hub that had none, and goes', async t => {
    const { made, line } = await certificates(t)
    const running = await ReloadedHub.start(t, on([FREE]))
    await running.reload(on([FREE, 'tls://127.0.0.1:0', 'wss://127.0.0.1:0'], line))
    for (const [i, url] of running.urls.slice(1).entries()) {
      const client = await running.open(t, url, { ca: made.ca })
      assert.equal((await client.connect({ clientId: `c${i}` })).returnCode, 0, `CONNACK by ${url}`)
    }
    await running.reload(on([FREE]))
    assert.equal(running.urls.length, 1, 'only TCP is left')
  })

  test('can not be without a certificate', async t => {
    const { line } = await certificates(t)
    const running = await ReloadedHub.start(t, on(['tls://127.0.0.1:0'], line))
    const urls = [...running.urls]
    await assert.rejects(
      running.reload(on(['tls://127.0.0.1:0'], line), next => ({
        ...next,
        certificate: { ...next.certificate, key: '', cert: '' },
      })),
      { code: 'ERR_LISTEN_CERTIFICATE_MISSING' },
    )
    assert.deepEqual(running.urls, urls, 'nothing has changed')
  })
})

suite('WebSockets', () => {
  const WS = 'ws://127.0.0.1:0'
  const foreign = (url: string): WebSocket =>
    new WebSocket(`${url}/mqtt`, ['mqtt'], { origin: 'http://elsewhere.example' })

  test('of foreign pages are refused as soon as no password is asked for', async t => {
    const closed = [`listen: ['${WS}']`, 'principals:', account('a', {})].join('\n')
    const running = await ReloadedHub.start(t, closed)
    const [url = ''] = running.urls
    const first = foreign(url)
    t.after(() => first.terminate())
    await once(first, 'open')
    await running.reload(on([WS]))
    const second = foreign(url)
    const [error] = (await once(second, 'error')) as [Error]
    assert.match(error.message, /403/, 'refused')
  })

  test('take larger messages once the hub takes larger packets', async t => {
    const running = await ReloadedHub.start(t, on([WS]))
    await running.reload(on([WS], 'message: { length: { max: 4m } }'))
    const client = await running.connect(t, 'large')
    await client.publish({ topic: 'x', payload: Buffer.alloc(2_000_000), qos: 1 })
  })
})

test('an account that is gone does not come in by any listener', async t => {
  const yaml = (...accounts: string[]): string =>
    [`listen: ['${FREE}', 'ws://127.0.0.1:0']`, 'principals:', account('b', {}), ...accounts].join('\n')
  const running = await ReloadedHub.start(t, yaml(account('a', {})))
  await running.reload(yaml())
  for (const url of running.urls) {
    const client = await running.open(t, url)
    assert.equal((await client.connect({ clientId: 'a', ...as('a') })).returnCode, 4, `refused by ${url}`)
    await client.closed()
  }
})

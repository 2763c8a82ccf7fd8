import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { TcpProxy } from '../support/proxy.ts'

/** A server that sends back what it gets. */
async function useEcho(t: TestContext): Promise<number> {
  const server = net.createServer(socket => {
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as net.AddressInfo).port
}

async function useProxy(t: TestContext, target: () => number | null, delayMs = 0): Promise<TcpProxy> {
  const proxy = await TcpProxy.listen({ target, delayMs })
  t.after(() => proxy.close())
  return proxy
}

class Caller {
  readonly socket: net.Socket
  text = ''
  error = ''
  readonly closed: Promise<unknown>
  #wake: () => void = () => {}

  constructor(t: TestContext, port: number) {
    this.socket = net.connect({ host: '127.0.0.1', port, noDelay: true })
    this.socket.setEncoding('utf8').on('data', (text: string) => {
      this.text += text
      this.#wake()
    })
    this.socket.on('error', error => {
      this.error = (error as NodeJS.ErrnoException).code ?? error.message
    })
    this.closed = new Promise(resolve => this.socket.on('close', resolve))
    t.after(() => {
      this.socket.destroy()
    })
  }

  async has(text: string): Promise<void> {
    while (this.text !== text) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }
}

test('bytes pass in both directions, and so does the end', { timeout: 10_000 }, async t => {
  const echo = await useEcho(t)
  const proxy = await useProxy(t, () => echo)
  const caller = new Caller(t, proxy.port)
  const large = 'x'.repeat(3_000_000)
  caller.socket.end(large)
  await caller.closed
  assert.equal(caller.text.length, large.length, 'everything came back after the end of the input')
  assert.equal(caller.error, '', 'and nothing was reset')
  assert.equal(proxy.accepted, 1, 'accepted connections are counted')
})

test('a cut network resets connections and refuses new ones until it passes again', { timeout: 10_000 }, async t => {
  const echo = await useEcho(t)
  const proxy = await useProxy(t, () => echo)
  const caller = new Caller(t, proxy.port)
  caller.socket.write('one')
  await caller.has('one')
  await proxy.setMode('cut')
  await caller.closed
  assert.equal(caller.error, 'ECONNRESET', 'the connection is reset')
  const refused = new Caller(t, proxy.port)
  await refused.closed
  assert.equal(refused.error, 'ECONNREFUSED', 'a new one is refused')
  await proxy.setMode('pass')
  const again = new Caller(t, proxy.port)
  again.socket.write('two')
  await again.has('two')
})

test('a half-open network holds what is sent and tells nobody', { timeout: 10_000 }, async t => {
  const echo = await useEcho(t)
  const proxy = await useProxy(t, () => echo)
  const caller = new Caller(t, proxy.port)
  caller.socket.write('one')
  await caller.has('one')
  await proxy.setMode('half-open')
  caller.socket.write('two')
  const late = new Caller(t, proxy.port)
  late.socket.write('late')
  await once(late.socket, 'connect')
  await sleep(100)
  assert.equal(caller.text, 'one', 'nothing comes through')
  assert.equal(late.text, '', 'nor on a new connection')
  assert.ok(!caller.socket.destroyed && !late.socket.destroyed, 'but both stand')
  await proxy.setMode('pass')
  await caller.has('onetwo')
  await late.has('late')
})

test('a delay takes its time each way and keeps the order', { timeout: 10_000 }, async t => {
  const echo = await useEcho(t)
  const proxy = await useProxy(t, () => echo, 40)
  const caller = new Caller(t, proxy.port)
  await once(caller.socket, 'connect')
  const since = performance.now()
  let sent = ''
  for (let i = 0; i < 20; i++) {
    caller.socket.write(`${i} `)
    sent += `${i} `
    await new Promise(resolve => setImmediate(resolve))
  }
  await caller.has(sent)
  const ms = performance.now() - since
  assert.ok(ms >= 79, `there and back takes twice the delay, not ${ms} ms`)
})

test('where no server is, connections are reset', { timeout: 10_000 }, async t => {
  const proxy = await useProxy(t, () => null)
  const caller = new Caller(t, proxy.port)
  await caller.closed
  assert.equal(caller.error, 'ECONNRESET', 'the connection is reset')
  assert.equal(proxy.connections, 0, 'nothing is left')
})

test('what was reset while half-open does not come back', { timeout: 10_000 }, async t => {
  const echo = await useEcho(t)
  let asked = 0
  const proxy = await useProxy(t, () => {
    asked++
    return echo
  })
  const caller = new Caller(t, proxy.port)
  caller.socket.write('one')
  await caller.has('one')
  await proxy.setMode('half-open')
  const late = new Caller(t, proxy.port)
  await once(late.socket, 'connect')
  while (proxy.accepted < 2) await sleep(1)
  proxy.resetAll()
  await proxy.setMode('pass')
  await Promise.all([caller.closed, late.closed])
  while (proxy.connections > 0) await sleep(1)
  assert.equal(asked, 1, 'nobody dialled the server for the one that was reset')
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, Socket } from 'node:net'
import { suite, test } from 'node:test'
import { OpenTimeout } from '../../../src/bridge/transport/index.ts'
import { explained, failureOf, listenOn, openFor, remoteAt, textFrom } from './transport-kit.ts'

const echo = (): ReturnType<typeof createServer> => createServer(socket => socket.pipe(socket))
const silent = (): ReturnType<typeof createServer> => createServer(socket => socket.resume())

suite('a connection of a bridge over TCP', { timeout: 60_000 }, () => {
  test('is the plain socket, which carries bytes both ways', async t => {
    const { port } = await listenOn(t, echo())
    const stream = await openFor(t, remoteAt(`tcp://127.0.0.1:${port}`))
    assert.ok(stream instanceof Socket, 'its reads can be optimised')
    stream.write('hello')
    assert.equal(await textFrom(stream), 'hello')
  })

  test('reaches this machine by name and by the addresses that stand for all', async t => {
    const { port } = await listenOn(t, echo())
    for (const host of ['localhost', '0.0.0.0']) {
      const stream = await openFor(t, remoteAt(`mqtt://${host}:${port}`))
      stream.write(host)
      assert.equal(await textFrom(stream), host)
    }
  })

  test('keeps what comes before anyone reads', async t => {
    const { port } = await listenOn(
      t,
      createServer(socket => socket.end('early')),
    )
    const stream = await openFor(t, remoteAt(`tcp://127.0.0.1:${port}`))
    await new Promise(setImmediate)
    assert.equal(await textFrom(stream), 'early')
  })

  test('that breaks before its owner listens throws nothing, and tells it afterwards', async t => {
    const { port, sockets } = await listenOn(t, createServer())
    const stream = await openFor(t, remoteAt(`tcp://127.0.0.1:${port}`))
    const closed = new Promise(resolve => stream.once('close', resolve))
    stream.resume()
    while (sockets.size === 0) await new Promise(setImmediate)
    for (const socket of sockets) socket.resetAndDestroy()
    await closed
    assert.equal((stream.errored as NodeJS.ErrnoException).code, 'ECONNRESET')
  })

  test('is refused where nobody listens, with the address in the text', async () => {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    server.close()
    await once(server, 'close')
    const failure = await explained(remoteAt(`tcp://127.0.0.1:${port}`))
    assert.equal(failure.code, 'ERR_BRIDGE_REFUSED')
    assert.ok(
      failure.message.startsWith(
        `rule plant1: remote cloud (tcp://127.0.0.1:${port}): no broker accepts connections at 127.0.0.1:${port} (ECONNREFUSED)`,
      ),
      failure.message,
    )
    const both = await explained(remoteAt(`tcp://localhost:${port}`))
    assert.equal(both.code, 'ERR_BRIDGE_REFUSED', 'also when several addresses were tried')
  })

  test('to a name that does not exist is said to be a matter of names', async () => {
    const failure = await explained(remoteAt('tcp://broker.invalid:1883'))
    assert.equal(failure.code, 'ERR_BRIDGE_DNS')
    assert.match(failure.message, /broker\.invalid/)
  })

  test('is given up at once when the signal was aborted before, and nothing is dialled', async t => {
    const { port, sockets } = await listenOn(t, echo())
    const reason = new Error('enough')
    const failure = await failureOf(remoteAt(`tcp://127.0.0.1:${port}`), { signal: AbortSignal.abort(reason) })
    assert.equal(failure, reason)
    const stream = await openFor(t, remoteAt(`tcp://127.0.0.1:${port}`))
    stream.write('x')
    await textFrom(stream)
    assert.equal(sockets.size, 1)
  })

  test('stays when the signal is aborted after it was made', async t => {
    const { port } = await listenOn(t, echo())
    const controller = new AbortController()
    const stream = await openFor(t, remoteAt(`tcp://127.0.0.1:${port}`), { signal: controller.signal })
    controller.abort()
    stream.write('still here')
    assert.equal(await textFrom(stream), 'still here')
  })
})

for (const scheme of ['ssl', 'ws', 'wss']) {
  suite(`a server that takes the connection and is silent, over ${scheme}`, { timeout: 60_000 }, () => {
    test('costs the timeout and leaves no socket', async t => {
      const server = await listenOn(t, silent())
      const config = remoteAt(`${scheme}://127.0.0.1:${server.port}`, { timeoutMs: 150 })
      const failure = await failureOf(config)
      assert.ok(failure instanceof OpenTimeout, String(failure))
      assert.equal(failure.stage, scheme === 'ws' ? 'websocket' : 'tls')
      await server.deserted()
      const said = await explained(config)
      assert.equal(said.code, 'ERR_BRIDGE_TIMEOUT')
      assert.match(said.message, /handshake within 150ms \(remotes\[\]\.timeout\)/)
    })

    test('is left when the signal says so', async t => {
      const server = silent()
      const { port, deserted } = await listenOn(t, server)
      const controller = new AbortController()
      const reason = new Error('stopping')
      server.once('connection', () => setImmediate(() => controller.abort(reason)))
      const failure = await failureOf(remoteAt(`${scheme}://127.0.0.1:${port}`), { signal: controller.signal })
      assert.equal(failure, reason)
      await deserted()
    })
  })
}

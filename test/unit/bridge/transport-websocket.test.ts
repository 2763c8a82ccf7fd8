import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { createServer as createTcpServer } from 'node:net'
import { after, before, suite, type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { type WebSocket, WebSocketServer } from 'ws'
import { WebSocketClosed } from '../../../src/bridge/transport/index.ts'
import { makeTestCertificates, type TestCertificates } from '../../support/certs.ts'
import { explained, listenOn, openFor, remoteAt, textFrom } from './transport-kit.ts'

interface Taken {
  readonly ws: WebSocket
  readonly request: IncomingMessage
}

suite('a connection of a bridge over WebSocket', { timeout: 60_000 }, () => {
  let certs: TestCertificates
  before(async () => {
    certs = await makeTestCertificates()
  })
  after(() => certs.remove())

  /** A server, and whoever comes to it next. */
  async function serve(t: TestContext, { isSecure = false } = {}) {
    const server = isSecure ? createSecureServer(certs.server) : createServer()
    const sockets = new WebSocketServer({ server })
    const next = async (): Promise<Taken> => {
      const [ws, request] = (await once(sockets, 'connection')) as [WebSocket, IncomingMessage]
      return { ws, request }
    }
    return { ...(await listenOn(t, server)), next }
  }

  async function pair(t: TestContext) {
    const server = await serve(t)
    const [stream, { ws }] = await Promise.all([
      openFor(t, remoteAt(`ws://127.0.0.1:${server.port}/mqtt`)),
      server.next(),
    ])
    return { stream, ws, server }
  }

  test('asks for the path with the subprotocol of MQTT, and carries bytes both ways in binary frames', async t => {
    const server = await serve(t)
    const config = remoteAt(`ws://localhost:${server.port}/some/mqtt?token=1`)
    const [stream, { ws, request }] = await Promise.all([openFor(t, config), server.next()])
    assert.equal(request.url, '/some/mqtt?token=1')
    assert.equal(request.headers['sec-websocket-protocol'], 'mqtt')
    assert.equal(request.headers['sec-websocket-extensions'], undefined, 'nothing is compressed')
    assert.equal(request.headers.host, `localhost:${server.port}`)
    stream.write('hello')
    const [data, isBinary] = (await once(ws, 'message')) as [Buffer, boolean]
    assert.equal(data.toString(), 'hello')
    assert.equal(isBinary, true)
    ws.send(Buffer.from('welcome'))
    assert.equal(await textFrom(stream), 'welcome')
  })

  test('goes over TLS with the files of the configuration', async t => {
    const server = await serve(t, { isSecure: true })
    const address = `wss://127.0.0.1:${server.port}/mqtt`
    const config = remoteAt(address, { ca: 'ca.pem' })
    const [stream, { ws, request }] = await Promise.all([openFor(t, config, { baseDir: certs.dir }), server.next()])
    assert.equal(request.url, '/mqtt')
    ws.send(Buffer.from('welcome'))
    assert.equal(await textFrom(stream), 'welcome')
    const failure = await explained(remoteAt(address))
    assert.equal(failure.code, 'ERR_BRIDGE_TLS')
  })

  test('keeps the order of many writes', async t => {
    const { stream, ws } = await pair(t)
    const parts: Buffer[] = []
    ws.on('message', data => parts.push(data as Buffer))
    stream.cork()
    for (let i = 0; i < 1000; i++) stream.write(`${i},`)
    stream.uncork()
    stream.end()
    await once(ws, 'close')
    assert.equal(Buffer.concat(parts).toString(), Array.from({ length: 1000 }, (_, i) => `${i},`).join(''))
  })

  test('takes no more than a peer that does not read can take', async t => {
    const { stream, ws } = await pair(t)
    ws.pause()
    const chunk = Buffer.alloc(1024 * 1024, 'x')
    let written = 0
    let isFull = false
    const write = (): void => {
      stream.write(chunk, () => {
        written++
        if (written < 64) write()
      })
    }
    write()
    // Full when nothing moves any more for a while.
    for (let before = -1, quiet = 0; quiet < 30; ) {
      await new Promise(resolve => setTimeout(resolve, 10))
      quiet = written === before ? quiet + 1 : 0
      before = written
      isFull = written < 64
    }
    assert.ok(isFull, 'all of 64 MiB was taken')
    assert.ok(stream.writableLength <= chunk.length, `${stream.writableLength} bytes wait`)
    ws.resume()
    while (written < 64) await turn()
  })

  test('holds the peer up while nobody reads', async t => {
    const { stream, ws } = await pair(t)
    const chunk = Buffer.alloc(64 * 1024)
    const all = 1024
    let sent = 0
    const send = (): void => {
      if (sent === all) return
      ws.send(chunk, () => {
        sent++
        send()
      })
    }
    send()
    for (let before = -1, quiet = 0; quiet < 30; ) {
      await new Promise(resolve => setTimeout(resolve, 10))
      quiet = sent === before ? quiet + 1 : 0
      before = sent
    }
    assert.ok(sent < all, 'all of 64 MiB was read by nobody')
    let received = 0
    for await (const data of stream) {
      received += (data as Buffer).length
      if (received === all * chunk.length) break
    }
    assert.equal(received, all * chunk.length)
  })

  test('ends when the peer says goodbye, or is cut', async t => {
    for (const leave of [(ws: WebSocket) => ws.close(1000), (ws: WebSocket) => ws.terminate()]) {
      const { stream, ws } = await pair(t)
      ws.send(Buffer.from('last words'))
      const ended = once(stream, 'end')
      assert.equal(await textFrom(stream), 'last words')
      leave(ws)
      await ended
    }
  })

  test('ends with what the peer complains of', async t => {
    const { stream, ws } = await pair(t)
    ws.close(1008, 'not today')
    const [failure] = (await once(stream, 'error')) as [Error]
    assert.ok(failure instanceof WebSocketClosed, failure.message)
    assert.equal(failure.closeCode, 1008)
    assert.equal(failure.reason, 'not today')
  })

  test('that is reset says so', async t => {
    const { stream, server } = await pair(t)
    stream.resume()
    for (const socket of server.sockets) socket.resetAndDestroy()
    const [failure] = (await once(stream, 'error')) as [NodeJS.ErrnoException]
    assert.equal(failure.code, 'ECONNRESET')
  })

  test('takes no text', async t => {
    const { stream, ws, server } = await pair(t)
    ws.send('text')
    const [[failure], [closeCode]] = (await Promise.all([once(stream, 'error'), once(ws, 'close')])) as [
      [Error & { code: string }],
      [number],
    ]
    assert.equal(failure.code, 'ERR_BRIDGE_PROTOCOL')
    assert.match(failure.message, /text frame/)
    assert.equal(closeCode, 1003)
    await server.deserted()
  })

  test('leaves no socket when it is destroyed', async t => {
    const { stream, server } = await pair(t)
    stream.destroy()
    await server.deserted()
  })

  const answers: [status: number, code: string, expected: RegExp][] = [
    [200, 'ERR_BRIDGE_PROTOCOL', /HTTP 200 OK: check the path \/mqtt and the port/],
    [302, 'ERR_BRIDGE_PROTOCOL', /HTTP 302 Found to \/elsewhere: redirects are not followed/],
    [401, 'ERR_BRIDGE_AUTH', /HTTP 401 Unauthorized/],
    [404, 'ERR_BRIDGE_PROTOCOL', /HTTP 404 Not Found: check the path \/mqtt/],
    [503, 'ERR_BRIDGE_UNAVAILABLE', /HTTP 503 Service Unavailable/],
  ]
  for (const [status, code, expected] of answers) {
    test(`is explained when the server answers with ${status}, and no socket is left`, async t => {
      const answer = (_: IncomingMessage, response: ServerResponse): void => {
        response.writeHead(status, { location: '/elsewhere' }).write('a page that goes on')
      }
      const http = createServer(answer).on('upgrade', (_request: IncomingMessage, socket) => {
        socket.write(`HTTP/1.1 ${status} ${STATUS_TEXTS[status]}\r\nlocation: /elsewhere\r\n\r\nan endless page`)
        socket.on('end', () => socket.end()).resume()
      })
      const server = await listenOn(t, http)
      const failure = await explained(remoteAt(`ws://127.0.0.1:${server.port}/mqtt`))
      assert.equal(failure.code, code)
      assert.match(failure.message, expected)
      await server.deserted()
    })
  }

  test('to a server that speaks something else is explained', async t => {
    for (const [say, expected] of [
      [
        '\x20\x02\x00\x05',
        /the WebSocket handshake failed: Parse Error.*: check that port \d+ is its port for MQTT over/,
      ],
      ['', /closed the connection during the WebSocket handshake/],
      [
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n',
        /the WebSocket handshake failed: Invalid Sec-WebSocket-Accept header/,
      ],
    ] as const) {
      const server = await listenOn(
        t,
        createTcpServer(socket => socket.once('data', () => socket.end(say)).resume()),
      )
      const failure = await explained(remoteAt(`ws://127.0.0.1:${server.port}/mqtt`))
      assert.equal(failure.code, 'ERR_BRIDGE_PROTOCOL', failure.message)
      assert.match(failure.message, expected)
      await server.deserted()
    }
  })
})

const STATUS_TEXTS: Readonly<Record<number, string>> = {
  200: 'OK',
  302: 'Found',
  401: 'Unauthorized',
  404: 'Not Found',
  503: 'Service Unavailable',
}

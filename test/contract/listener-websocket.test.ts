/** What listeners with WebSockets do beyond the contract. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { describe, test } from 'node:test'
import websocketStream from 'websocket-stream'
import { WebSocket } from 'ws'
import {
  closed,
  echo,
  hostAndPort,
  openSocket,
  openWebSocket,
  readBytes,
  readToEnd,
  startListener,
  untilStill,
} from './listener-harness.ts'

const LIMIT = { timeout: 20_000 }
const UPGRADE = [
  'GET /mqtt HTTP/1.1',
  'Host: localhost',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
]
const upgradeText = (...headers: string[]): string => `${[...UPGRADE, ...headers].join('\r\n')}\r\n\r\n`

/** A frame as clients have to send it, masked. */
function frame(first: number, payload: Buffer): Buffer {
  const mask = randomBytes(4)
  const length = payload.length
  const head = length < 126 ? [first, 0x80 | length] : [first, 0xfe, length >> 8, length & 255]
  return Buffer.concat([Buffer.from(head), mask, payload.map((byte, i) => byte ^ (mask[i & 3] as number))])
}

/** Reads the answer to an upgrade request up to its empty line. */
async function readHead(socket: Duplex): Promise<string> {
  let text = ''
  while (!text.endsWith('\r\n\r\n')) text += (await readBytes(socket, 1)).toString('latin1')
  return text
}

/** Upgrades by hand, to say byte for byte what is sent. */
async function upgraded(t: Parameters<typeof openSocket>[0], url: string): Promise<Socket> {
  const socket = await openSocket(t, url)
  const head = readAnswer(socket)
  socket.write(upgradeText('Sec-WebSocket-Protocol: mqtt'))
  assert.match(await head, /^HTTP\/1\.1 101 /)
  return socket
}

/** Reads the answer as one chunk: the server has nothing else to say yet. */
async function readAnswer(socket: Socket): Promise<string> {
  const [chunk] = (await once(socket, 'data')) as [Buffer]
  return chunk.toString('latin1')
}

describe('WebSockets', () => {
  const protocols: [offered: string[], selected: string][] = [
    [['mqtt'], 'mqtt'],
    [['mqttv3.1'], 'mqttv3.1'],
    [['mqttv3.1', 'mqtt'], 'mqtt'],
    [['chat', 'mqtt'], 'mqtt'],
    [[], ''],
  ]
  for (const [offered, selected] of protocols) {
    test(`of the subprotocols [${offered.join()}] it is ${selected || 'none'}`, LIMIT, async t => {
      const { listener, next } = await startListener(t, 'ws', { onAccept: echo })
      const ws = await openWebSocket(t, listener.url, { protocols: offered })
      assert.equal(ws.protocol, selected)
      assert.equal(ws.extensions, '')
      const answer = once(ws, 'message')
      ws.send(Buffer.from('hello'))
      const [data, isBinary] = (await answer) as [Buffer, boolean]
      assert.equal(data.toString(), 'hello')
      assert.ok(isBinary)
      assert.equal((await next()).request?.headers.upgrade, 'websocket')
    })
  }

  test('a client that offers neither is taken without one', LIMIT, async t => {
    const { listener, next } = await startListener(t, 'ws')
    const socket = await openSocket(t, listener.url)
    socket.write(upgradeText('Sec-WebSocket-Protocol: chat'))
    const head = await readAnswer(socket)
    assert.match(head, /^HTTP\/1\.1 101 /)
    assert.doesNotMatch(head, /sec-websocket-protocol/i)
    await next()
  })

  test('websocket-stream, an old client, is served', LIMIT, async t => {
    const { listener, next } = await startListener(t, 'ws', { onAccept: echo })
    for (const protocol of ['mqtt', 'mqttv3.1', []]) {
      const client = websocketStream(listener.url, protocol) as Duplex
      t.after(() => {
        client.destroy()
      })
      const bytes = randomBytes(300_000)
      client.write(bytes)
      assert.ok((await readBytes(client, bytes.length)).equals(bytes))
      client.end()
      await closed((await next()).stream)
    }
  })

  test('any path is accepted and compression is not', LIMIT, async t => {
    const { listener, next } = await startListener(t, 'ws')
    for (const path of ['/', '/mqtt', '/not/exist?really=1']) {
      const ws = new WebSocket(`${listener.url}${path}`, ['mqtt'], { perMessageDeflate: true })
      t.after(() => ws.terminate())
      await once(ws, 'open')
      assert.equal(ws.extensions, '')
      assert.equal((await next()).request?.url, path)
    }
  })

  test('bytes mean the same however they are cut into frames', LIMIT, async t => {
    const { listener, next } = await startListener(t, 'ws')
    const socket = await upgraded(t, listener.url)
    const { stream } = await next()
    const expected = Buffer.from('one two three four five')
    const received = readBytes(stream, expected.length)
    const frames = Buffer.concat([
      frame(0x82, Buffer.from('one two')),
      frame(0x82, Buffer.alloc(0)),
      frame(0x02, Buffer.from(' thr')),
      frame(0x89, Buffer.from('ping')),
      frame(0x00, Buffer.from('e')),
      frame(0x80, Buffer.from('e')),
      frame(0x82, Buffer.from(' four five')),
    ])
    for (const byte of frames) {
      socket.write(Buffer.of(byte))
      await new Promise(resolve => setImmediate(resolve))
    }
    assert.deepEqual(await received, expected)
    // The ping was answered meanwhile.
    assert.deepEqual(await readBytes(socket, 6), Buffer.concat([Buffer.of(0x8a, 4), Buffer.from('ping')]))
  })

  test('frames that come together with the upgrade are not lost', LIMIT, async t => {
    const { listener, next } = await startListener(t, 'ws')
    const socket = await openSocket(t, listener.url)
    socket.write(Buffer.concat([Buffer.from(upgradeText()), frame(0x82, Buffer.from('early'))]))
    assert.equal((await readBytes((await next()).stream, 5)).toString(), 'early')
  })

  test('each write is one binary frame, also when several wait', LIMIT, async t => {
    const { listener, next } = await startListener(t, 'ws')
    const ws = await openWebSocket(t, listener.url)
    const { stream } = await next()
    const sizes = [1, 125, 126, 65_535, 65_536, 200_000]
    const frames: number[] = []
    const done = new Promise<void>(resolve => {
      ws.on('message', (data: Buffer, isBinary) => {
        assert.ok(isBinary)
        if (frames.push(data.length) === 2 * sizes.length) resolve()
      })
    })
    stream.cork()
    for (const size of sizes) stream.write(Buffer.alloc(size))
    stream.uncork()
    for (const size of sizes) stream.write(Buffer.alloc(size))
    await done
    assert.deepEqual(frames, [...sizes, ...sizes])
  })

  test('a write that the kernel takes is done at once', LIMIT, async t => {
    const { listener, next } = await startListener(t, 'ws')
    await openWebSocket(t, listener.url)
    const { stream } = await next()
    for (let i = 0; i < 10; i++) {
      assert.ok(stream.write(Buffer.alloc(100)))
      assert.equal(stream.writableLength, 0)
    }
  })

  test('a text frame is answered by close code 1003', LIMIT, async t => {
    const { listener, next } = await startListener(t, 'ws')
    for (const text of ['hello', '']) {
      const ws = await openWebSocket(t, listener.url)
      const { stream } = await next()
      const failure = once(stream, 'error')
      const code = once(ws, 'close')
      ws.send(text)
      assert.equal(((await failure) as [{ code: string }])[0].code, 'ERR_PROTOCOL_WEBSOCKET')
      assert.ok(stream.destroyed)
      assert.equal(((await code) as [number])[0], 1003)
    }
  })

  const violations: [name: string, bytes: Buffer, code: number][] = [
    ['a frame without a mask', Buffer.of(0x82, 1, 0), 1002],
    ['a reserved bit', frame(0xc2, Buffer.of(1)), 1002],
    ['an unknown opcode', frame(0x83, Buffer.of(1)), 1002],
    ['a continuation of nothing', frame(0x80, Buffer.of(1)), 1002],
    ['a fragmented ping', frame(0x09, Buffer.of(1)), 1002],
    ['a message beyond the limit', Buffer.of(0x82, 0xff, 0, 0, 0, 0, 0, 16, 0, 1), 1009],
    ['a message of 2^63 bytes', Buffer.of(0x82, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255), 1009],
  ]
  for (const [name, bytes, code] of violations) {
    test(`${name} is answered by close code ${code}`, LIMIT, async t => {
      const { listener, next } = await startListener(t, 'ws', { onAccept: echo })
      const socket = await upgraded(t, listener.url)
      const { stream } = await next()
      const answer = readBytes(socket, 4)
      const ended = closed(stream)
      socket.write(bytes)
      await ended
      const [first, length, high, low] = await answer
      assert.deepEqual([first, (length ?? 0) >= 2], [0x88, true])
      assert.equal(((high ?? 0) << 8) | (low ?? 0), code)
    })
  }

  test('the limit of a message is a choice', LIMIT, async t => {
    const { listener, next } = await startListener(t, 'ws', { maxFrameBytes: () => 1000 })
    const ws = await openWebSocket(t, listener.url)
    const { stream } = await next()
    const received = readBytes(stream, 1000)
    ws.send(Buffer.alloc(1000))
    await received
    const closing = once(ws, 'close')
    ws.send(Buffer.alloc(1001))
    assert.equal(((await closing) as [number])[0], 1009)
  })

  test('a message in countless pieces is refused', LIMIT, async t => {
    const { listener, next } = await startListener(t, 'ws')
    const socket = await upgraded(t, listener.url)
    const { stream } = await next()
    const ended = closed(stream)
    const piece = frame(0x00, Buffer.of(1))
    socket.write(frame(0x02, Buffer.of(1)))
    socket.write(Buffer.concat(Array.from({ length: 10_000 }, () => piece)))
    await ended
  })

  test('end says goodbye with code 1000, and destroy does not', LIMIT, async t => {
    const { listener, next } = await startListener(t, 'ws')
    for (const isGraceful of [true, false]) {
      const ws = await openWebSocket(t, listener.url)
      const { stream } = await next()
      const closing = once(ws, 'close')
      if (isGraceful) stream.resume().end()
      else stream.destroy()
      assert.equal(((await closing) as [number])[0], isGraceful ? 1000 : 1006)
      await closed(stream)
    }
  })

  test('a close frame of the peer ends the stream, also of an owner who does not read', LIMIT, async t => {
    const { listener, next } = await startListener(t, 'ws')
    for (const isRead of [true, false]) {
      const ws = await openWebSocket(t, listener.url)
      const { stream } = await next()
      if (isRead) stream.resume()
      const ended = once(stream, 'end')
      const closing = once(ws, 'close')
      ws.close(1000)
      assert.equal(((await closing) as [number])[0], 1000)
      await ended
      await closed(stream)
    }
  })

  test('a peer that does not answer the goodbye can be cut off', LIMIT, async t => {
    const { listener, next } = await startListener(t, 'ws')
    const socket = await upgraded(t, listener.url)
    const { stream } = await next()
    stream.resume().end()
    await once(stream, 'finish')
    await readBytes(socket, 4)
    assert.ok(!stream.closed)
    stream.destroy()
    await Promise.all([closed(stream), closed(socket.resume())])
  })

  test('stop cuts off who was told of a violation and does not go', LIMIT, async t => {
    const { listener, next } = await startListener(t, 'ws')
    const socket = await upgraded(t, listener.url)
    const { stream } = await next()
    const ended = closed(stream)
    socket.write(frame(0x81, Buffer.from('text')))
    await Promise.all([ended, readBytes(socket, 4)])
    await listener.stop()
    await closed(socket.resume())
  })

  test('the writes of a flood are bounded by what the peer reads', LIMIT, async t => {
    const { listener, next } = await startListener(t, 'ws')
    const ws = await openWebSocket(t, listener.url)
    const { stream, peer } = await next()
    assert.equal(peer.transport, 'ws')
    ws.pause()
    let sent = 0
    const pump = (): void => {
      while (sent < 64 * 1024 * 1024) {
        sent += 16_384
        if (!stream.write(Buffer.alloc(16_384))) return
      }
    }
    stream.on('drain', pump)
    pump()
    await untilStill(() => sent)
    assert.ok(sent < 64 * 1024 * 1024 && stream.writableLength > 0)
    assert.ok(stream.writableLength <= 65_536, `${stream.writableLength} bytes wait`)
    let received = 0
    ws.on('message', (data: Buffer) => {
      received += data.length
      if (received >= sent) ws.terminate()
    })
    ws.resume()
    await closed(stream)
    assert.equal(received, 64 * 1024 * 1024)
  })
})

describe('HTTP on a WebSocket port', () => {
  test('a request that is no upgrade is told that it has to be one', LIMIT, async t => {
    const { listener, accepted, logged } = await startListener(t, 'ws')
    for (const method of ['GET', 'POST', 'HEAD', 'OPTIONS']) {
      const asked = request({ ...hostAndPort(listener.url), method, path: '/mqtt', agent: false })
      asked.end(method === 'POST' ? 'body' : undefined)
      const [response] = await once(asked, 'response')
      assert.equal(response.statusCode, 426)
      assert.equal(response.headers.upgrade, 'websocket')
      let body = ''
      for await (const chunk of response) body += chunk
      assert.equal(body.includes('WebSocket'), method !== 'HEAD')
    }
    assert.equal(accepted.length, 0)
    const { level, fields } = await logged('listener.handshake_failed')
    assert.equal(level, 'debug')
    assert.equal(fields['address'], '127.0.0.1')
  })

  const refused: [name: string, text: string, answer: RegExp][] = [
    ['an upgrade to something else', upgradeText().replace('Upgrade: websocket', 'Upgrade: h2c'), /^HTTP\/1\.1 400 /],
    ['an upgrade without a key', upgradeText().replace(/Sec-WebSocket-Key.*\r\n/, ''), /^HTTP\/1\.1 400 /],
    ['an old version of WebSocket', upgradeText().replace('Version: 13', 'Version: 7'), /^HTTP\/1\.1 400 /],
    ['an upgrade by POST', upgradeText().replace('GET', 'POST'), /^HTTP\/1\.1 405 /],
    ['a subprotocol list that is none', upgradeText('Sec-WebSocket-Protocol: ,,'), /^HTTP\/1\.1 400 /],
    ['an MQTT packet', '\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0', /^HTTP\/1\.1 400 /],
    ['a request without a host', 'GET / HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['headers beyond the limit', upgradeText(`X: ${'x'.repeat(20_000)}`), /^HTTP\/1\.1 4\d\d /],
  ]
  for (const [name, text, answer] of refused) {
    test(`${name} is refused`, LIMIT, async t => {
      const { listener, accepted, lines } = await startListener(t, 'ws')
      lines.length = 0
      const socket = await openSocket(t, listener.url)
      socket.write(text, 'latin1')
      assert.match((await readToEnd(socket)).toString('latin1'), answer)
      assert.equal(accepted.length, 0)
      await untilStill(() => lines.length)
      assert.deepEqual(
        lines.map(line => [line.level, line.event]),
        [['debug', 'listener.handshake_failed']],
      )
      await openWebSocket(t, listener.url)
    })
  }

  test('who says nothing, or says it too slowly, is closed', LIMIT, async t => {
    const { listener, logged, accepted } = await startListener(t, 'ws', { handshakeTimeoutMs: 150 })
    const silent = await openSocket(t, listener.url)
    const slow = await openSocket(t, listener.url)
    const text = upgradeText('X: x')
    let at = 0
    const timer = setInterval(() => slow.write(text.slice(at, ++at)), 5)
    t.after(() => clearInterval(timer))
    await Promise.all([readToEnd(silent), readToEnd(slow)])
    assert.ok(at < text.length, 'the request was complete')
    assert.equal((await logged('listener.handshake_failed')).fields['error'], 'it took too long')
    assert.equal(accepted.length, 0)
    // Who is through in time may be silent afterwards.
    const ws = await openWebSocket(t, listener.url)
    await new Promise(resolve => setTimeout(resolve, 300))
    assert.equal(ws.readyState, WebSocket.OPEN)
  })

  test('the hub may be full by the time a handshake is done', LIMIT, async t => {
    const { listener, accepted } = await startListener(t, 'ws', {
      maxConnections: () => accepted === undefined || accepted.length < 1,
    })
    const first = await openSocket(t, listener.url)
    const second = await openSocket(t, listener.url)
    for (const socket of [first, second]) socket.write(upgradeText().slice(0, 20))
    first.write(upgradeText().slice(20))
    assert.match(await readHead(first), /^HTTP\/1\.1 101 /)
    second.write(upgradeText().slice(20))
    await readToEnd(second)
    assert.equal(listener.refused, 1)
    assert.equal(accepted.length, 1)
  })
})

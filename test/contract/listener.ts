/** What every listener does, whatever the transport. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { createListener, type ListenerOptions } from '../../src/broker/listeners/index.ts'
import { silentLogger } from '../../src/common/index.ts'
import { makeTestCertificates, type TestCertificates } from '../support/certs.ts'
import {
  addressOf,
  type Cleanup,
  closed,
  echo,
  materialOf,
  openClient,
  openSocket,
  readBytes,
  readToEnd,
  type Scheme,
  startListener,
  type TestListener,
  type TestListenerOptions,
  untilStill,
} from './listener-harness.ts'

const MIB = 1024 * 1024
/** More than the kernel keeps for a connection on loopback, so that a reader who does not read is felt. */
const MUCH = 24 * MIB

const LIMIT = { timeout: 20_000 }

export function listenerContract(scheme: Scheme): void {
  describe(`a listener on ${scheme}`, () => {
    let certificates: TestCertificates
    before(async () => {
      certificates = await makeTestCertificates()
    })
    after(() => certificates.remove())

    const isSecure = scheme === 'tls' || scheme === 'wss'
    const tls = (): Partial<ListenerOptions> => (isSecure ? { tls: materialOf(certificates) } : {})
    const start = (t: Cleanup, options: TestListenerOptions = {}): Promise<TestListener> =>
      startListener(t, scheme, { ...tls(), ...options })
    const open = (t: Cleanup, { listener }: TestListener): Promise<Duplex> =>
      openClient(t, listener.url, isSecure ? { ca: certificates.ca } : {})

    test('carries bytes both ways and says who the peer is', LIMIT, async t => {
      const server = await start(t, { onAccept: echo })
      const client = await open(t, server)
      client.write('hello')
      assert.equal((await readBytes(client, 5)).toString(), 'hello')

      const { peer } = await server.next()
      assert.equal(peer.transport, scheme)
      assert.equal(peer.listener, server.listener.url)
      assert.equal(peer.certificate, null)
      assert.equal(peer.address, scheme === 'unix' ? '' : '127.0.0.1')
      assert.equal(peer.port > 0, scheme !== 'unix')
    })

    test('keeps what was learned of a peer when it is gone', LIMIT, async t => {
      const server = await start(t)
      const client = await open(t, server)
      const { stream, peer } = await server.next()
      const before = [peer.address, peer.port]
      client.resume()
      stream.destroy()
      await Promise.all([closed(stream), closed(client)])
      assert.deepEqual([peer.address, peer.port], before)
    })

    test('tells the port it got', LIMIT, async t => {
      const { listener, logged } = await start(t)
      assert.deepEqual((await logged('listener.started')).fields, { listener: listener.url })
      if (scheme === 'unix') assert.equal(listener.url, listener.address.url)
      else assert.match(listener.url, new RegExp(`^${scheme}://127\\.0\\.0\\.1:[1-9]\\d+$`))
    })

    test('gives bytes on as they come, also one at a time', LIMIT, async t => {
      const server = await start(t, { onAccept: echo })
      const client = await open(t, server)
      const bytes = randomBytes(50)
      for (const byte of bytes) {
        client.write(Buffer.of(byte))
        assert.deepEqual(await readBytes(client, 1), Buffer.of(byte))
      }
    })

    test('echoes a megabyte in one write', LIMIT, async t => {
      const server = await start(t, { onAccept: echo })
      const client = await open(t, server)
      const bytes = randomBytes(MIB)
      const received = readBytes(client, MIB)
      client.write(bytes)
      assert.ok((await received).equals(bytes))
    })

    test('keeps little for a peer that does not read, and loses nothing', LIMIT, async t => {
      let most = 0
      const server = await start(t, {
        onAccept: ({ stream }) => {
          echo({ stream })
          stream.on('data', () => {
            most = Math.max(most, stream.writableLength + stream.readableLength)
          })
        },
      })
      const client = await open(t, server)
      const bytes = randomBytes(MUCH)
      for (let at = 0; at < MUCH; at += 65_536) client.write(bytes.subarray(at, at + 65_536))
      const held = await untilStill(() => client.writableLength)
      assert.ok(held > 0, 'the client could write everything although nobody reads')
      assert.ok(most > 0 && most <= MIB, `the server held ${most} bytes`)

      assert.ok((await readBytes(client, MUCH)).equals(bytes))
      assert.ok(most <= MIB, `the server held ${most} bytes`)
    })

    test('stops reading when its owner does', LIMIT, async t => {
      const server = await start(t, { onAccept: ({ stream }) => stream.pause() })
      const client = await open(t, server)
      const { stream } = await server.next()
      // One chunk is read, the rest has to wait.
      stream.once('data', () => stream.pause()).resume()
      const bytes = randomBytes(MUCH)
      for (let at = 0; at < MUCH; at += 65_536) client.write(bytes.subarray(at, at + 65_536))
      const held = await untilStill(() => client.writableLength)
      assert.ok(held > 0, 'the client could write everything although nobody reads')
      assert.ok(stream.readableLength <= MIB, `the server holds ${stream.readableLength} bytes`)

      let size = 0
      stream.on('data', (chunk: Buffer) => {
        size += chunk.length
      })
      stream.resume()
      client.end()
      await once(stream, 'end')
      assert.ok(size > 0 && size >= held, `${size} bytes came`)
    })

    test('asks to wait, tells when to go on and when a write is done', LIMIT, async t => {
      const server = await start(t)
      const client = await open(t, server)
      const { stream } = await server.next()
      const chunk = randomBytes(65_536)
      let written = 0
      let sent = 0
      while (sent < MUCH && stream.write(chunk, () => written++)) {
        sent += chunk.length
        await new Promise(resolve => setImmediate(resolve))
      }
      assert.ok(sent < MUCH, 'a peer that does not read is never full')
      assert.ok(stream.writableLength > 0 && stream.writableNeedDrain)
      const drained = once(stream, 'drain')
      client.resume()
      await drained
      assert.equal(stream.writableLength, 0)
      assert.ok(written > 0)
      await new Promise<void>((resolve, reject) =>
        stream.write(chunk, failure => (failure ? reject(failure) : resolve())),
      )
    })

    test('sends several writes of one turn in their order', LIMIT, async t => {
      const server = await start(t)
      const client = await open(t, server)
      const { stream } = await server.next()
      const parts = Array.from({ length: 200 }, (_, i) => Buffer.alloc(1 + ((i * 97) % 3000), i))
      const all = Buffer.concat(parts)
      const received = readBytes(client, all.length)
      stream.cork()
      for (const part of parts.slice(0, 100)) stream.write(part)
      stream.uncork()
      for (const part of parts.slice(100)) stream.write(part)
      assert.ok((await received).equals(all))
    })

    test('ends after everything is sent', LIMIT, async t => {
      const bytes = randomBytes(MIB)
      const server = await start(t)
      const client = await open(t, server)
      const { stream } = await server.next()
      let closes = 0
      stream.on('close', () => closes++)
      const received = readToEnd(client)
      stream.resume()
      stream.end(bytes)
      assert.ok((await received).equals(bytes))
      await closed(stream)
      assert.equal(closes, 1)
    })

    test('destroy cuts the connection at once', LIMIT, async t => {
      const server = await start(t)
      const client = await open(t, server)
      const { stream } = await server.next()
      let closes = 0
      stream.on('close', () => closes++)
      client.resume()
      stream.destroy()
      stream.destroy()
      await Promise.all([closed(stream), closed(client)])
      assert.equal(closes, 1)
      assert.ok(!stream.write('too late'))
    })

    test('destroy needs no patience with a peer that does not read', LIMIT, async t => {
      const server = await start(t)
      const client = await open(t, server)
      const { stream } = await server.next()
      client.pause()
      stream.write(Buffer.alloc(MUCH))
      stream.destroy()
      await closed(stream)
    })

    test('sees the peer go, in good order or not', LIMIT, async t => {
      const server = await start(t)
      for (const leave of [(client: Duplex) => client.end(), (client: Duplex) => client.destroy()]) {
        const client = await open(t, server)
        const { stream } = await server.next()
        let closes = 0
        stream.on('close', () => closes++)
        stream.resume()
        client.resume()
        leave(client)
        await closed(stream)
        await new Promise(resolve => setImmediate(resolve))
        assert.equal(closes, 1)
      }
    })

    test('what the peer sent before it went is still read', LIMIT, async t => {
      const server = await start(t)
      const client = await open(t, server)
      const { stream } = await server.next()
      client.end('goodbye')
      assert.equal((await readToEnd(stream)).toString(), 'goodbye')
    })

    test('writing to a peer that is gone closes the connection and nothing else', LIMIT, async t => {
      const server = await start(t)
      const client = await open(t, server)
      const { stream } = await server.next()
      client.destroy()
      const timer = setInterval(() => stream.write(randomBytes(65_536)), 5)
      t.after(() => clearInterval(timer))
      await closed(stream)
    })

    test('what accept throws ends that connection only', LIMIT, async t => {
      const problem = new Error('no')
      let calls = 0
      const server = await start(t, {
        onAccept: accepted => {
          if (calls++ === 0) throw problem
          echo(accepted)
        },
      })
      await closed((await open(t, server)).resume())
      assert.equal((await server.logged('listener.accept_threw')).fields['error'], problem)
      const client = await open(t, server)
      client.write('on')
      assert.equal((await readBytes(client, 2)).toString(), 'on')
    })

    test('turns connections away beyond the limit, and says so once', LIMIT, async t => {
      const server = await start(t, { maxConnections: () => server === undefined || server.accepted.length < 1 })
      await open(t, server)
      await server.next()
      for (let i = 0; i < 5; i++) await closed((await openSocket(t, server.listener.url)).resume())
      assert.equal(server.listener.refused, 5)
      assert.equal(server.accepted.length, 1)
      const lines = server.lines.filter(line => line.event === 'listener.refused')
      assert.deepEqual(
        lines.map(line => line.fields),
        [{ listener: server.listener.url, count: 1, refused: 1 }],
      )
    })

    test('stop closes the port and leaves connections to their owner', LIMIT, async t => {
      const server = await start(t, { onAccept: echo })
      const client = await open(t, server)
      await server.next()
      await server.listener.stop()
      await server.listener.stop()
      await assert.rejects(openSocket(t, server.listener.url), { code: scheme === 'unix' ? 'ENOENT' : 'ECONNREFUSED' })
      client.write('still here')
      assert.equal((await readBytes(client, 10)).toString(), 'still here')
      if (scheme === 'unix') return
      // The port is free for another one.
      const { port } = new URL(server.listener.url)
      await startListener(t, 'tcp', { address: { port: Number(port) } })
    })

    test('an address in use is said so', LIMIT, async t => {
      const { listener } = await start(t)
      const options = { ...tls(), accept: () => {}, maxConnections: () => true, log: silentLogger }
      const taken =
        scheme === 'unix' ? listener.address : addressOf(scheme, { port: Number(new URL(listener.url).port) })
      const other = createListener(taken, options)
      await assert.rejects(other.start(new AbortController().signal), (failure: Error & { code: string }) => {
        assert.equal(failure.code, 'ERR_LISTEN_ADDRESS_IN_USE')
        assert.ok(failure.message.includes(taken.url), failure.message)
        return true
      })
    })

    test('does not start when that is called off', LIMIT, async t => {
      const { listener } = await start(t)
      const aborted = createListener(scheme === 'unix' ? listener.address : addressOf(scheme), {
        ...tls(),
        accept: () => {},
        maxConnections: () => true,
        log: silentLogger,
      })
      await assert.rejects(aborted.start(AbortSignal.abort(new Error('called off'))), /called off/)
      const controller = new AbortController()
      if (scheme !== 'unix') {
        const starting = aborted.start(controller.signal)
        controller.abort(new Error('called off'))
        await assert.rejects(starting, /called off/)
        await assert.rejects(openSocket(t, aborted.url), { code: 'ECONNREFUSED' })
      }
    })
  })
}

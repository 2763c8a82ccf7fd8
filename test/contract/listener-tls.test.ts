/** What listeners with TLS do beyond the contract, on both transports that have it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { connect } from 'node:tls'
import { createListeners } from '../../src/broker/listeners/index.ts'
import { makeCertificates } from '../../src/certs/index.ts'
import { silentLogger } from '../../src/common/index.ts'
import { makeTestCertificates, type TestCertificates } from '../support/certs.ts'
import {
  addressOf,
  closed,
  echo,
  hostAndPort,
  materialOf,
  openClient,
  openSocket,
  readBytes,
  readToEnd,
  startListener,
} from './listener-harness.ts'

const LIMIT = { timeout: 20_000 }

for (const scheme of ['tls', 'wss'] as const) {
  describe(`TLS below ${scheme}`, () => {
    let ours: TestCertificates
    let theirs: TestCertificates
    before(async () => {
      const names = ['device.example.com', '192.0.2.7', '2001:db8::7', 'me@example.com', 'urn:x,DNS:admin']
      ours = await makeTestCertificates([{ commonName: 'device-1', alternativeNames: names }])
      theirs = await makeTestCertificates([{ commonName: 'device-1' }])
    })
    after(() => {
      ours.remove()
      theirs.remove()
    })

    test('a certificate that verifies says who the peer is', LIMIT, async t => {
      const { listener, next } = await startListener(t, scheme, { tls: materialOf(ours, true), onAccept: echo })
      const client = await openClient(t, listener.url, { ca: ours.ca, pair: ours.client('device-1') })
      client.write('hello')
      await readBytes(client, 5)
      const { peer, stream } = await next()
      const expected = {
        commonName: 'device-1',
        alternativeNames: ['device.example.com', '192.0.2.7', '2001:db8::7', 'me@example.com', 'urn:x,DNS:admin'],
      }
      assert.deepEqual(peer.certificate, expected)
      stream.destroy()
      await closed(stream)
      assert.deepEqual(peer.certificate, expected)
    })

    test('a peer without a certificate is let in as nobody', LIMIT, async t => {
      const { listener, next } = await startListener(t, scheme, { tls: materialOf(ours, true), onAccept: echo })
      const client = await openClient(t, listener.url, { ca: ours.ca })
      client.write('hello')
      await readBytes(client, 5)
      assert.equal((await next()).peer.certificate, null)
    })

    test("a certificate of somebody else's authority is turned away", LIMIT, async t => {
      const { listener, accepted, logged } = await startListener(t, scheme, { tls: materialOf(ours, true) })
      const pair = theirs.client('device-1')
      const socket = connect({ ...hostAndPort(listener.url), ca: ours.ca, ...pair })
      socket.on('error', () => {}).resume()
      t.after(() => {
        socket.destroy()
      })
      await closed(socket)
      assert.equal(accepted.length, 0)
      const { level, fields } = await logged('listener.handshake_failed')
      assert.equal(level, 'debug')
      assert.equal(fields['address'], '127.0.0.1')
      assert.match(String(fields['error']), /UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|SIGNATURE/)
      // Nor when the session is resumed.
      await assert.rejects(openClient(t, listener.url, { ca: ours.ca, pair }).then(client => readBytes(client, 1)))
    })

    test('an expired certificate is turned away', LIMIT, async t => {
      const longAgo = new Date(Date.now() - 10 * 24 * 3600 * 1000)
      await makeCertificates({ dir: ours.dir, clients: [{ commonName: 'late' }], days: 1, now: longAgo })
      const { listener, accepted, logged } = await startListener(t, scheme, { tls: materialOf(ours, true) })
      const socket = connect({ ...hostAndPort(listener.url), ca: ours.ca, ...ours.client('late') })
      socket.on('error', () => {}).resume()
      t.after(() => {
        socket.destroy()
      })
      await closed(socket)
      assert.equal((await logged('listener.handshake_failed')).fields['error'], 'CERT_HAS_EXPIRED')
      assert.equal(accepted.length, 0)
    })

    test('the certificate of a server is none of a client', LIMIT, async t => {
      const { listener, accepted } = await startListener(t, scheme, { tls: materialOf(ours, true) })
      const socket = connect({ ...hostAndPort(listener.url), ca: ours.ca, ...ours.server })
      socket.on('error', () => {}).resume()
      t.after(() => {
        socket.destroy()
      })
      await closed(socket)
      assert.equal(accepted.length, 0)
    })

    test('without an authority of ours certificates of clients mean nothing', LIMIT, async t => {
      const { listener, next } = await startListener(t, scheme, { tls: materialOf(ours), onAccept: echo })
      for (const made of [ours, theirs]) {
        const client = await openClient(t, listener.url, { ca: ours.ca, pair: made.client('device-1') })
        client.write('hello')
        await readBytes(client, 5)
        assert.equal((await next()).peer.certificate, null)
      }
    })

    test('a session that is resumed is still that of the certificate', LIMIT, async t => {
      const { listener, next } = await startListener(t, 'tls', { tls: materialOf(ours, true), onAccept: echo })
      const options = { ...hostAndPort(listener.url), ca: ours.ca, ...ours.client('device-1') }
      let session: Buffer | undefined
      for (const isResumed of [false, true]) {
        const socket = connect(session === undefined ? options : { ...options, session })
        t.after(() => {
          socket.destroy()
        })
        socket.on('session', given => {
          session = given
        })
        await once(socket, 'secureConnect')
        socket.write('hello')
        await readBytes(socket, 5)
        assert.equal(socket.isSessionReused(), isResumed)
        assert.equal((await next()).peer.certificate?.commonName, 'device-1')
        socket.destroy()
      }
    })

    test('versions before 1.2 are not spoken', LIMIT, async t => {
      const { listener, accepted } = await startListener(t, scheme, { tls: materialOf(ours) })
      const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
      const socket = connect({ ...hostAndPort(listener.url), ca: ours.ca, ...old })
      await assert.rejects(once(socket, 'secureConnect'))
      assert.equal(accepted.length, 0)
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
        const good = connect({ ...hostAndPort(listener.url), ca: ours.ca, minVersion: version, maxVersion: version })
        await once(good, 'secureConnect')
        assert.equal(good.getProtocol(), version)
        good.destroy()
      }
    })

    test('what is no TLS is closed with one line in the log', LIMIT, async t => {
      const { listener, lines, accepted, logged } = await startListener(t, scheme, { tls: materialOf(ours) })
      for (const junk of ['\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0', 'GET / HTTP/1.1\r\n\r\n', Buffer.alloc(70_000)]) {
        lines.length = 0
        const socket = await openSocket(t, listener.url)
        socket.write(junk)
        await readToEnd(socket)
        const { level, fields } = await logged('listener.handshake_failed')
        assert.equal(level, 'debug')
        assert.equal(fields['listener'], listener.url)
        assert.equal(fields['address'], '127.0.0.1')
        await new Promise(resolve => setImmediate(resolve))
        assert.equal(lines.length, 1)
      }
      assert.equal(accepted.length, 0)
      await openClient(t, listener.url, { ca: ours.ca })
    })

    test('who leaves in the middle of the handshake is one line in the log', LIMIT, async t => {
      const { listener, lines, logged } = await startListener(t, scheme, { tls: materialOf(ours) })
      lines.length = 0
      const socket = await openSocket(t, listener.url)
      socket.end(Buffer.of(22, 3, 1))
      await readToEnd(socket)
      assert.equal((await logged('listener.handshake_failed')).level, 'debug')
      await new Promise(resolve => setImmediate(resolve))
      assert.equal(lines.length, 1)
    })

    test('who does not get through the handshake in time is closed', LIMIT, async t => {
      const { listener, lines, logged } = await startListener(t, scheme, {
        tls: materialOf(ours),
        handshakeTimeoutMs: 100,
      })
      lines.length = 0
      const socket = await openSocket(t, listener.url)
      const timer = setInterval(() => socket.write(Buffer.of(22)), 500)
      t.after(() => clearInterval(timer))
      socket.write(Buffer.of(22, 3, 1))
      await readToEnd(socket)
      assert.equal((await logged('listener.handshake_failed')).fields['error'], 'it took too long')
      await new Promise(resolve => setImmediate(resolve))
      assert.equal(lines.length, 1)
    })

    test('stop ends the handshakes that go on', LIMIT, async t => {
      const { listener } = await startListener(t, scheme, { tls: materialOf(ours) })
      const socket = await openSocket(t, listener.url)
      socket.write(Buffer.of(22, 3, 1))
      // Another one that is answered proves that the first has arrived.
      const other = await openClient(t, listener.url, { ca: ours.ca })
      await listener.stop()
      await readToEnd(socket)
      other.destroy()
    })

    test('so many handshakes go on at once, and no more', LIMIT, async t => {
      const { listener, logged } = await startListener(t, scheme, { tls: materialOf(ours), maxHandshakes: 2 })
      const waiting = [await openSocket(t, listener.url), await openSocket(t, listener.url)]
      await readToEnd(await openSocket(t, listener.url))
      assert.equal(listener.refused, 1)
      await logged('listener.refused')
      waiting[0]?.destroy()
      // Room again, as soon as the listener has seen one leave.
      for (;;) {
        try {
          await openClient(t, listener.url, { ca: ours.ca })
          return
        } catch {}
      }
    })

    test('other material counts for new connections', LIMIT, async t => {
      const { listener, next } = await startListener(t, scheme, { tls: materialOf(ours), onAccept: echo })
      const old = await openClient(t, listener.url, { ca: ours.ca })
      assert.throws(() => listener.setMaterial({ ...theirs.server, key: ours.server.key }))
      await openClient(t, listener.url, { ca: ours.ca })
      listener.setMaterial(materialOf(theirs, true))
      await assert.rejects(openClient(t, listener.url, { ca: ours.ca }))
      const client = await openClient(t, listener.url, { ca: theirs.ca, pair: theirs.client('device-1') })
      await Promise.all([next(), next()])
      assert.equal((await next()).peer.certificate?.commonName, 'device-1')
      for (const stream of [old, client]) {
        stream.write('hello')
        assert.equal((await readBytes(stream, 5)).toString(), 'hello')
      }
    })

    test('several listeners take other material together', LIMIT, async t => {
      const addresses = [addressOf(scheme), addressOf('tcp'), addressOf(scheme)]
      const options = { accept: () => {}, maxConnections: () => true, log: silentLogger, tls: materialOf(ours) }
      const listeners = createListeners(addresses, options)
      t.after(() => listeners.stop())
      await listeners.start(new AbortController().signal)
      listeners.setMaterial(materialOf(theirs))
      for (const url of [listeners.urls[0], listeners.urls[2]]) {
        assert.ok(url !== undefined)
        const socket = connect({ ...hostAndPort(url), ca: theirs.ca })
        await once(socket, 'secureConnect')
        socket.destroy()
      }
    })
  })
}

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { createSecureContext, createServer, type TLSSocket, type TlsOptions } from 'node:tls'
import { makeCertificates } from '../../../src/certs/index.ts'
import { makeTestCertificates, type TestCertificates } from '../../support/certs.ts'
import { explained, listenOn, openFor, remoteAt, textFrom } from './transport-kit.ts'

const DAY_MS = 24 * 3600 * 1000

suite('a connection of a bridge over TLS', { timeout: 60_000 }, () => {
  let certs: TestCertificates
  /** Another authority, with a server certificate of its own that has expired, and a client. */
  let stranger: string

  before(async () => {
    certs = await makeTestCertificates([{ commonName: 'plant-1' }])
    stranger = mkdtempSync(join(tmpdir(), 'openedge-stranger-'))
    await makeCertificates({ dir: stranger, ca: { commonName: 'Another CA' }, clients: [{ commonName: 'stranger' }] })
    const longAgo = new Date(Date.now() - 10 * DAY_MS)
    const server = { commonName: 'localhost', alternativeNames: ['127.0.0.1'] }
    await makeCertificates({ dir: stranger, server, days: 1, now: longAgo })
  })

  after(() => {
    certs.remove()
    rmSync(stranger, { recursive: true, force: true })
  })

  const serve = (options: TlsOptions = {}, greet: (socket: TLSSocket) => string = () => 'hello') =>
    createServer({ ...certs.server, ...options }, socket => {
      socket.on('error', () => {})
      socket.write(greet(socket))
    })

  test('verifies the broker with the file of authorities, which is relative to the folder of the configuration', async t => {
    const { port } = await listenOn(t, serve())
    for (const host of ['127.0.0.1', 'localhost']) {
      const stream = await openFor(t, remoteAt(`ssl://${host}:${port}`, { ca: 'ca.pem' }), { baseDir: certs.dir })
      assert.equal(await textFrom(stream), 'hello')
    }
  })

  test('shows the client certificate', async t => {
    const server = serve({ requestCert: true, ca: certs.ca }, socket => String(socket.getPeerCertificate().subject.CN))
    const { port } = await listenOn(t, server)
    const config = remoteAt(`tls://127.0.0.1:${port}`, { ca: 'ca.pem', cert: 'plant-1.pem', key: 'plant-1.key' })
    assert.equal(await textFrom(await openFor(t, config, { baseDir: certs.dir })), 'plant-1')
  })

  test('asks for a server and a protocol by name, as clouds on port 443 need it', async t => {
    const asked: string[] = []
    const server = serve(
      {
        ALPNProtocols: ['x-amzn-mqtt-ca'],
        SNICallback: (name, done) => {
          asked.push(name)
          done(null, createSecureContext(certs.server))
        },
      },
      socket => String(socket.alpnProtocol),
    )
    const { port } = await listenOn(t, server)
    const alpn = ['x-amzn-mqtt-ca']
    const insecure = remoteAt(`ssl://127.0.0.1:${port}`, { insecure: true, servername: 'iot.example', alpn })
    assert.equal(await textFrom(await openFor(t, insecure)), 'x-amzn-mqtt-ca')
    const byName = remoteAt(`ssl://localhost:${port}`, { ca: 'ca.pem', alpn })
    await textFrom(await openFor(t, byName, { baseDir: certs.dir }))
    assert.deepEqual(asked, ['iot.example', 'localhost'])

    const wrong = await explained(remoteAt(`ssl://localhost:${port}`, { ca: 'ca.pem', alpn: ['mqtt'] }), certs.dir)
    assert.equal(wrong.code, 'ERR_BRIDGE_TLS')
    assert.match(wrong.message, /takes none of the protocols offered by ALPN \(mqtt\): correct remotes\[\]\.alpn/)
  })

  test('offers no protocol unless it is told to, and no name where there is only an address', async t => {
    const asked: string[] = []
    const server = serve(
      {
        ALPNProtocols: ['mqtt'],
        SNICallback: (name, done) => {
          asked.push(name)
          done(null, createSecureContext(certs.server))
        },
      },
      socket => String(socket.alpnProtocol),
    )
    const { port } = await listenOn(t, server)
    const config = remoteAt(`ssl://127.0.0.1:${port}`, { ca: 'ca.pem' })
    assert.equal(await textFrom(await openFor(t, config, { baseDir: certs.dir })), 'false')
    assert.deepEqual(asked, [])
  })

  test('verifies the name of the configuration instead of the host', async t => {
    const { port } = await listenOn(t, serve())
    const address = `ssl://127.0.0.1:${port}`
    for (const servername of ['localhost', 'localhost.', '127.0.0.1']) {
      const config = remoteAt(address, { ca: 'ca.pem', servername })
      assert.equal(await textFrom(await openFor(t, config, { baseDir: certs.dir })), 'hello')
    }
    const failure = await explained(remoteAt(address, { ca: 'ca.pem', servername: 'broker.example' }), certs.dir)
    assert.equal(failure.code, 'ERR_BRIDGE_TLS')
    assert.match(failure.message, /not made out for broker\.example, but for DNS:localhost, IP Address:127\.0\.0\.1/)
    assert.match(failure.message, /remotes\[\]\.servername/)
  })

  test('does not trust an authority that is not in its file, and leaves no socket', async t => {
    const server = await listenOn(t, serve())
    const address = `ssl://127.0.0.1:${server.port}`
    const wrong = await explained(remoteAt(address, { ca: join(stranger, 'ca.pem') }))
    assert.equal(wrong.code, 'ERR_BRIDGE_TLS')
    assert.match(wrong.message, /not signed by an authority in .*ca\.pem \(\w+\): give the one that signed it/)
    await server.deserted()
    const none = await explained(remoteAt(address))
    assert.match(none.message, /not signed by an authority known to Node\.js \(\w+\): .*remotes\[\]\.ca/)
    await server.deserted()
  })

  test('does not take an expired certificate, unless nothing is verified', async t => {
    const options = {
      key: readFileSync(join(stranger, 'server.key')),
      cert: readFileSync(join(stranger, 'server.pem')),
    }
    const { port } = await listenOn(t, serve(options))
    const address = `ssl://127.0.0.1:${port}`
    const failure = await explained(remoteAt(address, { ca: join(stranger, 'ca.pem') }))
    assert.equal(failure.code, 'ERR_BRIDGE_TLS')
    assert.match(failure.message, /certificate.* has expired \(CERT_HAS_EXPIRED\); the clock here says 20\d\d-/)
    assert.equal(await textFrom(await openFor(t, remoteAt(address, { insecure: true }))), 'hello')
  })

  test('to a port that speaks plainly says so', async t => {
    const plain = await listenOn(
      t,
      createTcpServer(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    )
    const failure = await explained(remoteAt(`ssl://127.0.0.1:${plain.port}`))
    assert.equal(failure.code, 'ERR_BRIDGE_TLS')
    assert.match(failure.message, new RegExp(`port ${plain.port} does not speak TLS \\(.+\\): give its port for TLS`))
    const closing = await listenOn(
      t,
      createTcpServer(socket => socket.once('data', () => socket.end())),
    )
    const cut = await explained(remoteAt(`ssl://127.0.0.1:${closing.port}`))
    assert.equal(cut.code, 'ERR_BRIDGE_TLS')
    assert.match(cut.message, /closed the connection during the TLS handshake/)
  })

  test('does not speak what is older than TLS 1.2', async t => {
    const old = { maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' } as const
    const { port } = await listenOn(t, serve(old))
    const failure = await explained(remoteAt(`ssl://127.0.0.1:${port}`, { insecure: true }))
    assert.equal(failure.code, 'ERR_BRIDGE_TLS')
    assert.match(failure.message, /does not speak TLS 1\.2 or 1\.3/)
  })

  test('names the file that it can not use', async t => {
    const { port, sockets } = await listenOn(t, serve())
    const bad = join(stranger, 'bad.pem')
    writeFileSync(bad, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
    const at = (files: { ca?: string; key?: string; cert?: string }) =>
      explained(remoteAt(`ssl://127.0.0.1:${port}`, files), certs.dir)
    for (const [files, expected] of [
      [{ ca: 'none.pem' }, /can't read ca .*none\.pem: there is no such file/],
      [{ ca: bad }, /can't use ca .*bad\.pem: its certificate number 1 is broken/],
      [{ ca: 'server.key' }, /can't use ca .*server\.key: it has no certificate/],
      [{ key: 'none.key', cert: 'plant-1.pem' }, /can't read key .*none\.key: there is no such file/],
      [{ key: 'plant-1.pem', cert: 'plant-1.pem' }, /can't use key .*plant-1\.pem: it is not a private key/],
      [{ key: 'server.key', cert: 'plant-1.pem' }, /key .*server\.key does not belong to cert .*plant-1\.pem/],
      [{ cert: 'plant-1.pem' }, /cert is plant-1\.pem, but key is not given/],
      [{ key: '.', cert: 'plant-1.pem' }, /it is not a file/],
    ] as const) {
      const failure = await at(files)
      assert.equal(failure.code, 'ERR_BRIDGE_CREDENTIALS_FILE')
      assert.match(failure.message, expected)
      assert.ok(failure.message.startsWith('rule plant1: remote cloud (ssl://'), failure.message)
    }
    assert.equal(sockets.size, 0, 'no broker is troubled with that')
  })

  test('takes files that were made good again', async t => {
    const { port } = await listenOn(t, serve())
    const ca = join(stranger, 'late.pem')
    const config = remoteAt(`ssl://127.0.0.1:${port}`, { ca })
    assert.equal((await explained(config)).code, 'ERR_BRIDGE_CREDENTIALS_FILE')
    writeFileSync(ca, certs.ca)
    assert.equal(await textFrom(await openFor(t, config)), 'hello')
  })
})

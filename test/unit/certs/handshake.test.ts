import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect, createServer, type TLSSocket } from 'node:tls'
import { makeCertificates } from '../../../src/certs/index.ts'

const server = { commonName: 'localhost', alternativeNames: ['127.0.0.1'] }
const client = { commonName: 'device' }

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-handshake-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

function pair(dir: string, name: string): { cert: Buffer; key: Buffer } {
  return { cert: readFileSync(join(dir, `${name}.pem`)), key: readFileSync(join(dir, `${name}.key`)) }
}

/** What each side makes of the other: `ok <common name of the client>`, or the code of the error. */
async function handshake(serverDir: string, options: ConnectionOptions): Promise<{ server: string; client: string }> {
  const ca = readFileSync(join(serverDir, 'ca.pem'))
  const listener = createServer({ ...pair(serverDir, 'server'), ca, requestCert: true, rejectUnauthorized: false })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const seenByServer = new Promise<string>(resolve => {
    listener.once('secureConnection', (socket: TLSSocket) => {
      resolve(
        socket.authorized ? `ok ${String(socket.getPeerCertificate().subject.CN)}` : String(socket.authorizationError),
      )
      socket.once('error', () => {})
      socket.end()
    })
    listener.once('tlsClientError', failure => resolve(codeOf(failure)))
  })
  const socket = connect({ port: (listener.address() as AddressInfo).port, host: '127.0.0.1', ...options })
  const seenByClient = new Promise<string>(resolve => {
    socket.once('secureConnect', () => resolve('ok'))
    socket.once('error', failure => resolve(codeOf(failure)))
  })
  socket.on('error', () => {})
  socket.resume()
  try {
    return { server: await seenByServer, client: await seenByClient }
  } finally {
    socket.destroy()
    listener.close()
    await once(listener, 'close')
  }
}

function codeOf(failure: Error & { code?: string }): string {
  return failure.code ?? failure.message
}

test('server and client trust each other by way of their authority', async t => {
  const dir = folder(t)
  await makeCertificates({ dir, server, clients: [client] })
  const ca = readFileSync(join(dir, 'ca.pem'))
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const versions = { minVersion: version, maxVersion: version }
    const seen = await handshake(dir, { ca, ...pair(dir, 'device'), ...versions })
    assert.deepEqual(seen, { server: 'ok device', client: 'ok' })
    const byName = await handshake(dir, { ca, ...pair(dir, 'device'), ...versions, servername: 'localhost' })
    assert.deepEqual(byName, { server: 'ok device', client: 'ok' })
  }
  const elsewhere = await handshake(dir, { ca, ...pair(dir, 'device'), servername: 'other.example' })
  assert.equal(elsewhere.client, 'ERR_TLS_CERT_ALTNAME_INVALID')
})

test('a client of another authority, with a server certificate or with none is not let in', async t => {
  const dir = folder(t)
  const other = folder(t)
  await makeCertificates({ dir, server, clients: [client] })
  await makeCertificates({ dir: other, ca: { commonName: 'Another CA' }, clients: [client] })
  const ca = readFileSync(join(dir, 'ca.pem'))
  assert.match((await handshake(dir, { ca, ...pair(other, 'device') })).server, /^UNABLE_TO_/)
  assert.equal((await handshake(dir, { ca, ...pair(dir, 'server') })).server, 'INVALID_PURPOSE')
  assert.match((await handshake(dir, { ca })).server, /^UNABLE_TO_/)
})

test('an authority of the same name is still another authority', async t => {
  const dir = folder(t)
  const other = folder(t)
  await makeCertificates({ dir, server })
  await makeCertificates({ dir: other, clients: [client] })
  const seen = await handshake(dir, { ca: readFileSync(join(dir, 'ca.pem')), ...pair(other, 'device') })
  assert.notEqual(seen.server, 'ok device')
})

test('an expired certificate is refused on either side', async t => {
  const dir = folder(t)
  const past = new Date(Date.now() - 10 * 24 * 3600 * 1000)
  await makeCertificates({ dir, server, clients: [client] })
  await makeCertificates({ dir, clients: [{ commonName: 'expired' }], days: 1, now: past })
  const ca = readFileSync(join(dir, 'ca.pem'))
  assert.equal((await handshake(dir, { ca, ...pair(dir, 'expired') })).server, 'CERT_HAS_EXPIRED')
  await makeCertificates({ dir, server, days: 1, now: past, force: true })
  assert.equal((await handshake(dir, { ca, ...pair(dir, 'device') })).client, 'CERT_HAS_EXPIRED')
})

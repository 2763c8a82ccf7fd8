/** Certificates of a running hub: the server's, renewed in place, and who a client with one is. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { connect, type TLSSocket } from 'node:tls'
import { makeTestCertificates, type TestCertificates } from '../../support/certs.ts'
import type { Cleanup, RawClient } from '../../support/raw-client.ts'
import { permissions, ReloadedHub, temporaryDirectory } from './reloaded-hub.ts'

const DEVICE = { commonName: 'device', alternativeNames: ['device.example'] }
const TLS = `listen: ['tls://127.0.0.1:0', 'wss://127.0.0.1:0']`

async function certificatesOf(t: Cleanup): Promise<TestCertificates> {
  const made = await makeTestCertificates([DEVICE])
  t.after(() => made.remove())
  return made
}

function install({ dir }: TestCertificates, into: string): void {
  for (const file of ['ca.pem', 'server.key', 'server.pem']) copyFileSync(join(dir, file), join(into, file))
}

function withIdentity(identity: string, ...names: string[]): string {
  const principals = names.map(name => `  - { username: ${name}, permissions: ${permissions({ pub: ['#'] })} }`)
  const certificate = `certificate: { ca: ca.pem, key: server.key, cert: server.pem, identity: ${identity} }`
  return [TLS, certificate, 'principals:', ...principals].join('\n')
}

async function connectWith(
  t: Cleanup,
  running: ReloadedHub,
  certificates: TestCertificates,
  username?: string,
): Promise<{ client: RawClient; returnCode: number; serial: string }> {
  const raw = await running.open(t, running.urls[0], { ca: certificates.ca, ...certificates.client('device') })
  const serial = (raw.socket as TLSSocket).getPeerCertificate().serialNumber
  const { returnCode } = await raw.connect({ clientId: randomUUID(), ...(username !== undefined && { username }) })
  if (returnCode !== 0) await raw.closed()
  return { client: raw, returnCode, serial }
}

suite('the certificate of the server', () => {
  test('is read again: new connections see the new one, others stay', async t => {
    const dir = temporaryDirectory(t)
    const [old, renewed] = [await certificatesOf(t), await certificatesOf(t)]
    install(old, dir)
    const running = await ReloadedHub.start(t, withIdentity('username', 'device'), { baseDir: dir })
    const before = await connectWith(t, running, old, 'device')
    install(renewed, dir)
    await running.reload(withIdentity('username', 'device'))
    const after = await connectWith(t, running, renewed, 'device')
    assert.equal(after.returnCode, 0, 'a client of the new authority is let in')
    assert.notEqual(after.serial, before.serial, 'it sees another certificate')
    await assert.rejects(connectWith(t, running, old, 'device'), 'a client that trusts the old authority only')
  })

  test('that can not be used changes nothing', async t => {
    const dir = temporaryDirectory(t)
    const [old, other] = [await certificatesOf(t), await certificatesOf(t)]
    install(old, dir)
    const running = await ReloadedHub.start(t, withIdentity('username', 'device'), { baseDir: dir })
    const before = await connectWith(t, running, old, 'device')
    copyFileSync(join(other.dir, 'server.key'), join(dir, 'server.key'))
    await assert.rejects(running.reload(withIdentity('username')), { code: 'ERR_LISTEN_CERTIFICATE_MISMATCH' })
    writeFileSync(join(dir, 'server.key'), 'junk')
    await assert.rejects(running.reload(withIdentity('username')), { code: 'ERR_LISTEN_CERTIFICATE_INVALID' })
    const after = await connectWith(t, running, old, 'device')
    assert.equal(after.serial, before.serial, 'the old one is still in use')
    await after.client.publish({ topic: 'x', payload: '', qos: 1 })
  })

  test('is left alone when its files have not changed', async t => {
    const dir = temporaryDirectory(t)
    const made = await certificatesOf(t)
    install(made, dir)
    const running = await ReloadedHub.start(t, withIdentity('username', 'device'), { baseDir: dir })
    const { client } = await connectWith(t, running, made, 'device')
    const session = (client.socket as TLSSocket).getSession()
    const isResumed = async (): Promise<boolean> => {
      const { host, port } = hostAndPort(running.urls[0] ?? '')
      const socket = connect({ host, port, ca: made.ca, ...made.client('device'), session })
      t.after(() => void socket.destroy())
      await once(socket, 'secureConnect')
      return socket.isSessionReused()
    }
    await running.reload(withIdentity('username', 'device', 'other'))
    assert.equal(await isResumed(), true, 'a session of TLS is resumed')
    install(await certificatesOf(t), dir)
    copyFileSync(join(made.dir, 'ca.pem'), join(dir, 'ca.pem'))
    await running.reload(withIdentity('username', 'device'))
    await assert.rejects(isResumed(), 'no longer with another certificate')
  })
})

suite('a client with a certificate', () => {
  async function started(t: Cleanup, identity: string, ...names: string[]): Promise<[ReloadedHub, TestCertificates]> {
    const dir = temporaryDirectory(t)
    const made = await certificatesOf(t)
    install(made, dir)
    return [await ReloadedHub.start(t, withIdentity(identity, ...names), { baseDir: dir }), made]
  }

  test('stays when it is still named by it in another way', async t => {
    const [running, made] = await started(t, 'username', 'device')
    const { client } = await connectWith(t, running, made, 'device')
    await running.reload(withIdentity('cn', 'device'))
    await client.publish({ topic: 'x', payload: '', qos: 1 })
  })

  test('goes when the certificate names somebody else', async t => {
    const [running, made] = await started(t, 'username', 'someone', 'device')
    const { client } = await connectWith(t, running, made, 'someone')
    await running.reload(withIdentity('cn', 'someone', 'device'))
    await client.closed()
  })

  test('goes when another kind of name counts, and there is no principal of that name', async t => {
    const [running, made] = await started(t, 'cn', 'device')
    const { client } = await connectWith(t, running, made)
    await running.reload(withIdentity('san', 'device'))
    await client.closed()
  })

  test('goes with its principal', async t => {
    const [running, made] = await started(t, 'san', 'device.example')
    const { client } = await connectWith(t, running, made)
    await running.reload(withIdentity('san', 'other'))
    await client.closed()
  })
})

function hostAndPort(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url.replace('tls', 'http'))
  return { host: hostname, port: Number(port) }
}

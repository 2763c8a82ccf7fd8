/** What OpenSSL, which many brokers are made with, says about our certificate, and when it comes. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, suite, type TestContext, test } from 'node:test'
import { explainFailure } from '../../../src/bridge/failure.ts'
import { openTransport } from '../../../src/bridge/transport/index.ts'
import { makeCertificates } from '../../../src/certs/index.ts'
import type { GatewayError } from '../../../src/common/index.ts'
import type { ClientConfig } from '../../../src/config/index.ts'
import { remoteAt } from './transport-kit.ts'

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

suite('a broker that does not like our certificate', { timeout: 60_000, skip: !hasOpenssl }, () => {
  const home = mkdtempSync(join(tmpdir(), 'openedge-alerts-'))
  const stranger = mkdtempSync(join(tmpdir(), 'openedge-alerts-'))

  before(async () => {
    const server = { commonName: 'localhost', alternativeNames: ['127.0.0.1'] }
    await makeCertificates({ dir: home, server, clients: [{ commonName: 'plant' }] })
    const longAgo = new Date(Date.now() - 10 * 24 * 3600 * 1000)
    await makeCertificates({ dir: home, clients: [{ commonName: 'old' }], days: 1, now: longAgo })
    await makeCertificates({ dir: stranger, ca: { commonName: 'Another CA' }, clients: [{ commonName: 'stranger' }] })
  })

  after(() => {
    rmSync(home, { recursive: true, force: true })
    rmSync(stranger, { recursive: true, force: true })
  })

  /** A server that wants a certificate of its authority; resolves to its port. */
  async function serve(t: TestContext, version: string): Promise<number> {
    const args = ['-accept', '127.0.0.1:0', '-cert', 'server.pem', '-key', 'server.key', '-CAfile', 'ca.pem', version]
    const child = spawn('openssl', ['s_server', '-Verify', '1', '-verify_return_error', ...args], { cwd: home })
    t.after(() => stop(child))
    child.stderr.resume()
    for await (const line of createInterface({ input: child.stdout })) {
      const port = /^ACCEPT .*:(\d+)$/.exec(line)?.[1]
      if (port !== undefined) {
        child.stdout.resume()
        return Number(port)
      }
    }
    return assert.fail('openssl does not listen')
  }

  /** What is said when it ends: in the handshake or, with TLS 1.3, behind it. */
  async function complaint(config: ClientConfig): Promise<GatewayError> {
    const where = { rule: 'plant1', side: 'remote', config, clientId: 'plant-1' } as const
    try {
      const stream = await openTransport(config, { baseDir: home, signal: new AbortController().signal })
      stream.resume()
      const [failure] = (await Promise.race([once(stream, 'error'), once(stream, 'end')])) as [unknown]
      stream.destroy()
      assert.ok(failure, 'it closed the connection without a word')
      return explainFailure(failure, { ...where, phase: 'connack' })
    } catch (failure) {
      return explainFailure(failure, { ...where, phase: 'connect' })
    }
  }

  for (const version of ['-tls1_2', '-tls1_3']) {
    test(`says why (${version.slice(1)})`, async t => {
      const port = await serve(t, version)
      const at = (files: Partial<ClientConfig>) => remoteAt(`ssl://127.0.0.1:${port}`, { ca: 'ca.pem', ...files })
      const old = await complaint(at({ cert: 'old.pem', key: 'old.key' }))
      assert.equal(old.code, 'ERR_BRIDGE_TLS', old.message)
      assert.match(old.message, /our certificate old\.pem has expired/)
      const unknown = { cert: join(stranger, 'stranger.pem'), key: join(stranger, 'stranger.key') }
      const strange = await complaint(at(unknown))
      assert.equal(strange.code, 'ERR_BRIDGE_TLS', strange.message)
      assert.match(strange.message, /stranger\.pem was signed by an authority that it does not know/)
      const none = await complaint(at({}))
      assert.equal(none.code, 'ERR_BRIDGE_TLS', none.message)
      assert.match(none.message, /wants? a client certificate.*remotes\[\]\.cert/)
    })
  }
})

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

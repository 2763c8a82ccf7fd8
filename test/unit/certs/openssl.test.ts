import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { makeCertificates } from '../../../src/certs/index.ts'

const isMissing = spawnSync('openssl', ['version']).error !== undefined
// With CI=true a missing openssl is a failure, not a reason to skip.
const skip = isMissing && process.env['CI'] !== 'true' ? 'openssl is not installed' : false

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-openssl-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

function openssl(dir: string, ...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr, error } = spawnSync('openssl', args, { cwd: dir, encoding: 'utf8', timeout: 30_000 })
  if (error !== undefined) throw error
  return { status, output: stdout + stderr }
}

suite('as openssl sees it', { skip }, () => {
  test('certificates verify strictly, for their purpose only', async t => {
    const dir = folder(t)
    const server = { commonName: 'hub.example', alternativeNames: ['192.0.2.1', '2001:db8::1', '::ffff:192.0.2.2'] }
    await makeCertificates({ dir, server, clients: [{ commonName: 'c', alternativeNames: ['c@example.org'] }] })
    const verify = (...args: string[]) => openssl(dir, 'verify', '-x509_strict', '-CAfile', 'ca.pem', ...args)
    const accepts = (...args: string[]): void => {
      const { status, output } = verify(...args)
      assert.equal(status, 0, output)
    }
    accepts('-purpose', 'sslserver', '-verify_hostname', 'hub.example', 'server.pem')
    for (const ip of ['192.0.2.1', '2001:db8::1', '::ffff:c000:202']) accepts('-verify_ip', ip, 'server.pem')
    accepts('-purpose', 'sslclient', '-verify_email', 'c@example.org', 'c.pem')
    assert.notEqual(verify('-purpose', 'sslclient', 'server.pem').status, 0)
    assert.notEqual(verify('-purpose', 'sslserver', 'c.pem').status, 0)
    assert.notEqual(verify('-verify_ip', '192.0.2.9', 'server.pem').status, 0)
  })

  test('keys are PKCS#8 and belong to their certificates', async t => {
    const dir = folder(t)
    await makeCertificates({ dir, server: { commonName: 'localhost' } })
    for (const name of ['ca', 'server']) {
      const key = openssl(dir, 'pkey', '-in', `${name}.key`, '-pubout')
      assert.equal(key.status, 0, key.output)
      assert.equal(openssl(dir, 'x509', '-in', `${name}.pem`, '-noout', '-pubkey').output, key.output)
      assert.equal(openssl(dir, 'pkcs8', '-in', `${name}.key`, '-topk8', '-nocrypt').status, 0)
    }
  })

  test('clients are issued by an authority that openssl made, RSA or EC', async t => {
    for (const algorithm of [['rsa:2048'], ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384']]) {
      const dir = folder(t)
      const subject = '/C=XX/O=Some Company/CN=Company CA'
      const outputs = ['-keyout', 'ca.key', '-out', 'ca.pem']
      const made = openssl(dir, 'req', '-x509', '-nodes', '-newkey', ...algorithm, ...outputs, '-subj', subject)
      assert.equal(made.status, 0, made.output)
      await makeCertificates({ dir, clients: [{ commonName: 'c' }] })
      const { status, output } = openssl(dir, 'verify', '-CAfile', 'ca.pem', '-purpose', 'sslclient', 'c.pem')
      assert.equal(status, 0, output)
    }
  })
})

import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createListener, readTlsMaterial } from '../../../src/broker/listeners/index.ts'
import { silentLogger } from '../../../src/common/index.ts'
import { makeTestCertificates, type TestCertificates } from '../../support/certs.ts'

const NO_FILES = { ca: '', key: '', cert: '' }

describe('key and certificates of a listener', () => {
  let made: TestCertificates
  before(async () => {
    made = await makeTestCertificates([{ commonName: 'client' }])
  })
  after(() => made.remove())

  const fails = (files: Partial<TestCertificates['files']>, code: string, ...words: string[]): void => {
    assert.throws(
      () => readTlsMaterial({ ...made.files, ...files }, made.dir),
      (failure: Error & { code: string }) => {
        assert.equal(failure.code, code, failure.message)
        for (const word of words) assert.ok(failure.message.includes(word), `${failure.message}: no ${word}`)
        return true
      },
    )
  }

  test('are read from paths relative to the base folder, and from absolute ones', () => {
    const expected = { key: made.server.key, cert: made.server.cert, ca: made.ca }
    assert.deepEqual(readTlsMaterial(made.files, made.dir), expected)
    const absolute = { ca: '', key: join(made.dir, 'server.key'), cert: join(made.dir, 'server.pem') }
    assert.deepEqual(readTlsMaterial(absolute, '/nowhere'), made.server)
  })

  test('need not be configured, but then TLS listeners can not be made', () => {
    assert.equal(readTlsMaterial(NO_FILES, made.dir), undefined)
    for (const scheme of ['tls', 'wss'] as const) {
      const url = `${scheme}://:8883`
      const options = { accept: () => {}, maxConnections: () => true, log: silentLogger }
      assert.throws(() => createListener({ scheme, host: '', port: 8883, path: '', url }, options), {
        code: 'ERR_LISTEN_CERTIFICATE_MISSING',
        message: new RegExp(url),
      })
    }
  })

  test('come as a pair', () => {
    fails({ key: '' }, 'ERR_LISTEN_CERTIFICATE_MISSING', 'certificate.key', 'server.pem')
    fails({ cert: '' }, 'ERR_LISTEN_CERTIFICATE_MISSING', 'certificate.cert', 'server.key')
  })

  test('that can not be read are named', () => {
    for (const field of ['ca', 'key', 'cert']) {
      const path = join(made.dir, 'missing.pem')
      fails(
        { [field]: 'missing.pem' },
        'ERR_LISTEN_CERTIFICATE_UNREADABLE',
        `certificate.${field}`,
        path,
        'no such file',
      )
    }
    mkdirSync(join(made.dir, 'folder.pem'))
    fails({ cert: 'folder.pem' }, 'ERR_LISTEN_CERTIFICATE_UNREADABLE', 'folder.pem', 'not a file')
    writeFileSync(join(made.dir, 'large.pem'), Buffer.alloc(1024 * 1024 + 1))
    fails({ cert: 'large.pem' }, 'ERR_LISTEN_CERTIFICATE_UNREADABLE', 'large.pem', 'too large')
  })

  test('that may not be read are named', t => {
    const path = join(made.dir, 'secret.key')
    writeFileSync(path, made.server.key)
    chmodSync(path, 0)
    // Root may read everything, so the test steps down for a moment.
    if (process.geteuid?.() === 0) {
      process.seteuid?.(65_534)
      t.after(() => process.seteuid?.(0))
    }
    fails({ key: 'secret.key' }, 'ERR_LISTEN_CERTIFICATE_UNREADABLE', path, 'may not read')
  })

  test('that are something else are named', () => {
    writeFileSync(join(made.dir, 'text.pem'), 'nothing of the kind')
    for (const field of ['ca', 'key', 'cert']) {
      fails({ [field]: 'text.pem' }, 'ERR_LISTEN_CERTIFICATE_INVALID', `certificate.${field}`, 'text.pem', 'PEM')
    }
    // Swapped.
    fails({ key: 'server.pem' }, 'ERR_LISTEN_CERTIFICATE_INVALID', 'server.pem', 'private key')
    fails({ cert: 'server.key' }, 'ERR_LISTEN_CERTIFICATE_INVALID', 'server.key', 'no certificate')
  })

  test('that are broken are named, also behind good ones', () => {
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
    writeFileSync(join(made.dir, 'broken.pem'), `${made.ca.toString()}${broken}`)
    fails({ ca: 'broken.pem' }, 'ERR_LISTEN_CERTIFICATE_INVALID', 'certificate.ca', 'broken.pem', 'number 2')
  })

  test('a key with a passphrase is said to be so', () => {
    const text = '-----BEGIN ENCRYPTED PRIVATE KEY-----\nMC4CAQ==\n-----END ENCRYPTED PRIVATE KEY-----\n'
    writeFileSync(join(made.dir, 'encrypted.key'), text)
    fails({ key: 'encrypted.key' }, 'ERR_LISTEN_CERTIFICATE_INVALID', 'encrypted.key', 'passphrase')
  })

  test('a key of another certificate is told', () => {
    const paths = [join(made.dir, 'client.key'), join(made.dir, 'server.pem')]
    fails({ key: 'client.key' }, 'ERR_LISTEN_CERTIFICATE_MISMATCH', ...paths)
  })
})

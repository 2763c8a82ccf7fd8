import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { checkFiles, formatProblem } from '../../../src/config/index.ts'
import { makeTestCertificates, type TestCertificates } from '../../support/certs.ts'

const DAY = 86_400_000

let certs: TestCertificates
before(async () => {
  certs = await makeTestCertificates([{ commonName: 'device' }])
})
after(() => certs.remove())

function check(certificate: { ca?: string; key?: string; cert?: string }, now?: number) {
  const all = { ca: '', key: '', cert: '', identity: 'username' as const, ...certificate }
  const { errors, warnings } = checkFiles({ certificate: all }, certs.dir, now)
  return { errors: errors.map(formatProblem), warnings: warnings.map(formatProblem) }
}

function write(name: string, content: string | Buffer): string {
  writeFileSync(join(certs.dir, name), content, { mode: 0o600 })
  return name
}

test('nothing to check is no problem, good files neither', () => {
  assert.deepEqual(check({}), { errors: [], warnings: [] })
  assert.deepEqual(check(certs.files), { errors: [], warnings: [] })
  const absolute = { cert: join(certs.dir, 'server.pem'), key: join(certs.dir, 'server.key') }
  assert.deepEqual(check(absolute), { errors: [], warnings: [] })
})

test('every file that is missing is named', () => {
  assert.deepEqual(check({ ca: 'no.pem', cert: 'none/cert.pem', key: '.' }).errors, [
    'no.pem: certificate.ca: does not exist',
    'none/cert.pem: certificate.cert: does not exist',
    '.: certificate.key: is a folder',
  ])
})

test('a key of another certificate', () => {
  assert.deepEqual(check({ cert: 'server.pem', key: 'device.key' }).errors, [
    'device.key: certificate.key: is not the key of server.pem',
  ])
})

test('files that are not what they should be', () => {
  const text = write('text.pem', 'no certificate')
  const broken = write('broken.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
  const brokenKey = write('broken.key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n')
  const { errors } = check({ ca: text, cert: broken, key: brokenKey })
  assert.equal(errors.length, 3)
  assert.equal(errors[0], 'text.pem: certificate.ca: has no certificate in PEM format')
  assert.match(errors[1] ?? '', /^broken\.pem: certificate\.cert: has a certificate that can't be read, number 1: /)
  assert.match(errors[2] ?? '', /^broken\.key: certificate\.key: has a private key that can't be read: /)
  assert.deepEqual(check({ key: 'server.pem' }).errors, [
    'server.pem: certificate.key: has no private key in PEM format',
  ])
})

test('an encrypted key', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
  const key = write('encrypted.key', pem)
  assert.deepEqual(check({ cert: 'server.pem', key }).errors, [
    'encrypted.key: certificate.key: is encrypted; write it without a passphrase',
  ])
})

test('every certificate of a file is checked, and the key belongs to the first', () => {
  const server = readFileSync(join(certs.dir, 'server.pem'), 'utf8')
  const ca = readFileSync(join(certs.dir, 'ca.pem'), 'utf8')
  const chain = write('chain.pem', `comment\n${server}\n${ca}`)
  assert.deepEqual(check({ cert: chain, key: 'server.key' }), { errors: [], warnings: [] })
  const reversed = write('reversed.pem', `${ca}${server}`)
  assert.equal(check({ cert: reversed, key: 'server.key' }).errors.length, 1)
  const gap = write('gap.pem', `${ca}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`)
  assert.match(check({ ca: gap }).errors.join(), /number 2/)
})

test('certificates that have ended, will soon, or have not begun', () => {
  const now = Date.now()
  const { errors, warnings } = check({ ca: 'ca.pem', cert: 'server.pem', key: 'server.key' }, now + 36_500 * DAY)
  assert.deepEqual(errors, [])
  assert.equal(warnings.length, 2)
  assert.match(warnings.join(), /ca\.pem: certificate\.ca: has the certificate .*which ended on/)
  assert.match(check({ ca: 'ca.pem' }, now - 36_500 * DAY).warnings.join(), /which begins on/)
})

test('a key that everyone may read', { skip: process.platform === 'win32' && 'no modes' }, () => {
  const key = write('open.key', readFileSync(join(certs.dir, 'server.key')))
  chmodSync(join(certs.dir, key), 0o644)
  assert.deepEqual(check({ cert: 'server.pem', key }).warnings, [
    'open.key: certificate.key: may be read by every user; chmod 600 it',
  ])
})

import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { checkBridgeFiles, defaultBridgeConfig, formatProblem, parseBridgeConfig } from '../../../src/config/index.ts'
import { makeTestCertificates, type TestCertificates } from '../../support/certs.ts'

const DAY = 86_400_000

let certs: TestCertificates
before(async () => {
  certs = await makeTestCertificates([{ commonName: 'gateway' }])
})
after(() => certs.remove())

/** Of a hub and remotes, by their keys. */
function check(hub: object, remotes: readonly object[] = [], now?: number) {
  const file = {
    hub: { address: 'tcp://h', ...hub },
    remotes: remotes.map((remote, i) => ({ name: `r${i}`, address: 'ssl://r', ...remote })),
  }
  const { config } = parseBridgeConfig(JSON.stringify(file), { file: 'f', env: {} })
  const { errors, warnings } = checkBridgeFiles(config, certs.dir, now)
  return { errors: errors.map(formatProblem), warnings: warnings.map(formatProblem) }
}

function write(name: string, content: string, mode = 0o600): string {
  writeFileSync(join(certs.dir, name), content)
  chmodSync(join(certs.dir, name), mode)
  return name
}

const NONE = { errors: [], warnings: [] }

test('nothing to check is no problem, good files neither', () => {
  assert.deepEqual(checkBridgeFiles(defaultBridgeConfig(), certs.dir), NONE)
  const passwordfile = write('token', 'secret\n')
  const all = { ca: 'ca.pem', cert: 'gateway.pem', key: 'gateway.key', username: 'u', passwordfile }
  assert.deepEqual(check({ ...all, address: 'wss://h' }, [all, {}, { ...all, ca: join(certs.dir, 'ca.pem') }]), NONE)
})

test('files of the hub and of each remote that are missing', () => {
  const keys = { ca: 'no.pem', cert: 'none.pem', key: 'none.key', username: 'u', passwordfile: 'no.token' }
  assert.deepEqual(check({ ...keys, address: 'ssl://h' }, [{}, { ca: 'gone.pem' }]).errors, [
    'no.pem: hub.ca: does not exist',
    'none.pem: hub.cert: does not exist',
    'none.key: hub.key: does not exist',
    'no.token: hub.passwordfile: does not exist',
    'gone.pem: remotes[1].ca: does not exist',
  ])
})

test('files that are not what they should be', () => {
  const text = write('text', 'text')
  assert.deepEqual(
    check({}, [
      { ca: text, cert: 'gateway.pem', key: 'server.key' },
      { cert: 'gateway.key', key: 'gateway.pem' },
    ]).errors,
    [
      'text: remotes[0].ca: has no certificate in PEM format',
      'server.key: remotes[0].key: is not the key of gateway.pem',
      'gateway.key: remotes[1].cert: has no certificate in PEM format',
      'gateway.pem: remotes[1].key: has no private key in PEM format',
    ],
  )
})

test('a certificate that has ended is a warning, for a clock may be wrong', () => {
  const { errors, warnings } = check({}, [{ ca: 'ca.pem' }], Date.now() + 36_500 * DAY)
  assert.deepEqual(errors, [])
  assert.match(warnings.join(), /^ca\.pem: remotes\[0\]\.ca: has the certificate .*, which ended on /)
})

test('without TLS certificates are not looked for, password files are', () => {
  const keys = { address: 'ws://h', ca: 'no.pem', username: 'u', passwordfile: 'no.token' }
  assert.deepEqual(check(keys, [{ ...keys, address: 'tcp://r' }]).errors, [
    'no.token: hub.passwordfile: does not exist',
    'no.token: remotes[0].passwordfile: does not exist',
  ])
})

test('a password file without a password', () => {
  for (const content of ['', '\nsecret\n', '\r\n']) {
    const passwordfile = write('empty.token', content)
    assert.deepEqual(check({ username: 'u', passwordfile }), {
      errors: [],
      warnings: ['empty.token: hub.passwordfile: has no password in its first line'],
    })
  }
})

test('a password that everyone may read', { skip: process.platform === 'win32' && 'no modes' }, () => {
  const passwordfile = write('open.token', 'secret', 0o644)
  assert.deepEqual(check({}, [{ username: 'u', passwordfile }]), {
    errors: [],
    warnings: ['open.token: remotes[0].passwordfile: may be read by every user; chmod 600 it'],
  })
})

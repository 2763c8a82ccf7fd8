import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { makeCertificates } from '../../../src/certs/index.ts'

const server = { commonName: 'hub.example', alternativeNames: ['localhost', '127.0.0.1', '::1', '*.hub.example'] }
const DAY_MS = 24 * 3600 * 1000

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-certs-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

function load(dir: string, name: string): X509Certificate {
  return new X509Certificate(readFileSync(join(dir, `${name}.pem`)))
}

test('makes an authority, a server and clients', async t => {
  const dir = join(folder(t), 'new', 'folder')
  const names = ['ca', 'server', 'sensor-1', 'sensor_2.b']
  const { files } = await makeCertificates({
    dir,
    ca: { commonName: 'Test CA' },
    server,
    clients: [
      { commonName: 'sensor-1', alternativeNames: ['s1@example.org', 'urn:dev:1', 'sensor.local', 'spiffe://x/y'] },
      { commonName: 'sensor_2.b' },
    ],
  })
  assert.deepEqual(
    files,
    names.flatMap(name => [join(dir, `${name}.pem`), join(dir, `${name}.key`)]),
  )
  assert.deepEqual(readdirSync(dir).sort(), names.flatMap(name => [`${name}.pem`, `${name}.key`]).sort())
  const ca = load(dir, 'ca')
  assert.equal(ca.ca, true)
  assert.equal(ca.subject, 'CN=Test CA')
  assert.equal(ca.verify(ca.publicKey), true)
  assert.equal(ca.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
  for (const name of names.slice(1)) {
    const leaf = load(dir, name)
    assert.equal(leaf.ca, false)
    assert.equal(leaf.checkIssued(ca), true)
    assert.equal(leaf.verify(ca.publicKey), true)
  }
  assert.equal(new Set(names.map(name => load(dir, name).serialNumber)).size, names.length)
  assert.deepEqual(
    [load(dir, 'server').keyUsage, load(dir, 'sensor-1').keyUsage],
    [['1.3.6.1.5.5.7.3.1'], ['1.3.6.1.5.5.7.3.2']],
  )
  assert.equal(
    load(dir, 'sensor-1').subjectAltName,
    'email:s1@example.org, URI:urn:dev:1, DNS:sensor.local, URI:spiffe://x/y',
  )
  assert.equal(load(dir, 'sensor_2.b').subjectAltName, undefined)
})

test('a server is known by its common name and its alternative names', async t => {
  const dir = folder(t)
  await makeCertificates({ dir, server })
  const certificate = load(dir, 'server')
  for (const host of ['hub.example', 'localhost', 'a.hub.example'])
    assert.equal(certificate.checkHost(host) === undefined, false, host)
  assert.equal(certificate.checkHost('other.example'), undefined)
  for (const ip of ['127.0.0.1', '::1']) assert.equal(certificate.checkIP(ip), ip)
  assert.equal(certificate.checkIP('127.0.0.2'), undefined)
})

test('keys are readable by their owner only, also when they replace one that was not', async t => {
  if (process.platform === 'win32') return t.skip('no such permissions on Windows')
  const dir = folder(t)
  writeFileSync(join(dir, 'server.key'), 'old', { mode: 0o644 })
  await makeCertificates({ dir, server, clients: [{ commonName: 'c' }], force: true })
  for (const name of ['ca.key', 'server.key', 'c.key'])
    assert.equal(statSync(join(dir, name)).mode & 0o777, 0o600, name)
  assert.equal(statSync(join(dir, 'server.pem')).mode & 0o077 & ~0o044, 0)
})

test('refuses to replace anything unless forced, and then writes nothing', async t => {
  const dir = folder(t)
  const request = { dir, server, clients: [{ commonName: 'c' }] }
  await makeCertificates(request)
  const before = readFileSync(join(dir, 'server.pem'), 'utf8')
  const error = { code: 'ERR_CERTS_EXISTS', message: /server\.pem, server\.key, c\.pem, c\.key/ }
  await assert.rejects(makeCertificates(request), error)
  await assert.rejects(makeCertificates({ dir, clients: [{ commonName: 'd' }, { commonName: 'c' }] }), {
    code: 'ERR_CERTS_EXISTS',
  })
  await assert.rejects(makeCertificates({ dir, ca: {} }), { code: 'ERR_CERTS_EXISTS' })
  assert.equal(existsSync(join(dir, 'd.pem')), false)
  assert.equal(readFileSync(join(dir, 'server.pem'), 'utf8'), before)
  const ca = readFileSync(join(dir, 'ca.pem'), 'utf8')
  await makeCertificates({ ...request, force: true })
  assert.notEqual(readFileSync(join(dir, 'server.pem'), 'utf8'), before)
  assert.equal(readFileSync(join(dir, 'ca.pem'), 'utf8'), ca)
  await makeCertificates({ ...request, ca: {}, force: true })
  assert.notEqual(readFileSync(join(dir, 'ca.pem'), 'utf8'), ca)
  assert.equal(load(dir, 'c').verify(load(dir, 'ca').publicKey), true)
  assert.equal(readdirSync(dir).length, 6, 'nothing else is left in the folder')
})

test('a link in place of a file is not followed', async t => {
  const dir = folder(t)
  const target = join(folder(t), 'target')
  symlinkSync(target, join(dir, 'c.key'))
  await assert.rejects(makeCertificates({ dir, clients: [{ commonName: 'c' }] }), { code: 'ERR_CERTS_EXISTS' })
  await makeCertificates({ dir, clients: [{ commonName: 'c' }], force: true })
  assert.equal(existsSync(target), false)
})

test('uses the authority of the folder for further clients', async t => {
  const dir = folder(t)
  await makeCertificates({ dir, ca: { commonName: 'First' } })
  const { files } = await makeCertificates({ dir, clients: [{ commonName: 'late' }] })
  assert.deepEqual(files, [join(dir, 'late.pem'), join(dir, 'late.key')])
  assert.equal(load(dir, 'late').issuer, 'CN=First')
  assert.equal(load(dir, 'late').verify(load(dir, 'ca').publicKey), true)
})

test('an authority that can not be used is refused, naming the file', async t => {
  const dir = folder(t)
  const other = folder(t)
  await makeCertificates({ dir, server, clients: [] })
  await makeCertificates({ dir: other })
  const put = (from: string, file: string, to: string): void =>
    writeFileSync(join(dir, to), readFileSync(join(from, file)))
  const refuses = async (message: RegExp): Promise<void> => {
    await assert.rejects(makeCertificates({ dir, clients: [{ commonName: 'c' }] }), {
      code: 'ERR_CERTS_BAD_CA',
      message,
    })
  }
  put(other, 'ca.key', 'ca.key')
  await refuses(/ca\.key is not the key/)
  put(dir, 'server.pem', 'ca.pem')
  put(dir, 'server.key', 'ca.key')
  await refuses(/ca\.pem is not the certificate of an authority/)
  writeFileSync(join(dir, 'ca.key'), 'garbage')
  await refuses(/ca\.key can't be used/)
  writeFileSync(join(dir, 'ca.pem'), 'garbage')
  await refuses(/ca\.pem can't be used/)
  rmSync(join(dir, 'ca.key'))
  await refuses(/ca\.pem only/)
})

test('validity counts from the given moment and does not outlast the authority', async t => {
  const dir = folder(t)
  const now = new Date('2024-03-01T12:00:00Z')
  await makeCertificates({ dir, ca: { days: 10 }, server, clients: [{ commonName: 'c' }], days: 0.5, now })
  const server1 = load(dir, 'server')
  assert.equal(new Date(server1.validFrom).getTime(), now.getTime() - 5 * 60_000)
  assert.equal(new Date(server1.validTo).getTime(), now.getTime() + DAY_MS / 2)
  await makeCertificates({ dir, server, days: 36_500, now, force: true })
  assert.equal(load(dir, 'server').validTo, load(dir, 'ca').validTo)
  await assert.rejects(makeCertificates({ dir, clients: [{ commonName: 'd' }] }), {
    code: 'ERR_CERTS_BAD_CA',
    message: /no longer valid/,
  })
})

test('dates beyond 2049 are written as the standard wants them', async t => {
  const dir = folder(t)
  await makeCertificates({ dir, ca: { days: 36_500 }, server, days: 36_500, now: new Date('2026-01-01T00:00:00Z') })
  assert.match(load(dir, 'server').validTo, /^Dec {1,2}8 00:00:00 2125 GMT$/)
})

suite('requests that can not be met write nothing', () => {
  const names: [string, object][] = [
    ...[
      '',
      '.',
      '..',
      '../x',
      'a/b',
      'a\\b',
      '-\0',
      '.hidden',
      'ca',
      'Server',
      'CA',
      'a b',
      'ü',
      'x'.repeat(65),
      'a\n',
    ].map((commonName): [string, object] => [`client ${JSON.stringify(commonName)}`, { clients: [{ commonName }] }]),
    ['clients that differ in case only', { clients: [{ commonName: 'a' }, { commonName: 'A' }] }],
    ['server without a host name', { server: { commonName: 'My Hub', alternativeNames: [] } }],
    ['empty server name', { server: { commonName: '', alternativeNames: ['localhost'] } }],
    ['server name with a line break', { server: { commonName: 'a\nb', alternativeNames: ['localhost'] } }],
    ['empty name of the authority', { ca: { commonName: '' } }],
    ...[
      '',
      'a b',
      'a..b',
      '-a',
      '300.1.2.3',
      'fe80::1%eth0',
      'DNS:a',
      'a,DNS:b',
      'x'.repeat(64),
      'ü.example',
      '*',
      'a.*.b',
    ].map((name): [string, object] => [
      `alternative name ${JSON.stringify(name)}`,
      { server: { commonName: 'localhost', alternativeNames: [name] } },
    ]),
  ]
  for (const [title, part] of names) {
    test(title, async t => {
      const dir = join(folder(t), 'certs')
      await assert.rejects(makeCertificates({ dir, ...part }), { code: 'ERR_CERTS_BAD_NAME' })
      assert.equal(existsSync(dir), false)
    })
  }
  for (const days of [0, -1, 36_501, Number.NaN, Number.POSITIVE_INFINITY]) {
    test(`${days} days`, async t => {
      const dir = join(folder(t), 'certs')
      await assert.rejects(makeCertificates({ dir, server, days }), { code: 'ERR_CERTS_BAD_VALIDITY' })
      await assert.rejects(makeCertificates({ dir, ca: { days } }), { code: 'ERR_CERTS_BAD_VALIDITY' })
      assert.equal(existsSync(dir), false)
    })
  }
  test('a folder that is a file', async t => {
    const dir = join(folder(t), 'file')
    writeFileSync(dir, '')
    await assert.rejects(makeCertificates({ dir }), { code: 'ERR_CERTS_UNREADABLE', message: /file/ })
    await assert.rejects(makeCertificates({ dir: join(dir, 'x') }), { code: 'ERR_CERTS_UNREADABLE' })
  })
  test('a file that can not be replaced leaves no others behind', async t => {
    const dir = folder(t)
    mkdirSync(join(dir, 'c.key'))
    await assert.rejects(makeCertificates({ dir, clients: [{ commonName: 'c' }], force: true }), {
      code: 'ERR_CERTS_UNWRITABLE',
      message: /c\.key/,
    })
    assert.deepEqual(
      readdirSync(dir).filter(name => name.endsWith('.tmp')),
      [],
    )
  })
})

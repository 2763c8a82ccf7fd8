import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'
import {
  Authenticator,
  type AuthenticatorConfig,
  type Credentials,
  hashPassword,
  type PeerIdentity,
  type Verdict,
} from '../../../src/auth/index.ts'

const permissions: AuthenticatorConfig['principals'][number]['permissions'] = [{ action: 'pub', permit: ['a'] }]
const bytes = (text: string): Uint8Array => Buffer.from(text)
const certificate = (commonName: string, ...alternativeNames: string[]): PeerIdentity => ({
  commonName,
  alternativeNames,
})

function configure(changes: Partial<AuthenticatorConfig> = {}): AuthenticatorConfig {
  return {
    principals: [
      { username: 'u', password: 'p', permissions },
      { username: 'ü中', password: 'pässwörd', permissions },
      { username: '__proto__', password: 'p', permissions },
      { username: 'device', password: '', permissions },
      { username: 'other', password: '', permissions },
    ],
    anonymous: null,
    certificate: { identity: 'username' },
    ...changes,
  }
}

/** `source:name`, or the return code. */
function outcome(verdict: Verdict | Promise<Verdict>): string | number {
  assert.ok(!(verdict instanceof Promise), 'nothing to wait for')
  return 'principal' in verdict ? `${verdict.principal.source}:${verdict.principal.name}` : verdict.returnCode
}

type Row = [username: string | undefined, password: string | undefined, PeerIdentity | null, string | number]

function check(config: AuthenticatorConfig, rows: readonly Row[]): void {
  const authenticator = Authenticator.create(config)
  for (const [username, password, shown, expected] of rows) {
    const credentials: Credentials = {
      username,
      password: password === undefined ? undefined : bytes(password),
      certificate: shown,
    }
    assert.equal(
      outcome(authenticator.authenticate(credentials)),
      expected,
      JSON.stringify([username, password, shown]),
    )
  }
}

test('identity username: the rules of the ancestor', () => {
  check(configure(), [
    [undefined, undefined, null, 4],
    ['', '', null, 4],
    [undefined, undefined, certificate('device'), 4],
    ['', 'p', null, 4],
    [undefined, 'p', null, 4],
    ['u', 'p', null, 'password:u'],
    ['u', 'p', certificate('device'), 'password:u'],
    ['u', 'P', null, 4],
    ['U', 'p', null, 4],
    ['u', 'p ', null, 4],
    ['u', 'pp', null, 4],
    ['u', 'wrong', certificate('device'), 4],
    ['ü中', 'pässwörd', null, 'password:ü中'],
    ['__proto__', 'p', null, 'password:__proto__'],
    ['constructor', 'p', null, 4],
    ['u', undefined, null, 4],
    ['u', '', null, 4],
    ['u', '', certificate('u'), 4],
    ['device', undefined, null, 4],
    ['device', '', null, 4],
    ['device', 'p', null, 4],
    ['device', 'p', certificate('device'), 4],
    ['device', undefined, certificate('anything'), 'certificate:device'],
    ['device', '', certificate(''), 'certificate:device'],
    ['nobody', undefined, certificate('device'), 4],
  ])
})

test('identity cn: the common name is the principal', () => {
  check(configure({ certificate: { identity: 'cn' } }), [
    [undefined, undefined, certificate('device'), 'certificate:device'],
    ['', '', certificate('device'), 'certificate:device'],
    ['device', undefined, certificate('device'), 'certificate:device'],
    ['other', undefined, certificate('device'), 4],
    ['u', undefined, certificate('device'), 4],
    [undefined, undefined, certificate('u'), 4],
    ['u', undefined, certificate('u'), 4],
    [undefined, undefined, certificate('nobody', 'device'), 4],
    [undefined, undefined, certificate(''), 4],
    ['device', undefined, null, 4],
    ['u', 'p', certificate('device'), 'password:u'],
    ['u', 'wrong', certificate('u'), 4],
    [undefined, 'p', certificate('device'), 4],
  ])
})

test('identity san: the first alternative name that is a principal without password', () => {
  check(configure({ certificate: { identity: 'san' } }), [
    [undefined, undefined, certificate('device'), 4],
    [undefined, undefined, certificate('x', 'nobody', 'u', 'other', 'device'), 'certificate:other'],
    ['device', undefined, certificate('x', 'nobody', 'other', 'device'), 'certificate:device'],
    ['nobody', undefined, certificate('x', 'nobody', 'device'), 4],
    ['other', undefined, certificate('other', 'device'), 4],
    ['u', 'p', certificate('x', 'device'), 'password:u'],
  ])
})

test('anonymous is who names nobody, and only when configured', () => {
  const anonymous = { permissions }
  check(configure({ anonymous }), [
    [undefined, undefined, null, 'anonymous:anonymous'],
    ['', '', null, 'anonymous:anonymous'],
    ['', 'p', null, 4],
    ['u', undefined, null, 4],
    ['u', 'wrong', null, 4],
    ['u', 'p', null, 'password:u'],
    ['device', undefined, certificate('x'), 'certificate:device'],
  ])
  check(configure({ anonymous, certificate: { identity: 'cn' } }), [
    [undefined, undefined, certificate('device'), 'certificate:device'],
    [undefined, undefined, certificate('nobody'), 'anonymous:anonymous'],
    ['nobody', undefined, certificate('nobody'), 4],
  ])
})

test('a principal without a name is not what an empty username or common name stands for', () => {
  const principals = [{ username: '', password: '', permissions }]
  for (const identity of ['username', 'cn', 'san'] as const) {
    check({ principals, anonymous: null, certificate: { identity } }, [
      [undefined, undefined, certificate('', ''), 4],
      ['', '', certificate('', ''), 4],
    ])
  }
})

test('passwords are bytes: what is not UTF-8 equals nothing that is configured', () => {
  const config = configure({ principals: [{ username: 'u', password: '\ufffd', permissions }] })
  const authenticator = Authenticator.create(config)
  const verdict = (password: Uint8Array) =>
    outcome(authenticator.authenticate({ username: 'u', password, certificate: null }))
  assert.equal(verdict(Uint8Array.of(0xff)), 4)
  assert.equal(verdict(bytes('\ufffd')), 'password:u')
})

test('the same principal object is given each time, with its permissions', () => {
  const authenticator = Authenticator.create(configure())
  const connect = (): Verdict | Promise<Verdict> =>
    authenticator.authenticate({ username: 'u', password: bytes('p'), certificate: null })
  const [first, second] = [connect(), connect()]
  assert.ok('principal' in first && 'principal' in second)
  assert.equal(first.principal, second.principal)
  assert.equal(first.principal.mayPublish('a'), true)
  assert.equal(first.principal.maySubscribe('a'), false)
})

test('the reason names the username on one line of bounded length', () => {
  const authenticator = Authenticator.create(configure())
  const reason = (username: string): string => {
    const verdict = authenticator.authenticate({ username, password: bytes('x'), certificate: null })
    assert.ok('reason' in verdict)
    return verdict.reason
  }
  assert.equal(reason('u'), 'username (u) or password not permitted')
  assert.match(reason('evil\nlevel=info'), /^username \(evil\\nlevel=info\) or password not permitted$/)
  assert.ok(reason('x'.repeat(60_000)).length < 250)
})

test('a configuration that cannot be meant is refused, naming the principal', () => {
  const build = (...principals: AuthenticatorConfig['principals']) => Authenticator.create(configure({ principals }))
  const one = { username: 'u', password: 'p', permissions }
  assert.throws(() => build(one, { ...one, password: '' }), { code: 'ERR_AUTH_DUPLICATE_PRINCIPAL', message: /\bu\b/ })
  assert.throws(() => build({ ...one, permissions: [{ action: 'sub', permit: ['a/#/b'] }] }), {
    code: 'ERR_AUTH_BAD_PERMIT',
    message: /principal u: .*a\/#\/b/,
  })
})

test('a malformed or greedy hash is refused, naming the principal but not the hash', () => {
  const salt = 'A'.repeat(22)
  const hash = 'A'.repeat(43)
  for (const password of [
    '$scrypt$',
    '$scrypt$plain',
    `$scrypt$ln=14,r=8,p=1$${salt}`,
    `$scrypt$ln=9,r=8,p=1$${salt}$${hash}`,
    `$scrypt$ln=21,r=1,p=1$${salt}$${hash}`,
    `$scrypt$ln=20,r=8,p=1$${salt}$${hash}`,
    `$scrypt$ln=14,r=33,p=1$${salt}$${hash}`,
    `$scrypt$ln=14,r=0,p=1$${salt}$${hash}`,
    `$scrypt$ln=14,r=8,p=17$${salt}$${hash}`,
    `$scrypt$ln=14,r=8,p=0$${salt}$${hash}`,
    `$scrypt$ln=14,r=8,p=1$${salt}$AAAA`,
    `$scrypt$ln=14,r=8,p=1$AAAA$${hash}`,
    `$scrypt$ln=14,r=8,p=1$${salt}==$${hash}=`,
    `$scrypt$ln=14,r=8,p=1$${salt}$${hash}\n`,
    `$scrypt$ln=14,r=8,p=1$${'A'.repeat(21)}B$${hash}`,
    `$scrypt$ln=14,r=8,p=1$${salt}$${hash}$`,
  ]) {
    const principals = [{ username: 'hashed-user', password, permissions }]
    assert.throws(
      () => Authenticator.create(configure({ principals })),
      (thrown: Error & { code?: string }) =>
        thrown.code === 'ERR_AUTH_BAD_HASH' && /hashed-user/.test(thrown.message) && !thrown.message.includes(hash),
      password,
    )
  }
})

suite('hashed passwords', () => {
  let hash = ''
  before(async () => {
    hash = await hashPassword('sécret', { ln: 10 })
  })

  const hashed = (): AuthenticatorConfig['principals'] => [{ username: 'h', password: hash, permissions }]
  const show = (username: string, password: string): Credentials => ({
    username,
    password: bytes(password),
    certificate: null,
  })

  test('the right one is let in, any other is not', async () => {
    const authenticator = Authenticator.create(configure({ principals: hashed() }))
    assert.equal(outcome(await authenticator.authenticate(show('h', 'sécret'))), 'password:h')
    for (const password of ['Sécret', 'secret', hash]) {
      assert.equal(outcome(await authenticator.authenticate(show('h', password))), 4)
    }
  })

  test('the default cost works and no two hashes of a password are alike', async () => {
    const [one, two] = await Promise.all([hashPassword('p'), hashPassword('p')])
    assert.notEqual(one, two)
    assert.match(one, /^\$scrypt\$ln=14,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    const principals = [{ username: 'h', password: one, permissions }]
    const authenticator = Authenticator.create(configure({ principals }))
    assert.equal(outcome(await authenticator.authenticate(show('h', 'p'))), 'password:h')
  })

  test('the costliest hash that is accepted can be computed', async () => {
    for (const cost of [
      { ln: 16, r: 8, p: 1 },
      { ln: 14, r: 32, p: 1 },
      { ln: 10, r: 32, p: 16 },
    ]) {
      const principals = [{ username: 'h', password: await hashPassword('p', cost), permissions }]
      const authenticator = Authenticator.create(configure({ principals }))
      assert.equal(outcome(await authenticator.authenticate(show('h', 'p'))), 'password:h')
    }
    await assert.rejects(hashPassword('p', { ln: 17 }), RangeError)
    await assert.rejects(hashPassword('p', { ln: 12.5 }), RangeError)
  })

  test('a hash made by another program is understood', async () => {
    // RFC 7914, section 12: "pleaseletmein" with the salt "SodiumChloride", N = 16384, r = 8, p = 1.
    const known =
      '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2' +
      'd5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887'
    const base64 = (data: Buffer): string => data.toString('base64').replaceAll('=', '')
    const password = `$scrypt$ln=14,r=8,p=1$${base64(Buffer.from('SodiumChloride'))}$${base64(Buffer.from(known, 'hex'))}`
    const authenticator = Authenticator.create(configure({ principals: [{ username: 'h', password, permissions }] }))
    assert.equal(outcome(await authenticator.authenticate(show('h', 'pleaseletmein'))), 'password:h')
    assert.equal(outcome(await authenticator.authenticate(show('h', 'pleaseletmeout'))), 4)
  })

  test('an unknown username costs a computation too, and is refused', async () => {
    const authenticator = Authenticator.create(configure({ principals: hashed() }))
    for (const username of ['nobody', 'device']) {
      const verdict = authenticator.authenticate(show(username, 'sécret'))
      assert.ok(verdict instanceof Promise)
      assert.equal(outcome(await verdict), 4)
    }
  })

  test('where both kinds are configured, unknown usernames get either kind, each always the same', async () => {
    const principals = [...hashed(), { username: 'u', password: 'p', permissions }]
    const authenticator = Authenticator.create(configure({ principals }), { maxWaitingChecks: 1000 })
    const names = Array.from({ length: 64 }, (_, i) => `guess${i}`)
    const kinds = (): boolean[] => names.map(name => authenticator.authenticate(show(name, 'x')) instanceof Promise)
    const first = kinds()
    assert.deepEqual(kinds(), first)
    assert.deepEqual(new Set(first), new Set([true, false]))
    assert.equal(outcome(authenticator.authenticate(show('u', 'p'))), 'password:u')
    // The last in the queue: when it is answered, so are the others.
    assert.equal(outcome(await authenticator.authenticate(show('h', 'x'))), 4)
  })

  test('a crowd beyond the queue is told that the server is unavailable, the others are answered', async () => {
    const authenticator = Authenticator.create(configure({ principals: hashed() }), {
      checksAtOnce: 2,
      maxWaitingChecks: 3,
    })
    const crowd = await Promise.all(
      Array.from({ length: 8 }, async () => authenticator.authenticate(show('h', 'sécret'))),
    )
    assert.deepEqual(crowd.map(outcome), [...Array<string>(5).fill('password:h'), 3, 3, 3])
    assert.equal(outcome(await authenticator.authenticate(show('h', 'sécret'))), 'password:h')
  })
})

test('who came in with a password is another one when the configured text of it is', async () => {
  const withPassword = (password: string): AuthenticatorConfig =>
    configure({ principals: [{ username: 'u', password, permissions }] })
  const first = Authenticator.create(withPassword('p'))
  const verdict = await first.authenticate({ username: 'u', password: bytes('p'), certificate: null })
  assert.ok('principal' in verdict, 'it is let in')
  const { principal } = verdict
  const recognized = (password: string): string | undefined =>
    Authenticator.create(withPassword(password), { previous: first }).recognize({
      principal,
      username: 'u',
      certificate: null,
    })?.name
  assert.equal(recognized('p'), 'u')
  assert.equal(recognized('P'), undefined)
  assert.equal(recognized(await hashPassword('p', { ln: 10 })), undefined, 'a hash of the same password')
  assert.equal(recognized(''), undefined, 'no password any more')
  const second = Authenticator.create(withPassword('q'), { previous: first })
  const third = Authenticator.create(withPassword('p'), { previous: second })
  assert.equal(third.recognize({ principal, username: 'u', certificate: null })?.name, 'u', 'its password again')
  assert.equal(second.hasThoseOf(first), false)
})

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  ConnackTimeout,
  ConnectRefused,
  explainFailure,
  KeepaliveLost,
  PeerClosed,
  SubscribeRefused,
} from '../../../src/bridge/failure.ts'
import { OpenFailed, OpenTimeout, UpgradeRefused, WebSocketClosed } from '../../../src/bridge/transport/index.ts'
import { GatewayError } from '../../../src/common/index.ts'
import type { ClientConfig } from '../../../src/config/index.ts'
import { remoteAt } from './transport-kit.ts'

type Where = Parameters<typeof explainFailure>[1]

const SECRET = 'sesame-open'

function where(phase: Where['phase'], changes: Partial<ClientConfig> = {}, others: Partial<Where> = {}): Where {
  const login = { username: 'device', password: SECRET }
  const config = remoteAt(changes.address ?? 'tcp://broker.example:1883', { ...login, ...changes })
  return { rule: 'plant1', side: 'remote', config, clientId: 'plant-1', phase, ...others }
}

const system = (code: string, more: object = {}): Error =>
  Object.assign(new Error(`connect ${code}`), { code, syscall: 'connect', ...more })

const ssl = (reason: string): Error =>
  Object.assign(new Error(`00C0:error:0A000418:SSL routines:ssl3_read_bytes:${reason}:s3.c:1590:`), {
    code: `ERR_SSL_${reason.toUpperCase().replaceAll(' ', '_')}`,
    reason,
    library: 'SSL routines',
  })

const TLS = { address: 'ssl://broker.example:8883' }
const OURS = { ...TLS, cert: 'plant.pem', key: 'plant.key' }

interface Case {
  readonly name: string
  readonly cause: unknown
  readonly where: Where
  readonly code: string
  readonly text: RegExp
  readonly retryable: boolean
}

const cases: Case[] = []
const add = (name: string, cause: unknown, at: Where, code: string, text: RegExp, retryable = false): void => {
  cases.push({ name, cause, where: at, code: `ERR_BRIDGE_${code}`, text, retryable })
}

const tcp = (failure: Error): OpenFailed => new OpenFailed('tcp', failure)
const refused = system('ECONNREFUSED', { address: '10.0.0.5', port: 1883 })
const unreachable = system('ENETUNREACH', { address: '2001:db8::5', port: 1883 })

add(
  'a name without an address',
  new OpenFailed('lookup', system('ENOTFOUND')),
  where('connect'),
  'DNS',
  /the name broker\.example has no address \(ENOTFOUND\): check how it is written in remotes\[\]\.address/,
  true,
)
add(
  'DNS that does not answer',
  new OpenFailed('lookup', system('EAI_AGAIN')),
  where('connect'),
  'DNS',
  /can't be looked up now \(EAI_AGAIN\)/,
  true,
)
add(
  'nobody listens',
  tcp(refused),
  where('connect'),
  'REFUSED',
  /no broker accepts connections at 10\.0\.0\.5:1883/,
  true,
)
add(
  'several addresses that fail',
  tcp(new AggregateError([unreachable, refused])),
  where('connect'),
  'REFUSED',
  /at 10\.0\.0\.5:1883 \(ECONNREFUSED\)/,
  true,
)
add(
  'several addresses that fail, as they come from the system',
  new AggregateError([unreachable, system('ETIMEDOUT', { address: '10.0.0.5', port: 1883 })]),
  where('connect'),
  'TIMEOUT',
  /no answer from 10\.0\.0\.5:1883/,
  true,
)
add(
  'no route',
  tcp(unreachable),
  where('connect'),
  'UNREACHABLE',
  /no route.*\(ENETUNREACH for \[2001:db8::5\]:1883\)/,
  true,
)
add(
  'no host',
  tcp(system('EHOSTUNREACH')),
  where('connect'),
  'UNREACHABLE',
  /host does not answer on its network/,
  true,
)
add('a silent host', tcp(system('ETIMEDOUT')), where('connect'), 'TIMEOUT', /no answer from broker\.example:1883/, true)
add(
  'a look-up without an end',
  new OpenTimeout('lookup', 30_000),
  where('connect'),
  'DNS',
  /the address of broker\.example was not found within 30s \(remotes\[\]\.timeout\)/,
  true,
)
add(
  'a host that drops packets',
  new OpenTimeout('tcp', 30_000),
  where('connect'),
  'TIMEOUT',
  /no answer from broker\.example:1883: .*firewall.* within 30s/,
  true,
)
add(
  'a silent TLS server',
  new OpenTimeout('tls', 1500),
  where('connect', TLS),
  'TIMEOUT',
  /TLS handshake within 1s500ms/,
  true,
)
add('a network that is gone', system('ETIMEDOUT'), where('connected'), 'TIMEOUT', /does not deliver any more/, true)
add('no file descriptors', tcp(system('EMFILE')), where('connect'), 'UNAVAILABLE', /no file descriptor is left/, true)
add('an unknown failure', tcp(new Error('strange')), where('connect'), 'UNREACHABLE', /no connection: strange/, true)

add(
  'a handshake that is cut',
  new OpenFailed('tls', system('ECONNRESET')),
  where('connect', TLS),
  'TLS',
  /closed the connection during the TLS handshake: check that port 8883 is its port for TLS/,
  true,
)
add(
  'a port without TLS',
  new OpenFailed('tls', Object.assign(ssl('wrong version number'), { code: 'EPROTO', reason: undefined })),
  where('connect', TLS),
  'TLS',
  /port 8883 does not speak TLS \(wrong version number\): .*tcp:\/\/ in remotes\[\]\.address/,
)
for (const [reason, text] of [
  ['sslv3 alert certificate expired', /our certificate plant\.pem has expired.*the clock here says 20/],
  ['ssl/tls alert certificate expired', /our certificate plant\.pem has expired/],
  ['tlsv1 alert unknown ca', /our certificate plant\.pem was signed by an authority that it does not know/],
  ['sslv3 alert bad certificate', /our certificate plant\.pem is bad/],
  ['sslv3 alert certificate unknown', /our certificate plant\.pem is not acceptable/],
  ['tlsv13 alert certificate required', /another client certificate than plant\.pem/],
  ['sslv3 alert handshake failure', /another certificate than our certificate plant\.pem/],
] as const) {
  add(`the alert ${reason}`, ssl(reason), where('connack', OURS), 'TLS', text)
}
for (const reason of [
  'tlsv13 alert certificate required',
  'sslv3 alert bad certificate',
  'sslv3 alert handshake failure',
]) {
  add(
    `the alert ${reason} to us without a certificate`,
    ssl(reason),
    where('connack', TLS),
    'TLS',
    /wants? (it )?a client certificate|want a client certificate/,
  )
}
add(
  'a name that it does not have',
  ssl('tlsv1 unrecognized name'),
  where('connect', TLS),
  'TLS',
  /the name broker\.example: correct remotes\[\]\.servername/,
)
add(
  'an alert that says nothing',
  ssl('tlsv1 alert internal error'),
  where('connected', TLS),
  'TLS',
  /TLS failed: tlsv1 alert internal error/,
)
add(
  'a revoked certificate',
  new OpenFailed('tls', system('CERT_REVOKED')),
  where('connect', TLS),
  'TLS',
  /its certificate was revoked/,
)
for (const code of [
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
]) {
  const failure = new OpenFailed('tls', system(code))
  add(
    `${code} without ca`,
    failure,
    where('connect', TLS),
    'TLS',
    new RegExp(`known to Node\\.js \\(${code}\\).*remotes\\[\\]\\.ca`),
  )
  add(
    `${code} with ca`,
    failure,
    where('connect', { ...TLS, ca: 'my-ca.pem' }),
    'TLS',
    /in my-ca\.pem .*remotes\[\]\.ca/,
  )
}

add(
  'CONNACK 1',
  new ConnectRefused(1),
  where('connack'),
  'PROTOCOL_LEVEL',
  /refuses MQTT 3\.1\.1 .*remotes\[\]\.tryprivate: false/,
)
add(
  'CONNACK 2',
  new ConnectRefused(2),
  where('connack'),
  'CLIENT_ID',
  /client id "plant-1" .*rules\[\]\.remote\.clientid/,
)
add('CONNACK 3', new ConnectRefused(3), where('connack'), 'UNAVAILABLE', /not available/, true)
add(
  'CONNACK 4',
  new ConnectRefused(4),
  where('connack'),
  'AUTH',
  /the username "device" or its password.*remotes\[\]\.username and remotes\[\]\.password$/,
)
add(
  'CONNACK 4 with a password file',
  new ConnectRefused(4),
  where('connack', { password: '', passwordFile: 'var/token' }),
  'AUTH',
  /the first line of remotes\[\]\.passwordfile var\/token$/,
)
add(
  'CONNACK 4 without a username',
  new ConnectRefused(4),
  where('connack', { username: '', password: '' }),
  'AUTH',
  /wants a username and a password/,
)
add(
  'CONNACK 5',
  new ConnectRefused(5),
  where('connack'),
  'AUTH',
  /does not admit client id "plant-1" with username "device" \(CONNACK 5\): check remotes\[\]\.username/,
)
add('CONNACK 5 over TLS', new ConnectRefused(5), where('connack', TLS), 'AUTH', /remotes\[\]\.cert/)
add(
  'CONNACK 5 without a username',
  new ConnectRefused(5),
  where('connack', { username: '', password: '' }),
  'AUTH',
  /"plant-1" without a username/,
)
add('CONNACK 77', new ConnectRefused(77), where('connack'), 'PROTOCOL', /unknown return code 77/)
add(
  'no CONNACK',
  new ConnackTimeout(),
  where('connack'),
  'TIMEOUT',
  /did not answer CONNECT within 10s .*port 1883 is the one for MQTT without TLS/,
  true,
)
add('no SUBACK', new ConnackTimeout(), where('subscribe'), 'TIMEOUT', /did not answer SUBSCRIBE within 10s/, true)

add(
  'silence',
  new KeepaliveLost(),
  where('connected', { keepaliveMs: 60_000 }),
  'KEEPALIVE',
  /nothing came for 1m30s/,
  true,
)
add(
  'closed instead of CONNACK',
  new PeerClosed(12),
  where('connack'),
  'CLOSED',
  /instead of answering CONNECT: port 1883 may be one for TLS.*client id "plant-1"/,
  true,
)
add(
  'closed instead of CONNACK over TLS',
  new PeerClosed(12),
  where('connack', TLS),
  'CLOSED',
  /it may want a client certificate \(remotes\[\]\.cert and key\)/,
  true,
)
add(
  'closed instead of CONNACK in spite of our certificate',
  system('ECONNRESET'),
  where('connack', OURS),
  'CLOSED',
  /it may not accept our certificate plant\.pem/,
  true,
)
add(
  'closed instead of SUBACK',
  new PeerClosed(30),
  where('subscribe'),
  'CLOSED',
  /instead of answering SUBSCRIBE: it may not permit/,
  true,
)
add(
  'closed soon',
  new PeerClosed(2345),
  where('connected'),
  'CLOSED',
  /after 2s: unless it was stopped, another client with client id "plant-1".*or it does not permit what was published/,
  true,
)
add(
  'reset soon',
  new PeerClosed(80, { cause: system('ECONNRESET') }),
  where('connected'),
  'CLOSED',
  /after 80ms: unless it was stopped, another client/,
  true,
)
add('closed late', new PeerClosed(7_200_000), where('connected'), 'CLOSED', /after 2h$/, true)
add(
  'closed with an alert',
  new PeerClosed(80, { cause: ssl('tlsv1 alert unknown ca') }),
  where('connected', OURS),
  'TLS',
  /our certificate/,
)
add('reset', system('ECONNRESET'), where('connected'), 'CLOSED', /cut the connection/, true)

add(
  'filters',
  new SubscribeRefused(['a/#', 'b']),
  where('subscribe'),
  'SUBSCRIBE',
  /with username "device" to subscribe to "a\/#", "b": permit it there, or take them out of rules\[\]\.remote\.subscriptions/,
)
add(
  'many filters',
  new SubscribeRefused(Array.from({ length: 500 }, (_, i) => `f/${i}`)),
  where('subscribe'),
  'SUBSCRIBE',
  /"f\/9" and 490 more/,
)

add(
  'a path that is not there',
  new UpgradeRefused(404, 'Not Found', ''),
  where('connect', { address: 'ws://h/x' }),
  'PROTOCOL',
  /HTTP 404 Not Found: check the path \/x/,
)
add(
  'a closing code',
  new WebSocketClosed(1011, 'over\nload'),
  where('connected'),
  'CLOSED',
  /code 1011 \(over load\)/,
  true,
)
add(
  'a violation',
  new GatewayError('ERR_PROTOCOL_X', 'packet type 15'),
  where('connected'),
  'PROTOCOL',
  /packet type 15/,
)
add(
  'something else than MQTT',
  new Error('packet type 1, which no broker sends here'),
  where('connack'),
  'PROTOCOL',
  /packet type 1.*: check that port 1883 is the one for MQTT without TLS/,
)
add(
  'a file',
  new GatewayError('ERR_BRIDGE_CREDENTIALS_FILE', "can't read ca /x"),
  where('connect'),
  'CREDENTIALS_FILE',
  /: can't read ca \/x$/,
)

suite('a failure of a bridge is explained', () => {
  for (const { name, cause, where: at, code, text, retryable } of cases) {
    test(name, () => {
      const failure = explainFailure(cause, at)
      assert.equal(failure.code, code, failure.message)
      assert.match(failure.message, text)
      assert.equal(failure.retryable, retryable, failure.message)
      assert.equal(failure.cause, cause)
      assert.ok(failure.message.startsWith(`rule plant1: remote cloud (${at.config.address}): `), failure.message)
      assert.ok(!failure.message.includes(SECRET), failure.message)
      assert.ok(!failure.message.includes('\n'), failure.message)
    })
  }

  test('with the keys of the hub where that is meant', () => {
    const { name: _, ...config } = remoteAt('tcp://localhost:1883', { username: 'bridge' })
    const at: Where = { rule: 'plant1', side: 'hub', config, clientId: 'plant-1', phase: 'connack' }
    const failure = explainFailure(new ConnectRefused(4), at)
    assert.ok(failure.message.startsWith('rule plant1: hub (tcp://localhost:1883): '), failure.message)
    assert.match(failure.message, /check hub\.username and hub\.password/)
    const other = explainFailure(new SubscribeRefused(['x']), { ...at, phase: 'subscribe' })
    assert.match(other.message, /rules\[\]\.hub\.subscriptions/)
  })

  test('once', () => {
    const at = where('connack')
    const failure = explainFailure(new ConnectRefused(5), at)
    assert.equal(explainFailure(failure, at), failure)
  })

  test('without our password, whoever wrote it', () => {
    const texts = [
      new Error(`bad login device:${SECRET}`),
      new UpgradeRefused(400, `no ${SECRET}`, `/?p=${SECRET}`),
      new UpgradeRefused(302, `no ${SECRET}`, `/?p=${SECRET}`),
      new WebSocketClosed(1008, SECRET),
      new GatewayError('ERR_BRIDGE_PROTOCOL', SECRET),
      new OpenFailed('websocket', new Error(SECRET)),
      new OpenFailed('tls', new Error(SECRET)),
      SECRET,
    ]
    for (const cause of texts) {
      const { message } = explainFailure(cause, where('connect'))
      assert.ok(!message.includes(SECRET), message)
    }
  })

  test('without flooding the log', () => {
    const long = 'x'.repeat(100_000)
    for (const cause of [
      new Error(long),
      new UpgradeRefused(302, long, long),
      new WebSocketClosed(1008, long),
      new SubscribeRefused(Array.from({ length: 1000 }, () => long)),
    ]) {
      const { message } = explainFailure(cause, where('connected'))
      assert.ok(message.length < 4000, `${message.length} characters`)
    }
  })

  test('whatever is thrown', () => {
    for (const phase of ['connect', 'connack', 'subscribe', 'connected'] as const) {
      for (const cause of [
        undefined,
        null,
        7,
        {},
        'text',
        new AggregateError([]),
        new PeerClosed(0),
        new KeepaliveLost(),
      ]) {
        const failure = explainFailure(cause, where(phase))
        assert.ok(failure.code.startsWith('ERR_BRIDGE_'), failure.code)
      }
    }
    const failure = explainFailure(
      new GatewayError('ERR_CONFIG_CLIENT_URL', 'is no URL'),
      where('connect', { address: 'x' }),
    )
    assert.equal(failure.code, 'ERR_CONFIG_CLIENT_URL')
  })
})

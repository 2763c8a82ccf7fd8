import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { formatDuration, formatSize } from '../../src/common/index.ts'
import { type BridgeConfig, type ClientConfig, ConfigError, parseBridgeConfig } from '../../src/config/index.ts'

const parse = (text: string, env: Record<string, string> = {}) =>
  parseBridgeConfig(text, { file: 'random.yml', env, strict: true })

const anyText = fc.string({ unit: 'grapheme', maxLength: 20 }).filter(text => !/\$\{|\{\{|\0/.test(text))
const someText = anyText.filter(text => text !== '')
const count = fc.integer({ min: 1, max: 10_000 })
const ms = fc.integer({ min: 1, max: 2_000_000_000 })
const qos = fc.constantFrom(0 as const, 1 as const, 2 as const)
const level = fc.stringMatching(/^[a-z0-9 中_-]{0,5}$/)
const topic = fc.array(level, { minLength: 1, maxLength: 12 }).map(levels => `t${levels.join('/')}`)
const filter = fc.tuple(topic, fc.constantFrom('', '/+', '/#', '/+/#')).map(([head, tail]) => head + tail)

const clientKeys = {
  username: someText,
  ca: anyText,
  insecure: fc.boolean(),
  servername: fc.constantFrom('', 'broker.example', 'a_b'),
  alpn: fc.array(someText, { maxLength: 3 }),
  cleanSession: fc.boolean(),
  timeoutMs: ms,
  intervalMs: ms,
  keepaliveMs: fc.integer({ min: 1, max: 65_535 }).map(seconds => seconds * 1000),
  bufferSize: fc.integer({ min: 1, max: 65_535 }),
  validateSubs: fc.boolean(),
  tryPrivate: fc.boolean(),
}
const secrets = fc.oneof(
  fc.record({ password: anyText, passwordFile: fc.constant('') }),
  fc.record({ password: fc.constant(''), passwordFile: anyText }),
)
const pair = fc.constantFrom({ cert: '', key: '' }, { cert: 'c.pem', key: 'k.pem' })
const scheme = fc.constantFrom('tcp', 'mqtt', 'ssl', 'tls', 'mqtts', 'ws', 'wss')

function client(host: string, clientId: fc.Arbitrary<string>): fc.Arbitrary<ClientConfig> {
  const address = fc
    .tuple(scheme, fc.integer({ min: 1, max: 65_535 }))
    .map(([name, port]) => `${name}://${host}:${port}`)
  return fc
    .tuple(fc.record({ ...clientKeys, address, clientId }), secrets, pair)
    .map(([rest, secret, certificate]) => ({ ...rest, ...secret, ...certificate }))
}

const subscriptions = fc.array(
  fc.record({
    topic: filter,
    qos,
    target: fc.record({
      topic: fc.constantFrom('', 'x', '{topic}', 'a/{topic}/b', '$aws/x', '\\{'),
      qos,
      retain: fc.constantFrom('keep' as const, 'clear' as const),
    }),
    limit: fc.option(fc.record({ rate: count, burst: fc.nat(10_000) })),
  }),
  { maxLength: 3 },
)

/** Identifiers and names of rules are numbered, so each is there once. */
const config: fc.Arbitrary<BridgeConfig> = fc.nat({ max: 3 }).chain(remoteCount =>
  fc.record({
    hub: client('hub', fc.constant('')),
    remotes: fc.tuple(
      ...Array.from({ length: remoteCount }, (_, i) =>
        client(`r${i}`, anyText).map(remote => ({ ...remote, name: `remote ${i}` })),
      ),
    ),
    rules: fc
      .array(
        fc.record({
          remote: fc.nat({ max: Math.max(remoteCount - 1, 0) }),
          out: subscriptions,
          in: subscriptions,
          max: fc.nat(1000),
        }),
        { maxLength: remoteCount === 0 ? 0 : 5 },
      )
      .map(rules =>
        rules.map((rule, i) => ({
          name: `rule-${i}`,
          hub: { clientId: `hub ${i}`, subscriptions: rule.out },
          remote: { name: `remote ${rule.remote}`, clientId: `remote ${i}`, subscriptions: rule.in },
          offline: { max: rule.max },
        })),
      ),
    message: fc.record({ maxBytes: fc.integer({ min: 1, max: 268_435_455 }) }),
    status: fc.record({ topic: fc.constantFrom('none', '$SYS/bridge/{rule}/state', 'a/{rule}') }),
    shutdownTimeoutMs: ms,
    metrics: fc.record({ listen: fc.constantFrom('', 'http://127.0.0.1:0', 'http://[::1]:1') }),
    control: fc.record({ socket: fc.constantFrom('auto', 'none', 'run/bridge.sock') }),
    logger: fc.record({
      path: anyText,
      level: fc.constantFrom('debug' as const, 'info' as const, 'warn' as const, 'error' as const),
      format: fc.constantFrom('text' as const, 'json' as const),
      maxAgeDays: count,
      maxSizeMb: count,
      maxBackups: count,
    }),
  }),
)

function clientFile({ clientId, ...client }: ClientConfig): object {
  const { passwordFile, cleanSession, timeoutMs, intervalMs, keepaliveMs, bufferSize, ...rest } = client
  const { validateSubs, tryPrivate, ...same } = rest
  return {
    ...same,
    clientid: clientId,
    passwordfile: passwordFile,
    cleansession: cleanSession,
    timeout: formatDuration(timeoutMs),
    interval: intervalMs * 1e6,
    keepalive: formatDuration(keepaliveMs),
    buffersize: bufferSize,
    validatesubs: validateSubs,
    tryprivate: tryPrivate,
  }
}

/** The file that means `config`. */
function fileOf({ hub, remotes, rules, message, shutdownTimeoutMs, logger, ...same }: BridgeConfig): object {
  return {
    ...same,
    // Its client identifier is ignored.
    hub: clientFile({ ...hub, clientId: 'x' }),
    remotes: remotes.map(clientFile),
    rules: rules.map(rule => ({
      ...rule,
      hub: { clientid: rule.hub.clientId, subscriptions: rule.hub.subscriptions },
      remote: {
        name: rule.remote.name,
        clientid: rule.remote.clientId,
        subscriptions: rule.remote.subscriptions,
      },
    })),
    message: { length: { max: formatSize(message.maxBytes) } },
    shutdown: { timeout: formatDuration(shutdownTimeoutMs) },
    logger: {
      path: logger.path,
      level: logger.level,
      format: logger.format,
      age: { max: logger.maxAgeDays },
      size: { max: logger.maxSizeMb },
      backup: { max: logger.maxBackups },
    },
  }
}

test('every valid configuration of a bridge comes back from its file as it was', () => {
  fc.assert(
    fc.property(config, fc.boolean(), (generated, isJson) => {
      // Without the objects that have no prototype, which a file can't make.
      const expected = structuredClone(generated)
      const text = isJson ? JSON.stringify(fileOf(expected)) : stringify(fileOf(expected))
      assert.deepEqual(parse(text).config, expected)
    }),
    { numRuns: 100 },
  )
})

/** Loaded, or the problems of the file, each with its place; anything else that is thrown is thrown. */
function load(text: string, env: Record<string, string> = {}): BridgeConfig | null {
  try {
    return parse(text, env).config
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    assert.ok(error.problems.length > 0, 'a refusal has a reason')
    const lineCount = text.split(/\r\n|\r|\n/).length
    for (const { file, line, column, message } of error.problems) {
      assert.equal(file, 'random.yml')
      assert.ok(line >= 1 && line <= lineCount + 1 && column >= 1 && message !== '', `${line}:${column}: ${message}`)
    }
    assert.equal(error.message.split('\n').length, error.problems.length, 'one line each')
    return null
  }
}

const scalars = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.integer(),
  fc.double(),
  fc.constantFrom(
    null,
    true,
    '${V}',
    '{{.V}}',
    '{1}',
    'tcp://[::',
    'ws://a:0/x',
    '\ud800',
    '$share/a/b',
    '1e999',
    '-1s',
  ),
)
const junk = fc.oneof(
  scalars,
  fc.constantFrom<unknown>([], {}, [[]], [null], { name: 'r' }, { topic: {} }, { subscriptions: [{}] }),
  fc.jsonValue({ maxDepth: 3 }),
)

/** The values below a node, each by whom it belongs to and its key. */
function placesOf(node: unknown): [owner: Record<string, unknown>, key: string][] {
  if (typeof node !== 'object' || node === null) return []
  const owner = node as Record<string, unknown>
  return Object.keys(owner).flatMap(key => [[owner, key] as [Record<string, unknown>, string], ...placesOf(owner[key])])
}

test('a file with some of its values exchanged is loaded or refused with problems that have their place', () => {
  const changes = fc.array(fc.tuple(fc.nat(), junk), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(config, changes, fc.boolean(), (generated, exchanged, isJson) => {
      const file = structuredClone(fileOf(generated)) as Record<string, unknown>
      for (const [at, value] of exchanged) {
        const places = placesOf(file)
        const [owner, key] = places[at % places.length] ?? [file, 'hub']
        owner[key] = structuredClone(value)
      }
      load(isJson ? JSON.stringify(file) : stringify(file), { V: 'a: [b' })
    }),
    { numRuns: 300 },
  )
})

test('a file with some of its text exchanged is loaded or refused with problems that have their place', () => {
  const edit = fc.tuple(fc.nat(), fc.nat({ max: 30 }), fc.string({ unit: 'binary', maxLength: 5 }))
  fc.assert(
    fc.property(config, fc.array(edit, { minLength: 1, maxLength: 3 }), (generated, edits) => {
      let text = stringify(fileOf(generated))
      for (const [at, length, inserted] of edits) {
        const start = at % (text.length + 1)
        text = text.slice(0, start) + inserted + text.slice(start + length)
      }
      load(text)
    }),
    { numRuns: 300 },
  )
})

test('of what is loaded no two connections are the same client of one broker', () => {
  // Few names, so that they meet.
  const id = fc.constantFrom('', 'a', 'b', 'a b', 'a_b', 'r', 's')
  const remote = fc.record({ address: fc.constantFrom('tcp://x', 'mqtt://X:1883', 'tcp://y'), clientid: id })
  const rule = fc.record({
    name: id,
    hub: fc.record({ clientid: id }),
    remote: fc.record({ name: fc.constantFrom('r', 's'), clientid: id }),
  })
  const hub = fc.record({ address: fc.constantFrom('tcp://x', 'tcp://h') })
  let accepted = 0
  fc.assert(
    fc.property(hub, remote, remote, fc.array(rule, { maxLength: 3 }), (hub, r, s, rules) => {
      const remotes = [
        { name: 'r', ...r },
        { name: 's', ...s },
      ]
      const loaded = load(JSON.stringify({ hub, remotes, rules }))
      const host = (address: string) => address.toLowerCase().replace(/^\w+:\/\/(\w+).*/, '$1')
      const addresses = new Map(remotes.map(({ name, address }) => [name, host(address)]))
      const written = rules.map(({ name, hub: near, remote: far }) => {
        const other = far.name === 'r' ? r : s
        const onRemote = far.clientid || other.clientid || far.name
        const onHub = near.clientid || onRemote
        return {
          name: (name || onHub).replace(' ', '_'),
          clients: [`${addresses.get(far.name)} ${onRemote}`, `${host(hub.address)} ${onHub}`],
        }
      })
      const clients = written.flatMap(each => each.clients)
      const names = written.map(each => each.name)
      const isFine = new Set(clients).size === clients.length && new Set(names).size === names.length
      assert.equal(loaded !== null, isFine, clients.join(', '))
      if (loaded === null || loaded.rules.length < 2) return
      accepted++
      assert.deepEqual(
        loaded.rules.map(each => each.name),
        names,
      )
    }),
    { numRuns: 1000 },
  )
  assert.ok(accepted > 20, `some were fine: ${accepted}`)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/common/index.ts'
import { ConfigError, type HubConfig, type PrincipalConfig, parseHubConfig } from '../../src/config/index.ts'

test('durations round trip', () => {
  fc.assert(fc.property(fc.integer(), ms => parseDuration(formatDuration(ms)) === ms))
  const nanos = fc.tuple(fc.nat({ max: 1_000_000 }), fc.nat({ max: 999_999 }))
  fc.assert(fc.property(nanos, ([ms, ns]) => parseDuration(formatDuration(ms + ns / 1e6)) === (ms * 1e6 + ns) / 1e6))
  fc.assert(
    fc.property(fc.string(), text => {
      const ms = parseDuration(text)
      return ms === null || Number.isFinite(ms)
    }),
  )
})

test('sizes round trip', () => {
  fc.assert(fc.property(fc.maxSafeNat(), bytes => parseSize(formatSize(bytes)) === bytes))
  const exact = fc.tuple(fc.nat({ max: 4095 }), fc.nat({ max: 4 }))
  fc.assert(fc.property(exact, ([n, power]) => parseSize(formatSize(n * 1024 ** power)) === n * 1024 ** power))
})

const level = fc.stringMatching(/^[a-z0-9 中_-]{0,5}$/)
const topic = fc.array(level, { minLength: 1, maxLength: 5 }).map(levels => `t${levels.join('/')}`)
const filter = fc.tuple(topic, fc.constantFrom('', '/+', '/#', '/+/#')).map(([head, tail]) => head + tail)
const anyText = fc.string({ unit: 'grapheme', maxLength: 20 }).filter(text => !/\$\{|\{\{/.test(text))
const permissions = fc.array(
  fc.record({ action: fc.constantFrom('pub' as const, 'sub' as const), permit: fc.array(filter, { maxLength: 3 }) }),
  { maxLength: 3 },
)
/** Whom rules name. */
const RULE_PRINCIPAL: PrincipalConfig = { username: 'rule', password: 'x', permissions: [] }
const count = fc.integer({ min: 1, max: 10_000 })
const ms = fc.integer({ min: 1, max: 2_000_000_000 })

const config: fc.Arbitrary<HubConfig> = fc.record({
  listen: fc.uniqueArray(fc.integer({ min: 1, max: 65_535 })).map(ports => ports.map(port => `tcp://:${port}`)),
  certificate: fc.record({
    ca: fc.constant('ca.pem'),
    key: fc.constant('k.key'),
    cert: fc.constant('c.pem'),
    identity: fc.constantFrom('username' as const, 'cn' as const, 'san' as const),
  }),
  principals: fc
    .uniqueArray(fc.record({ username: anyText, password: anyText, permissions }), {
      selector: ({ username }) => username,
      maxLength: 5,
    })
    .map(list => [...list.filter(({ username }) => username !== 'rule'), RULE_PRINCIPAL]),
  anonymous: fc.option(fc.record({ permissions })),
  // From below s to below r: no circles.
  subscriptions: fc.uniqueArray(
    fc.record({
      source: fc.record({
        topic: filter.map(text => `s/${text}`),
        qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
        principal: fc.constantFrom('', 'rule'),
      }),
      target: fc.record({
        topic: fc
          .tuple(topic, fc.constantFrom('', '/{topic}', '-{clientid}/{username}'))
          .map(([head, tail]) => `r/${head}${tail}`),
        qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
        retain: fc.constantFrom('clear' as const, 'keep' as const, 'set' as const),
      }),
      limit: fc.option(fc.record({ rate: count, burst: fc.nat(10_000) })),
      authorize: fc.constant(true),
      principal: fc.constant('rule'),
    }),
    { selector: ({ source, target }) => `${source.topic}\0${target.topic}`, maxLength: 5 },
  ),
  message: fc.record({
    maxBytes: count,
    ingress: fc.record({
      qos0BufferSize: count,
      qos1BufferSize: count,
      qos1BatchMax: count,
      qos1RetentionMs: ms,
      qos1CleanupIntervalMs: ms,
    }),
    egress: fc.record({ qos0BufferSize: count, qos1BufferSize: count, qos1BatchMax: count, qos1RetryIntervalMs: ms }),
    offset: fc.record({ bufferSize: count, batchMax: count }),
  }),
  queue: fc.record({
    maxMessages: count,
    maxBytes: count,
    maxTotalBytes: count,
    overflow: fc.constantFrom('drop-oldest' as const, 'drop-newest' as const, 'reject-publish' as const),
  }),
  session: fc.record({ expiryMs: fc.option(fc.integer({ min: 1, max: 3_153_600_000_000 })) }),
  storage: fc.record({
    dir: anyText,
    sync: fc.constantFrom('always' as const, 'interval' as const, 'never' as const),
    intervalMs: fc.integer({ min: 10, max: 3_600_000 }),
    maxBytes: fc.oneof(fc.constant(0), fc.integer({ min: 16_777_216, max: 1_125_899_906_842_624 })),
    reserveBytes: fc.nat(1_073_741_824),
  }),
  shutdownTimeoutMs: ms,
  metrics: fc.record({
    reportIntervalMs: ms,
    listen: fc.constantFrom('', 'http://127.0.0.1:0', 'http://[::1]:0', 'http://:0/'),
    events: fc.boolean(),
  }),
  control: fc.record({ socket: fc.constantFrom('auto', 'none', 'run/hub.sock') }),
  logger: fc.record({
    path: anyText,
    level: fc.constantFrom('debug' as const, 'info' as const, 'warn' as const, 'error' as const),
    format: fc.constantFrom('text' as const, 'json' as const),
    maxAgeDays: count,
    maxSizeMb: count,
    maxBackups: count,
  }),
  limits: fc.record({
    topicLength: fc.integer({ min: 255, max: 65_535 }),
    topicLevels: fc.integer({ min: 20, max: 100 }),
    topicDollar: fc.constantFrom('deny' as const, 'allow' as const),
    clientIdLength: count,
    clientIdCharset: fc.constantFrom('openedge' as const, 'any' as const),
    packetsBeforeConnect: fc.nat(1000),
    connections: count,
    filters: count,
    retainedCount: fc.nat(1000),
    retainedBytes: fc.nat(1_000_000),
    connectTimeoutMs: ms,
    drainTimeoutMs: fc.nat(1_000_000),
  }),
})

/** The file that means `config`. */
function fileOf(config: HubConfig): object {
  const { message, queue, session, storage, metrics, logger, limits, shutdownTimeoutMs, ...same } = config
  const { ingress, egress, offset } = message
  const { anonymous, ...rest } = same
  return {
    ...rest,
    ...(anonymous !== null && { anonymous }),
    message: {
      length: { max: formatSize(message.maxBytes) },
      ingress: {
        qos0: { buffer: { size: ingress.qos0BufferSize } },
        qos1: {
          buffer: { size: ingress.qos1BufferSize },
          batch: { max: ingress.qos1BatchMax },
          cleanup: {
            retention: formatDuration(ingress.qos1RetentionMs),
            interval: ingress.qos1CleanupIntervalMs * 1e6,
          },
        },
      },
      egress: {
        qos0: { buffer: { size: egress.qos0BufferSize } },
        qos1: {
          buffer: { size: egress.qos1BufferSize },
          batch: { max: egress.qos1BatchMax },
          retry: { interval: formatDuration(egress.qos1RetryIntervalMs) },
        },
      },
      offset: { buffer: { size: offset.bufferSize }, batch: { max: offset.batchMax } },
    },
    queue: {
      max: { messages: queue.maxMessages, bytes: formatSize(queue.maxBytes) },
      total: { bytes: formatSize(queue.maxTotalBytes) },
      overflow: queue.overflow,
    },
    session: { expiry: session.expiryMs === null ? 'never' : formatDuration(session.expiryMs) },
    storage: {
      dir: storage.dir,
      sync: storage.sync,
      interval: formatDuration(storage.intervalMs),
      max: { bytes: formatSize(storage.maxBytes) },
      reserve: formatSize(storage.reserveBytes),
    },
    shutdown: { timeout: formatDuration(shutdownTimeoutMs) },
    metrics: {
      report: { interval: formatDuration(metrics.reportIntervalMs) },
      listen: metrics.listen,
      events: metrics.events,
    },
    logger: {
      path: logger.path,
      level: logger.level,
      format: logger.format,
      age: { max: logger.maxAgeDays },
      size: { max: logger.maxSizeMb },
      backup: { max: logger.maxBackups },
    },
    limits: {
      topic: { length: limits.topicLength, levels: limits.topicLevels, dollar: limits.topicDollar },
      clientid: { length: limits.clientIdLength, charset: limits.clientIdCharset },
      packets: { before_connect: limits.packetsBeforeConnect },
      connections: limits.connections,
      filters: limits.filters,
      retained: { count: limits.retainedCount, bytes: limits.retainedBytes },
      connect: { timeout: formatDuration(limits.connectTimeoutMs) },
      drain: { timeout: formatDuration(limits.drainTimeoutMs) },
    },
  }
}

test('every valid configuration comes back from its file as it was', () => {
  fc.assert(
    fc.property(config, fc.boolean(), (generated, isJson) => {
      // Without the objects that have no prototype, which a file can't make.
      const expected = structuredClone(generated)
      const text = isJson ? JSON.stringify(fileOf(expected)) : stringify(fileOf(expected))
      assert.deepEqual(parseHubConfig(text, { file: 'random.yml', env: {}, strict: true }).config, expected)
    }),
    { numRuns: 100 },
  )
})

test('a value of the environment is that value and nothing else, wherever it stands', () => {
  const styles = ['${V}', '"${V}"', "'${V}'", '{{.V}}', '"{{ .V }}"', '${V:-x}', '>-\n      ${V}']
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.constantFrom(...styles), (value, style) => {
      const text = `principals:\n  - username: u\n    password: ${style}\nlisten: ["tcp://:1"]`
      const { config, warnings } = parseHubConfig(text, { file: 'random.yml', env: { V: value } })
      assert.deepEqual(config.principals, [{ username: 'u', password: value, permissions: [] }])
      assert.deepEqual(config.listen, ['tcp://:1'])
      assert.deepEqual(warnings, [])
    }),
  )
})

const keys = ['listen', 'principals', 'username', 'permissions', 'message', 'length', 'max', 'limits', 'logger', '<<']
const scalar = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    ...keys,
    '*a',
    '&a x',
    '${V}',
    '${N:-1}',
    '{{.V}}',
    '$${',
    '!!str 1',
    '? x',
    '- x',
    '#',
    '|',
    '1',
    '.inf',
  ),
  fc.integer().map(String),
)
const { tree } = fc.letrec<{ tree: unknown }>(tie => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    scalar,
    fc.array(tie('tree'), { maxLength: 5 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...keys), scalar), tie('tree'), { maxKeys: 5 }),
  ),
}))
const lines = fc
  .array(fc.tuple(fc.nat(6), fc.constantFrom('', '- ', ...keys.map(key => `${key}: `)), scalar), { maxLength: 12 })
  .map(parts => parts.map(([indent, head, value]) => ' '.repeat(indent) + head + value).join('\n'))
const junk = fc.oneof(
  lines,
  tree.map(value => stringify(value)),
  fc.string({ unit: 'binary' }),
)

test('whatever the file says, it is loaded or refused with problems that have their place', () => {
  const env = { V: 'a: [b', N: '' }
  fc.assert(
    fc.property(junk, text => {
      try {
        parseHubConfig(text, { file: 'random.yml', env })
      } catch (error) {
        assert.ok(error instanceof ConfigError)
        assert.ok(error.problems.length > 0)
        const lineCount = text.split(/\r\n|\r|\n/).length
        for (const { file, line, column, message } of error.problems) {
          assert.equal(file, 'random.yml')
          assert.ok(line >= 1 && line <= lineCount + 1 && column >= 1 && message !== '')
        }
        assert.equal(error.message.split('\n').length, error.problems.length)
      }
    }),
    { numRuns: 500 },
  )
})

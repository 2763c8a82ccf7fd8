import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../../src/common/index.ts'
import {
  ConfigError,
  defaultHubConfig,
  formatProblem,
  type HubConfig,
  type PermissionConfig,
  type PrincipalConfig,
  parseHubConfig,
  type RuleConfig,
} from '../../../src/config/index.ts'

type Env = Record<string, string | undefined>

function load(text: string, env: Env = {}, strict = false): HubConfig {
  return parseHubConfig(text, { file: 'service.yml', env, strict }).config
}

/** Problems as people see them, without the name of the file. */
function problems(text: string, env: Env = {}, strict = false): string[] {
  try {
    parseHubConfig(text, { file: 'service.yml', env, strict })
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems.map(problem => formatProblem(problem).replace('service.yml:', ''))
  }
  return []
}

function warnings(text: string, env: Env = {}, isPublicFile = false): string[] {
  const loaded = parseHubConfig(text, { file: 'service.yml', env, isPublicFile })
  return loaded.warnings.map(problem => formatProblem(problem).replace('service.yml:', ''))
}

test('an empty file means the defaults of OpenEdge', () => {
  const expected: HubConfig = {
    listen: [],
    certificate: { ca: '', key: '', cert: '', identity: 'username' },
    principals: [],
    anonymous: null,
    subscriptions: [],
    message: {
      maxBytes: 32_768,
      ingress: {
        qos0BufferSize: 10_000,
        qos1BufferSize: 100,
        qos1BatchMax: 50,
        qos1RetentionMs: 172_800_000,
        qos1CleanupIntervalMs: 60_000,
      },
      egress: { qos0BufferSize: 10_000, qos1BufferSize: 100, qos1BatchMax: 50, qos1RetryIntervalMs: 20_000 },
      offset: { bufferSize: 10_000, batchMax: 100 },
    },
    queue: { maxMessages: 10_000, maxBytes: 4_194_304, maxTotalBytes: 67_108_864, overflow: 'drop-oldest' },
    session: { expiryMs: null },
    storage: {
      dir: 'var/db/openedge/data',
      sync: 'always',
      intervalMs: 1000,
      maxBytes: 4_294_967_296,
      reserveBytes: 16_777_216,
    },
    shutdownTimeoutMs: 600_000,
    metrics: { reportIntervalMs: 60_000, listen: '', events: false },
    control: { socket: 'auto' },
    logger: { path: '', level: 'info', format: 'text', maxAgeDays: 15, maxSizeMb: 50, maxBackups: 15 },
    limits: {
      topicLength: 255,
      topicLevels: 9,
      topicDollar: 'deny',
      clientIdLength: 128,
      clientIdCharset: 'openedge',
      packetsBeforeConnect: 42,
      connections: 10_000,
      filters: 1_000,
      retainedCount: 25_000,
      retainedBytes: 16_777_216,
      connectTimeoutMs: 10_000,
      drainTimeoutMs: 60_000,
    },
  }
  for (const text of ['', '# nothing', '---\n', '~', 'message:\nlogger: {level: , age: {}}\nprincipals: []']) {
    assert.deepEqual(load(text), expected, text)
  }
  assert.deepEqual(defaultHubConfig(), expected)
  assert.notEqual(defaultHubConfig().limits, defaultHubConfig().limits)
})

test('the parts of a configuration have the types that others rely on', () => {
  const permission: PermissionConfig = { action: 'pub', permit: ['a/#'] }
  const principal: PrincipalConfig = { username: 'u', password: '', permissions: [permission] }
  const rule: RuleConfig = {
    source: { topic: 'a/+', qos: 1, principal: 'u' },
    target: { topic: 'b/{1}', qos: 2, retain: 'keep' },
    limit: { rate: 5, burst: 10 },
    authorize: true,
    principal: 'u',
  }
  const anonymous: HubConfig['anonymous'] = { permissions: [permission] }
  const config: HubConfig = { ...defaultHubConfig(), principals: [principal], subscriptions: [rule], anonymous }
  const text = JSON.stringify({ principals: [principal], subscriptions: [rule], anonymous })
  assert.deepEqual(load(text), config)
})

test('zero, empty and nothing mean the default of a key that OpenEdge has', () => {
  const text = `
certificate: {identity: ""}
message:
  length: {max: 0}
  ingress: {qos1: {buffer: {size: 0}, batch: {max: ~}, cleanup: {retention: 0, interval: 0s}}}
  egress: {qos1: {buffer: {size: 0}, retry: {interval: "0"}}}
storage: {dir: , sync: ""}
queue: {overflow: ""}
session: {expiry: }
shutdown: {timeout: }
metrics: {report: {interval: 0}, listen: , events: }
control: {socket: ""}
logger: {level: "", format: ~, age: {max: 0}, size: {max: 0}, backup: {max: 0}}
`
  assert.deepEqual(load(text), defaultHubConfig())
})

test('zero is kept where the key says what it means, else refused', () => {
  const { limits } = load(`
limits:
  packets: {before_connect: 0}
  retained: {count: 0, bytes: 0}
  drain: {timeout: 0s}
`)
  assert.equal(limits.packetsBeforeConnect, 0)
  assert.equal(limits.retainedCount, 0)
  assert.equal(limits.retainedBytes, 0)
  assert.equal(limits.drainTimeoutMs, 0)
  assert.deepEqual(
    problems(
      'limits: {connections: 0, filters: 0, connect: {timeout: 0}}\nqueue: {max: {messages: 0, bytes: 0}, total: {bytes: 0}}',
    ).length,
    6,
  )
})

test('the limits of queues, of one and of all together', () => {
  assert.deepEqual(load('queue: {max: {messages: 5, bytes: 1k}, total: {bytes: 32m}, overflow: drop-newest}').queue, {
    maxMessages: 5,
    maxBytes: 1024,
    maxTotalBytes: 33_554_432,
    overflow: 'drop-newest',
  })
  assert.equal(load('queue: {overflow: reject-publish}').queue.overflow, 'reject-publish')
  assert.deepEqual(problems('queue: {overflow: drop}'), [
    '1:19: queue.overflow: must be drop-oldest or drop-newest or reject-publish, got "drop"',
  ])
  assert.deepEqual(load('queue: {total: {bytes: 1}}').queue, { ...defaultHubConfig().queue, maxTotalBytes: 1 })
  assert.deepEqual(
    problems('queue:\n  total: {bytes: 0}').map(line => line.replace(/must.*/, '')),
    ['2:18: queue.total.bytes: '],
  )
  assert.equal(problems('queue: {total: {bytes: -1}}').length, 1)
  assert.deepEqual(warnings("listen: ['unix:///s']\nanonymous: {}\nqueue: {total: {byte: 1}}"), [
    '3:17: queue.total.byte: is no known key; did you mean bytes?',
  ])
})

test('durations, sizes and numbers', () => {
  const { message, shutdownTimeoutMs } = load(`
message:
  length: {max: 1.5 KiB}
  ingress: {qos1: {cleanup: {retention: 72h30m, interval: 1500000000}}}
  egress: {qos1: {retry: {interval: 500ms}, buffer: {size: 0x10}, batch: {max: 10000}}}
shutdown: {timeout: "1.5m"}
`)
  assert.equal(message.maxBytes, 1536)
  assert.equal(message.ingress.qos1RetentionMs, 261_000_000)
  assert.equal(message.ingress.qos1CleanupIntervalMs, 1500)
  assert.equal(message.egress.qos1RetryIntervalMs, 500)
  assert.equal(message.egress.qos1BufferSize, 16)
  assert.equal(shutdownTimeoutMs, 90_000)
})

test('text is what stands in the file, also when YAML takes it for something else', () => {
  const { principals, storage } = load(`
principals:
  - {username: 0123, password: 1e3}
  - {username: true, password: "7"}
  - {username: !!str 5, password: ~}
  - username: |
      two
      lines
storage: {dir: 2026-11-21}
`)
  const pairs = principals.map(({ username, password }) => [username, password])
  assert.deepEqual(pairs, [
    ['0123', '1e3'],
    ['true', '7'],
    ['5', ''],
    ['two\nlines\n', ''],
  ])
  assert.equal(storage.dir, '2026-11-21')
})

test('aliases and merged maps', () => {
  const { principals, logger } = load(`
principals:
  - username: a
    permissions: &all
      - {action: pub, permit: ['#']}
  - {username: b, permissions: *all}
logger: &log
  level: debug
  age: &max {max: 3}
  size: {<<: *max}
  backup: {<<: [*max, {max: 9}], max: 4}
`)
  assert.deepEqual(principals[1]?.permissions, [{ action: 'pub', permit: ['#'] }])
  assert.deepEqual([logger.maxAgeDays, logger.maxSizeMb, logger.maxBackups], [3, 3, 4])
})

test('all problems of a file are reported at once, in its order, each at its place', () => {
  const text = `listen:
  - http://0.0.0.0:1883
  - tcp://127.0.0.1:1883
principals:
  - username: test
    permissions:
      - action: write
        permit: [a/#/b]
  - username: test
    permissions: all
message:
  length:
    max: 32q
  egress:
    qos1:
      buffer: {size: 65536}
      retry: {interval: 20}
logger:
  level: loud
  age: 3
  size: {max: -1}
  backup: {max: 1.5}
`
  assert.deepEqual(problems(text), [
    '2:5: listen[0]: has the unknown scheme http; did you mean tcp?',
    '7:17: principals[0].permissions[0].action: must be pub or sub, got "write"',
    '9:15: principals[1].username: username (test) duplicate',
    '10:18: principals[1].permissions: must be a list, got text',
    '13:10: message.length.max: must be a size such as 512, 32k or 16m, got "32q"',
    '16:22: message.egress.qos1.buffer.size: must be a whole number, 1 to 65535; got 65536',
    '17:25: message.egress.qos1.retry.interval: must be 1ms to 596h; got 20ns; a bare number counts nanoseconds, write 20s for seconds',
    '19:10: logger.level: must be debug or info or warn or error, got "loud"',
    '20:8: logger.age: must be a block of keys, got a number',
    '21:15: logger.size.max: must be a whole number, 1 to 2147483647; got -1',
    '22:17: logger.backup.max: must be a whole number, got 1.5',
  ])
})

test('values of the wrong kind', () => {
  assert.deepEqual(problems('- a'), ['1:1: must be a block of keys, got a list'])
  assert.deepEqual(problems('text'), ['1:1: must be a block of keys, got text'])
  assert.deepEqual(problems('listen: tcp://:1'), ['1:9: listen: must be a list, got text'])
  assert.deepEqual(problems('listen: {a: b}'), ['1:9: listen: must be a list, got a block of keys'])
  assert.deepEqual(problems('listen: [[a]]'), ['1:10: listen[0]: must be a single value, got a list'])
  assert.deepEqual(problems('storage: {dir: [a]}'), ['1:16: storage.dir: must be a single value, got a list'])
  assert.deepEqual(problems('principals: [a]'), ['1:14: principals[0]: must be a block of keys, got text'])
  assert.deepEqual(problems('limits: {connections: "5"}').length, 1)
  assert.deepEqual(problems('limits: {connections: .inf}').length, 1)
  assert.deepEqual(problems('shutdown: {timeout: 600h}').length, 1)
  assert.deepEqual(problems('shutdown: {timeout: -1s}').length, 1)
  assert.deepEqual(problems('principals: [{permissions: [{permit: [a]}]}]'), [
    '1:29: principals[0].permissions[0].action: must be pub or sub, got nothing',
  ])
})

test('no password is ever shown', () => {
  const texts = ['principals: [{username: a, password: [hunter2]}]', 'principals: [hunter2]', 'principals: hunter2']
  for (const text of [...texts, 'principals: [{username: a, password: "hunter2" x}]', 'anonymous: hunter2']) {
    const found = problems(text)
    assert.equal(found.length, 1, text)
    assert.ok(!found.join().includes('hunter2'), found.join())
  }
})

test('text that is not YAML', () => {
  assert.match(problems('listen: [a').join(), /^1:\d+: /)
  assert.match(problems('a: 1\nb: c: d').join(), /^2:4: /)
  assert.match(problems('a:\n\t- b').join(), /^2:1: /)
  assert.deepEqual(problems('a: 1\n---\nb: 2'), ['2:1: a second YAML document begins here'])
  assert.match(problems('['.repeat(50_000)).join(), /nested too deeply/)
  assert.deepEqual(problems('listen: *nowhere'), ['1:9: *nowhere has no anchor'])
  assert.deepEqual(problems('? [a]\n: b').length, 1)
})

test('a key that occurs twice is refused, wherever it stands', () => {
  assert.deepEqual(problems('listen: []\nlogger: {level: info, "level": warn}\nlisten: []\nx: {a: 1, a: 2}'), [
    '2:23: key level occurs twice, first in line 2',
    '3:1: key listen occurs twice, first in line 1',
    '4:11: key a occurs twice, first in line 4',
  ])
})

test('a file can not take more time or memory than it should', () => {
  const bomb = ['a: &a [x,x,x,x,x,x,x,x,x,x]']
  for (let i = 0; i < 8; i++) {
    const [from, to] = ['abcdefghi'[i], 'abcdefghi'[i + 1]]
    bomb.push(`${to}: &${to} [${Array(10).fill(`*${from}`).join()}]`)
  }
  assert.equal(problems(`${bomb.join('\n')}\nlisten: *i`).length, 10)
  const long = `x: &x [${'a,'.repeat(90_000)}]\np: &p {action: pub, permit: *x}\n`
  assert.match(problems(`${long}principals: [{permissions: [*p,*p,*p]}]`).join(), /so many are refused/)
  assert.match(problems('logger: &l {<<: *l}').join(), /merges maps too deeply/)
  assert.match(problems(`#${'x'.repeat(4 * 1024 * 1024)}`).join(), /has more than 4 MiB/)
  const many = Array.from({ length: 2000 }, (_, i) => `k${i}: 1`).join('\n')
  assert.ok(warnings(many).length <= 1001)
  assert.match(problems('storage: {dir: "${A}${A}"}', { A: 'x'.repeat(600_000) }).join(), /from the environment/)
})

test('an unknown key is a warning with the nearest known key, and an error for strict readers', () => {
  const text = `listn: []
levle: info
dir: x
listen: ['unix:///s']
anonymous: {permisions: []}
limits: {clientId: {length: 3}, quux: 1}
`
  const expected = [
    '1:1: listn: is no known key; did you mean listen?',
    '2:1: levle: is no known key',
    '3:1: dir: is no known key; it belongs to storage.dir',
    '5:13: anonymous.permisions: is no known key; did you mean permissions?',
    '6:10: limits.clientId: is no known key; did you mean clientid?',
    '6:33: limits.quux: is no known key',
  ]
  assert.deepEqual(warnings(text), expected)
  assert.deepEqual(problems(text, {}, true), expected)
  assert.deepEqual(warnings('__proto__: {a: 1}\nconstructor: 2\nlisten: [tcp://127.0.0.1:1]\nanonymous: {}').length, 2)
})

test('keys that older files carry are only mentioned, also to strict readers', () => {
  const text = `name: localhub
id: x
hub: {address: tcp://localhub:1883}
status: {logging: {enable: true}}
listen: ['unix:///s']
principals: [{serialnumber: 12, username: u, password: p}]
subscriptions: [{clientid: x, source: {topic: a}, target: {topic: b}}]
message: {ingress: {qos0: {persist: true}}, egress: {offset: {buffer: {size: 1}}}}
logger: {console: true}
certificate: {insecure: true}
`
  const { warnings } = parseHubConfig(text, { file: 'f', env: {}, strict: true })
  assert.equal(warnings.length, 10)
  for (const { message } of warnings) assert.match(message, /^is ignored: /)
})

test('an error has a code, the problems and the warnings', () => {
  assert.throws(
    () => load('listn: x\nlisten: [a, b]'),
    (error: unknown) => {
      assert.ok(error instanceof GatewayError && error instanceof ConfigError)
      assert.equal(error.code, 'ERR_CONFIG_INVALID')
      assert.equal(error.message.split('\n').length, 2)
      assert.equal(error.problems[1]?.path, 'listen[1]')
      assert.equal(error.warnings[0]?.suggestion, 'did you mean listen?')
      return true
    },
  )
})

test('a problem is one line, whatever the file has in it', () => {
  const [line] = problems('"a\\nb\\e[31m": 1', {}, true)
  assert.equal(line, '1:1: a\\nb\\u001b[31m: is no known key')
})

import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import {
  type BridgeConfig,
  type BridgeRuleConfig,
  ConfigError,
  checkBridgeConfig,
  defaultBridgeConfig,
  formatProblem,
  loadBridgeConfig,
  parseBridgeConfig,
} from '../../../src/config/index.ts'

const dir = mkdtempSync(join(tmpdir(), 'openedge-bridge-config-'))
after(() => rmSync(dir, { recursive: true, force: true }))

const parse = (text: string, env: Record<string, string> = {}) => parseBridgeConfig(text, { file: 'f', env })

function problems(text: string): string[] {
  try {
    parse(text)
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.problems.map(problem => formatProblem(problem).replace(/^f:/, ''))
  }
  return []
}

const CLIENT = {
  address: '',
  username: '',
  password: '',
  passwordFile: '',
  ca: '',
  key: '',
  cert: '',
  insecure: false,
  servername: '',
  alpn: [],
  clientId: '',
  cleanSession: false,
  timeoutMs: 30_000,
  intervalMs: 60_000,
  keepaliveMs: 60_000,
  bufferSize: 100,
  validateSubs: false,
  tryPrivate: true,
}
const TARGET = { topic: '', qos: 2 as const, retain: 'keep' as const }

test('an empty file is a bridge that forwards nothing', () => {
  const expected: BridgeConfig = {
    hub: CLIENT,
    remotes: [],
    rules: [],
    message: { maxBytes: 4 * 1024 * 1024 },
    status: { topic: '$SYS/bridge/{rule}/state' },
    shutdownTimeoutMs: 10_000,
    metrics: { listen: '' },
    control: { socket: 'auto' },
    logger: { path: '', level: 'info', format: 'text', maxAgeDays: 15, maxSizeMb: 50, maxBackups: 15 },
  }
  assert.deepEqual(defaultBridgeConfig(), expected)
  const { config, warnings } = parse('')
  assert.deepEqual(config, expected)
  assert.deepEqual(warnings.map(formatProblem), ['f:1:1: rules: is empty: nothing is forwarded'])
  assert.notEqual(defaultBridgeConfig().hub, defaultBridgeConfig().hub, 'a new object each time')
})

/** What OpenEdge 0.1.5 brings along as an example. */
const EXAMPLE = `
name: remote-iothub
hub:
  address: tcp://0.0.0.0:1883
  username: test
  password: hahaha
remotes:
  - name: iothub
    address: 'ssl://u7isgiz.mqtt.iot.bj.baidubce.com:1884'
    clientid: 11dd7422353c46fc8851ef8fb7114509
    username: u7isgiz/11dd7422353c46fc8851ef8fb7114509
    ca: var/db/openedge/cert/ca.pem
    cert: var/db/openedge/cert/client.pem
    key: var/db/openedge/cert/client.key
rules:
  - hub:
      subscriptions:
        - topic: t
    remote:
      name: iothub
      subscriptions:
        - topic: t/remote
          qos: 1
logger:
  path: var/log/openedge/service.log
  level: 'debug'
`

test('the example of OpenEdge loads', () => {
  const { config, warnings } = parse(EXAMPLE)
  assert.deepEqual(warnings.map(formatProblem), ['f:2:1: name: is ignored: older versions had it'])
  assert.deepEqual(config.hub, { ...CLIENT, address: 'tcp://0.0.0.0:1883', username: 'test', password: 'hahaha' })
  const rule: BridgeRuleConfig = {
    name: '11dd7422353c46fc8851ef8fb7114509',
    hub: {
      clientId: '11dd7422353c46fc8851ef8fb7114509',
      subscriptions: [{ topic: 't', qos: 0, target: TARGET, limit: null }],
    },
    remote: {
      name: 'iothub',
      clientId: '11dd7422353c46fc8851ef8fb7114509',
      subscriptions: [{ topic: 't/remote', qos: 1, target: TARGET, limit: null }],
    },
    offline: { max: 0 },
  }
  assert.deepEqual(config.rules, [rule])
})

/** Every key that OpenEdge knows, with `0` or `false` for those that have another default there. */
const EVERYTHING = `
hub:
  address: mqtt://127.0.0.1
  clientid: ignored
  timeout: 0
  interval: 0
  keepalive: 0
  buffersize: 0
  cleansession: false
  validatesubs: false
  subscriptions: [{topic: t}]
remotes:
- name: r
  address: wss://broker/mqtt
  username: u
  password: p
  ca: a.pem
  cert: c.pem
  key: c.key
  insecure: false
  clientid: remote
  cleansession: true
  timeout: 10s
  interval: 5m
  keepalive: 90s
  buffersize: 10
  validatesubs: true
  subscriptions:
  - topic: ignored
rules:
- id: old
  hub:
    clientid: local
    subscriptions: [{topic: a, qos: 0}]
  remote:
    name: r
    clientid: far
    subscriptions: [{topic: b, qos: 1}]
`

test('every key of OpenEdge is known, and zero means its default', () => {
  const { config, warnings } = parse(EVERYTHING)
  assert.deepEqual(warnings.map(formatProblem), [
    'f:4:3: hub.clientid: is ignored: each rule has its own client identifier on the hub, see rules[].hub.clientid',
    'f:11:3: hub.subscriptions: is ignored: what is subscribed to stands in the rules',
    'f:28:3: remotes[0].subscriptions: is ignored: what is subscribed to stands in the rules',
    'f:31:3: rules[0].id: is ignored: older versions had it; it is rules[].name now',
  ])
  assert.deepEqual(config.hub, { ...CLIENT, address: 'mqtt://127.0.0.1' })
  assert.deepEqual(config.remotes, [
    {
      ...CLIENT,
      name: 'r',
      address: 'wss://broker/mqtt',
      username: 'u',
      password: 'p',
      ca: 'a.pem',
      cert: 'c.pem',
      key: 'c.key',
      clientId: 'remote',
      cleanSession: true,
      timeoutMs: 10_000,
      intervalMs: 300_000,
      keepaliveMs: 90_000,
      bufferSize: 10,
      validateSubs: true,
    },
  ])
})

test('keys that OpenEdge does not have', () => {
  const { config, warnings } = parse(`
hub: {address: tcp://h, username: u, passwordfile: hub.token, tryprivate: false}
remotes: [{name: r, address: ssl://r, servername: broker.example, alpn: [x-amzn-mqtt-ca]}]
rules:
- name: plant 1/ü
  hub:
    subscriptions:
    - {topic: a/+/#, qos: 2, target: {topic: "b/{#}/{1}", qos: 0, retain: clear}, limit: {rate: 5, burst: 9}}
  remote: {name: r}
  offline: {max: 1000}
message: {length: {max: 1k}}
status: {topic: none}
shutdown: {timeout: 2s}
metrics: {listen: "http://127.0.0.1:0"}
control: {socket: run/bridge.sock}
`)
  assert.deepEqual(warnings, [])
  assert.equal(config.hub.passwordFile, 'hub.token')
  assert.equal(config.hub.tryPrivate, false, 'false is no zero where OpenEdge does not know the key')
  assert.deepEqual([config.remotes[0]?.servername, config.remotes[0]?.alpn], ['broker.example', ['x-amzn-mqtt-ca']])
  assert.deepEqual(config.rules, [
    {
      name: 'plant_1__',
      hub: {
        clientId: 'r',
        subscriptions: [
          {
            topic: 'a/+/#',
            qos: 2,
            target: { topic: 'b/{#}/{1}', qos: 0, retain: 'clear' },
            limit: { rate: 5, burst: 9 },
          },
        ],
      },
      remote: { name: 'r', clientId: 'r', subscriptions: [] },
      offline: { max: 1000 },
    },
  ])
  assert.deepEqual(
    [config.message.maxBytes, config.status.topic, config.shutdownTimeoutMs, config.metrics, config.control],
    [1024, 'none', 2000, { listen: 'http://127.0.0.1:0' }, { socket: 'run/bridge.sock' }],
  )
})

/** Client identifiers of the rule, of the remote, and what is made of them on hub and remote; the remote is called `r`. */
const IDENTIFIERS = [
  { own: '', remote: '', hub: '', onHub: 'r', onRemote: 'r' },
  { own: '', remote: 'far', hub: '', onHub: 'far', onRemote: 'far' },
  { own: 'own', remote: 'far', hub: '', onHub: 'own', onRemote: 'own' },
  { own: 'own', remote: 'far', hub: 'near', onHub: 'near', onRemote: 'own' },
  { own: '', remote: '', hub: 'near', onHub: 'near', onRemote: 'r' },
]

for (const { own, remote, hub, onHub, onRemote } of IDENTIFIERS) {
  test(`client identifiers: rule "${own}", remote "${remote}", hub "${hub}"`, () => {
    const file = {
      hub: { address: 'tcp://h' },
      remotes: [{ name: 'r', address: 'tcp://r', clientid: remote }],
      rules: [
        { hub: { clientid: hub, subscriptions: [{ topic: 't' }] }, remote: { name: 'r', clientid: own } },
        { hub: { clientid: 'other' }, remote: { name: 'r', clientid: 'else', subscriptions: [{ topic: 't' }] } },
      ],
    }
    const [rule, other] = parse(JSON.stringify(file)).config.rules
    assert.deepEqual([rule?.hub.clientId, rule?.remote.clientId, rule?.name], [onHub, onRemote, onHub])
    assert.deepEqual([other?.hub.clientId, other?.remote.clientId, other?.name], ['other', 'else', 'other'])
  })
}

test('a name is cut to what a topic and a line of a log bear', () => {
  const rule = (name: string) => `{name: "${name}", remote: {name: r}, hub: {subscriptions: [{topic: t}]}}`
  const name = (text: string) => parse(file(rule(text))).config.rules[0]?.name
  const file = (text: string) => `hub: {address: tcp://h}\nremotes: [{name: r, address: tcp://r}]\nrules: [${text}]`
  assert.equal(name('A-z_0.9'), 'A-z_0.9')
  assert.equal(name('a+b#c/d e\u{1F600}'), 'a_b_c_d_e_', 'one for each character')
  assert.equal(name('x'.repeat(500)), 'x'.repeat(128))
})

test('values of the wrong kind, each with its place', () => {
  const text = `hub:
  address: tcp://h
  keepalive: 500ms
  timeout: soon
  buffersize: 65536
  tryprivate: maybe
remotes:
- name: r
  address: tcp://r
  keepalive: 65536s
  alpn: mqtt
- name: s
  address: tcp://s
  keepalive: 1500ms
rules:
- remote: {name: r, subscriptions: [{topic: t, qos: 3, target: {qos: 2, retain: set}, limit: {}}]}
  offline: {max: -1}
message: {length: {max: 1t}}
`
  assert.deepEqual(problems(text), [
    '3:14: hub.keepalive: must be 1s to 18h12m15s; got 500ms',
    '4:12: hub.timeout: must be a duration such as 500ms, 20s or 1h30m, got "soon"',
    '5:15: hub.buffersize: must be a whole number, 1 to 65535; got 65536',
    '6:15: hub.tryprivate: must be true or false, got "maybe"',
    '10:14: remotes[0].keepalive: must be 1s to 18h12m15s; got 18h12m16s',
    '11:9: remotes[0].alpn: must be a list, got text',
    '14:14: remotes[1].keepalive: must be whole seconds',
    '16:53: rules[0].remote.subscriptions[0].qos: must be 0, 1 or 2, got 3',
    '16:81: rules[0].remote.subscriptions[0].target.retain: must be keep or clear, got "set"',
    '16:94: rules[0].remote.subscriptions[0].limit.rate: must be a whole number, 1 to 2147483647; got nothing',
    '17:18: rules[0].offline.max: must be a whole number, 0 to 1000000; got -1',
    '18:25: message.length.max: must be 1 to 268435455 bytes; got "1t"',
  ])
})

test('a key that is not known is mentioned, and refused by who is strict', () => {
  const file = join(dir, 'strict.yml')
  writeFileSync(file, `${EXAMPLE}listen: [tcp://:1]\n`, { mode: 0o600 })
  const { warnings } = loadBridgeConfig(file, { env: {} })
  assert.match(warnings.map(formatProblem).join('\n'), /listen: is no known key/)
  assert.throws(() => checkBridgeConfig(file, { env: {} }), { code: 'ERR_CONFIG_INVALID', message: /listen: is no k/ })
  writeFileSync(file, EXAMPLE, { mode: 0o600 })
  assert.equal(checkBridgeConfig(file, { env: {} }).config.rules.length, 1)
})

test('passwords in a file that others may read', { skip: process.platform === 'win32' && 'no modes' }, () => {
  const file = join(dir, 'public.yml')
  const remote = '{name: r, address: tcp://r, username: u, password: "${TOKEN}"}'
  writeFileSync(file, EXAMPLE.replace('remotes:', `remotes:\n  - ${remote}`))
  chmodSync(file, 0o640)
  const { config, warnings } = loadBridgeConfig(file, { env: { TOKEN: 'secret' } })
  assert.equal(config.remotes[0]?.password, 'secret')
  const told = warnings.map(formatProblem).filter(line => line.includes('plain text'))
  const message = 'is plain text in a file that others than its owner may read; chmod 600 the file, or see passwordfile'
  assert.deepEqual(told, [`${file}:6:13: hub.password: ${message}`], 'not what comes from the environment')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type GenericSchema, getMetadata } from 'valibot'
import {
  type BridgeConfig,
  type Change,
  changedBridgeFields,
  defaultBridgeConfig,
  parseBridgeConfig,
} from '../../../src/config/index.ts'
import { bridgeSchema } from '../../../src/config/schema/bridge.ts'
import { shapeOf } from '../../../src/config/schema/shape.ts'

/** A value other than the default, and whether a running bridge takes it over. */
const FIELDS: Readonly<Record<string, readonly [value: unknown, reload: Change['reload']]>> = {
  'hub.address': ['ssl://h', 'hot'],
  'hub.username': ['v', 'hot'],
  'hub.password': ['p', 'hot'],
  'hub.passwordfile': ['p.token', 'hot'],
  'hub.ca': ['ca.pem', 'hot'],
  'hub.key': ['key.pem', 'hot'],
  'hub.cert': ['cert.pem', 'hot'],
  'hub.insecure': [true, 'hot'],
  'hub.servername': ['broker.example', 'hot'],
  'hub.alpn': [['mqtt'], 'hot'],
  'hub.cleansession': [true, 'hot'],
  'hub.timeout': ['1s', 'hot'],
  'hub.interval': ['1s', 'hot'],
  'hub.keepalive': ['1s', 'hot'],
  'hub.buffersize': [1, 'hot'],
  'hub.validatesubs': [true, 'hot'],
  'hub.tryprivate': [false, 'hot'],
  remotes: [[{ name: 'r', address: 'tcp://r' }], 'hot'],
  rules: [[], 'hot'],
  'message.length.max': ['1m', 'hot'],
  'status.topic': ['none', 'hot'],
  'shutdown.timeout': ['1s', 'hot'],
  'metrics.listen': ['http://127.0.0.1:0', 'hot'],
  'control.socket': ['none', 'restart'],
  'logger.path': ['a.log', 'restart'],
  'logger.level': ['debug', 'hot'],
  'logger.format': ['json', 'restart'],
  'logger.age.max': [1, 'restart'],
  'logger.size.max': [1, 'restart'],
  'logger.backup.max': [1, 'restart'],
}

/** What those keys need to be valid. */
const COMPANIONS: Readonly<Record<string, string>> = { 'hub.key': 'hub.cert', 'hub.cert': 'hub.key' }
/** What they can't be beside, or are tested with more of. */
const SPECIAL = new Set(['rules'])

function fieldsOf(schema: GenericSchema, path = ''): [path: string, reload: unknown][] {
  const { reload } = getMetadata(schema) as Record<string, unknown>
  if (reload !== undefined) return [[path, reload]]
  const shape = shapeOf(schema)
  if (shape.kind !== 'block') return [[path, undefined]]
  return Object.entries(shape.entries).flatMap(([key, entry]) => fieldsOf(entry, path === '' ? key : `${path}.${key}`))
}

function load(fields: Readonly<Record<string, unknown>>): BridgeConfig {
  const file: Record<string, unknown> = {}
  for (const [path, value] of Object.entries(fields)) {
    const keys = path.split('.')
    let block = file
    for (const key of keys.slice(0, -1)) block = (block[key] ??= {}) as Record<string, unknown>
    block[keys.at(-1) as string] = value
  }
  return parseBridgeConfig(JSON.stringify(file), { file: 'f', env: {} }).config
}

test('every field says whether a running bridge takes it over', () => {
  const expected = Object.entries(FIELDS).map(([path, [, reload]]) => [path, reload])
  assert.deepEqual(fieldsOf(bridgeSchema), expected)
})

test('no change', () => {
  assert.deepEqual(changedBridgeFields(defaultBridgeConfig(), load({})), [], 'an empty file is the default')
})

for (const [path, [value, reload]] of Object.entries(FIELDS)) {
  if (SPECIAL.has(path)) continue
  test(`a change of ${path}`, () => {
    const around: Record<string, unknown> = { 'hub.address': 'ssl://other', 'hub.username': 'u' }
    const other = COMPANIONS[path]
    if (other !== undefined) Object.assign(around, { [path]: 'other.pem', [other]: 'other.pem' })
    const [before, after] = [load(around), load({ ...around, [path]: value })]
    assert.deepEqual(changedBridgeFields(before, after), [{ path, reload }])
    assert.deepEqual(changedBridgeFields(after, before), [{ path, reload }])
  })
}

const withRule = (remote: object, rule: object) =>
  load({
    'hub.address': 'tcp://h',
    remotes: [{ name: 'r', address: 'tcp://r', ...remote }],
    rules: [{ remote: { name: 'r', subscriptions: [{ topic: 't' }] }, ...rule }],
  })
const paths = (before: BridgeConfig, after: BridgeConfig) => changedBridgeFields(before, after).map(({ path }) => path)

test('rules and remotes are one field each, whatever changed in them, and no value is told', () => {
  assert.deepEqual(paths(withRule({}, {}), withRule({}, { offline: { max: 1 } })), ['rules'])
  const password = (password: string) => withRule({ username: 'u', password }, {})
  assert.deepEqual(changedBridgeFields(password('hunter1'), password('hunter2')), [{ path: 'remotes', reload: 'hot' }])
})

test('a client identifier of a remote is one of its rules too', () => {
  assert.deepEqual(paths(withRule({}, {}), withRule({ clientid: 'x' }, {})), ['remotes', 'rules'])
  const own = { hub: { clientid: 'a' }, remote: { name: 'r', clientid: 'b', subscriptions: [{ topic: 't' }] } }
  assert.deepEqual(paths(withRule({}, own), withRule({ clientid: 'x' }, own)), ['remotes'], 'which have their own')
})

test('values count, not how they are written', () => {
  assert.deepEqual(
    changedBridgeFields(
      load({ 'hub.keepalive': '60s', 'message.length.max': '4096k' }),
      load({ 'hub.keepalive': '1m', 'hub.clientid': 'ignored' }),
    ),
    [],
  )
})

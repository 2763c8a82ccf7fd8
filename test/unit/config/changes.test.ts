import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type GenericSchema, getMetadata } from 'valibot'
import {
  type Change,
  changedFields,
  defaultHubConfig,
  type HubConfig,
  parseHubConfig,
} from '../../../src/config/index.ts'
import { hubSchema } from '../../../src/config/schema/hub.ts'
import { shapeOf } from '../../../src/config/schema/shape.ts'

/** A value other than the default, and whether a running hub takes it over. */
const FIELDS: Readonly<Record<string, readonly [value: unknown, reload: Change['reload']]>> = {
  listen: [['tcp://127.0.0.1:1'], 'hot'],
  'certificate.ca': ['ca.pem', 'hot'],
  'certificate.key': ['key.pem', 'hot'],
  'certificate.cert': ['cert.pem', 'hot'],
  'certificate.identity': ['cn', 'hot'],
  principals: [[{ username: 'u', password: 'secret' }], 'hot'],
  anonymous: [{}, 'hot'],
  subscriptions: [[{ source: { topic: 'a' }, target: { topic: 'b' } }], 'hot'],
  'message.length.max': ['64k', 'hot'],
  'message.ingress.qos0.buffer.size': [1, 'restart'],
  'message.ingress.qos1.buffer.size': [1, 'restart'],
  'message.ingress.qos1.batch.max': [1, 'restart'],
  'message.ingress.qos1.cleanup.retention': ['1h', 'hot'],
  'message.ingress.qos1.cleanup.interval': ['1h', 'hot'],
  'message.egress.qos0.buffer.size': [1, 'hot'],
  'message.egress.qos1.buffer.size': [1, 'hot'],
  'message.egress.qos1.batch.max': [1, 'hot'],
  'message.egress.qos1.retry.interval': ['1s', 'hot'],
  'message.offset.buffer.size': [1, 'restart'],
  'message.offset.batch.max': [1, 'restart'],
  'queue.max.messages': [1, 'hot'],
  'queue.max.bytes': [1, 'hot'],
  'queue.total.bytes': [1, 'hot'],
  'queue.overflow': ['drop-newest', 'hot'],
  'session.expiry': ['1h', 'hot'],
  'storage.dir': ['', 'restart'],
  'storage.sync': ['never', 'restart'],
  'storage.interval': ['2s', 'restart'],
  'storage.max.bytes': [0, 'restart'],
  'storage.reserve': [0, 'restart'],
  'shutdown.timeout': ['1s', 'hot'],
  'metrics.report.interval': ['1s', 'hot'],
  'metrics.listen': ['http://127.0.0.1:0', 'hot'],
  'metrics.events': [true, 'hot'],
  'control.socket': ['none', 'restart'],
  'logger.path': ['a.log', 'restart'],
  'logger.level': ['debug', 'hot'],
  'logger.format': ['json', 'restart'],
  'logger.age.max': [1, 'restart'],
  'logger.size.max': [1, 'restart'],
  'logger.backup.max': [1, 'restart'],
  'limits.topic.length': [100, 'hot'],
  'limits.topic.levels': [5, 'hot'],
  'limits.topic.dollar': ['allow', 'hot'],
  'limits.clientid.length': [10, 'hot'],
  'limits.clientid.charset': ['any', 'hot'],
  'limits.packets.before_connect': [0, 'hot'],
  'limits.connections': [1, 'hot'],
  'limits.filters': [1, 'hot'],
  'limits.retained.count': [0, 'hot'],
  'limits.retained.bytes': [0, 'hot'],
  'limits.connect.timeout': ['1s', 'hot'],
  'limits.drain.timeout': ['1s', 'hot'],
}

/** What those keys need to be valid. */
const COMPANIONS = { 'certificate.key': 'certificate.cert', 'certificate.cert': 'certificate.key' }

function fieldsOf(schema: GenericSchema, path = ''): [path: string, reload: unknown][] {
  const { reload } = getMetadata(schema) as Record<string, unknown>
  if (reload !== undefined) return [[path, reload]]
  const shape = shapeOf(schema)
  if (shape.kind !== 'block') return [[path, undefined]]
  return Object.entries(shape.entries).flatMap(([key, entry]) => fieldsOf(entry, path === '' ? key : `${path}.${key}`))
}

function load(fields: Readonly<Record<string, unknown>>): HubConfig {
  const file: Record<string, unknown> = {}
  for (const [path, value] of Object.entries(fields)) {
    const keys = path.split('.')
    let block = file
    for (const key of keys.slice(0, -1)) block = (block[key] ??= {}) as Record<string, unknown>
    block[keys.at(-1) as string] = value
  }
  return parseHubConfig(JSON.stringify(file), { file: 'f', env: {} }).config
}

test('every field says whether a running hub takes it over', () => {
  const expected = Object.entries(FIELDS).map(([path, [, reload]]) => [path, reload])
  assert.deepEqual(fieldsOf(hubSchema), expected)
})

test('no change', () => {
  assert.deepEqual(changedFields(defaultHubConfig(), load({})), [], 'an empty file is the default')
  const all = Object.fromEntries(Object.entries(FIELDS).map(([path, [value]]) => [path, value]))
  assert.deepEqual(changedFields(load(all), load(all)), [], 'the same file')
  assert.equal(changedFields(load(all), load({})).length, Object.keys(FIELDS).length, 'all of it')
})

for (const [path, [value, reload]] of Object.entries(FIELDS)) {
  test(`a change of ${path}`, () => {
    const around: Record<string, unknown> = { 'certificate.ca': 'a.pem' }
    for (const [key, other] of Object.entries(COMPANIONS)) {
      if (path === key) Object.assign(around, { [key]: 'other.pem', [other]: 'other.pem' })
    }
    const [before, after] = [load(around), load({ ...around, [path]: value })]
    assert.deepEqual(changedFields(before, after), [{ path, reload }])
    assert.deepEqual(changedFields(after, before), [{ path, reload }])
  })
}

test('a list is one field, whatever changed in it, and no value is told', () => {
  const users = (password: string) => load({ principals: [{ username: 'u', password }, { username: 'v' }] })
  const changes = changedFields(users('hunter1'), users('hunter2'))
  assert.deepEqual(changes, [{ path: 'principals', reload: 'hot' }])
  const order = changedFields(
    load({ listen: ['unix:///a', 'unix:///b'] }),
    load({ listen: ['unix:///b', 'unix:///a'] }),
  )
  assert.deepEqual(order, [{ path: 'listen', reload: 'hot' }])
})

test('values count, not how they are written', () => {
  const written = { 'shutdown.timeout': '60m', 'message.length.max': 32_768, 'limits.connect.timeout': 10_000_000_000 }
  assert.deepEqual(changedFields(load({ 'shutdown.timeout': '1h' }), load(written)), [])
})

test('changes come in the order of the reference page', () => {
  const changes = changedFields(
    load({}),
    load({ 'limits.filters': 1, 'queue.overflow': 'drop-newest', listen: ['unix:///a'] }),
  )
  assert.deepEqual(
    changes.map(({ path }) => path),
    ['listen', 'queue.overflow', 'limits.filters'],
  )
})

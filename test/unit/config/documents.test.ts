import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { jsonSchema, referencePage } from '../../../docs/generate.ts'
import { checkBridgeConfig, checkHubConfig, fileKindOf } from '../../../src/config/index.ts'

const root = join(import.meta.dirname, '../../..')
const env = {
  SENSOR_PASSWORD: 'a',
  DISPLAY_PASSWORD: 'b',
  OPERATOR_PASSWORD: 'c',
  MACHINE_PASSWORD: 'd',
  UPLINK_PASSWORD: 'e',
}

const rowsOf = (kind: 'hub' | 'bridge') =>
  referencePage(kind)
    .split('\n')
    .filter(line => line.startsWith('| `'))

for (const [kind, page] of [
  ['hub', 'config.md'],
  ['bridge', 'bridge.md'],
] as const) {
  test(`the reference page of the ${kind} is what the generator writes`, () => {
    assert.equal(readFileSync(join(root, 'docs/reference', page), 'utf8'), referencePage(kind))
  })

  test(`the JSON Schema of the ${kind} is what the generator writes`, () => {
    assert.equal(readFileSync(join(root, `docs/reference/${kind}.schema.json`), 'utf8'), jsonSchema(kind))
  })

  test(`the reference page of the ${kind} has every key, with its default and how it is reloaded`, () => {
    const rows = rowsOf(kind)
    assert.ok(rows.length >= 50, 'there are many keys')
    for (const row of rows) assert.match(row, /^\| `[a-z_0-9.[\]]+` \| .+ \| .+ \| .{10,} \| (?:hot|restart) \|$/)
  })
}

test('the reference page shows what people write', () => {
  const hub = rowsOf('hub').find(row => row.startsWith('| `message.egress.qos1.retry.interval` | duration | `20s` |'))
  assert.ok(hub !== undefined, 'a key of the hub')
  const start = '| `rules[].remote.subscriptions[].target.qos` | 0 \\| 1 \\| 2 | `2` |'
  assert.ok(
    rowsOf('bridge').some(row => row.startsWith(start)),
    'a key of the bridge',
  )
})

test('the reference page says which keys have no effect', () => {
  const rows = rowsOf('hub').filter(line => /(?:[Nn]o|without) effect/.test(line))
  assert.deepEqual(
    rows.map(row => row.split('`')[1]),
    [
      'message.ingress.qos0.buffer.size',
      'message.ingress.qos1.buffer.size',
      'message.ingress.qos1.batch.max',
      'message.egress.qos1.batch.max',
      'message.offset.buffer.size',
      'message.offset.batch.max',
    ],
  )
  const guide = readFileSync(join(root, 'docs/configuration.md'), 'utf8')
  for (const key of ['message.ingress', 'message.offset']) {
    assert.match(guide, new RegExp(`^\\| .*\`${key}\`.* \\| .{10,} \\|$`, 'm'))
  }
})

for (const name of readdirSync(join(root, 'examples'))) {
  const folder = join(root, 'examples', name)
  const file = join(folder, 'service.yml')
  if (!existsSync(file)) continue
  if (fileKindOf(file) === 'bridge') {
    test(`the example ${name} is a good file`, () => {
      const { config, warnings } = checkBridgeConfig(file, { env })
      assert.ok(config.rules.length > 0, 'it forwards something')
      // Whoever checks the files out may let others read them.
      for (const { path } of warnings) assert.match(path, /password$/)
    })
    continue
  }
  test(`the example ${name} is a good file`, () => {
    const { config, warnings } = checkHubConfig(file, { env })
    assert.ok(config.listen.length > 0 && config.principals.length > 0)
    const expected = name === 'openedge-0.1.5' ? /^name|^principals\[1\]\.password/ : /^$/
    for (const { path } of warnings) assert.match(path, expected)
  })
}

test('the examples that the documents speak of exist', () => {
  const names = readdirSync(join(root, 'examples'))
  for (const name of ['embedded', 'gateway', 'openedge-0.1.5', 'tls']) assert.ok(names.includes(name), name)
})

import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { jsonSchema, referencePage } from '../../../docs/generate.ts'
import { checkHubConfig } from '../../../src/config/index.ts'

const root = join(import.meta.dirname, '../../..')
const env = {
  SENSOR_PASSWORD: 'a',
  DISPLAY_PASSWORD: 'b',
  OPERATOR_PASSWORD: 'c',
  MACHINE_PASSWORD: 'd',
  UPLINK_PASSWORD: 'e',
}

test('the reference page is what the generator writes', () => {
  assert.equal(readFileSync(join(root, 'docs/reference/config.md'), 'utf8'), referencePage())
})

test('the JSON Schema is what the generator writes', () => {
  assert.equal(readFileSync(join(root, 'docs/reference/hub.schema.json'), 'utf8'), jsonSchema())
})

test('the reference page has every key, with its default and how it is reloaded', () => {
  const rows = referencePage()
    .split('\n')
    .filter(line => line.startsWith('| `'))
  assert.ok(rows.length >= 50)
  for (const row of rows) assert.match(row, /^\| `[a-z_0-9.[\]]+` \| .+ \| .+ \| .{10,} \| (?:hot|restart) \|$/)
  assert.ok(rows.some(row => row.startsWith('| `message.egress.qos1.retry.interval` | duration | `20s` |')))
})

test('the reference page says which keys have no effect', () => {
  const rows = referencePage()
    .split('\n')
    .filter(line => /^\| .*(?:[Nn]o|without) effect/.test(line))
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
  if (!existsSync(join(folder, 'service.yml'))) continue
  test(`the example ${name} is a good file`, () => {
    const { config, warnings } = checkHubConfig(join(folder, 'service.yml'), { env })
    assert.ok(config.listen.length > 0 && config.principals.length > 0)
    const expected = name === 'openedge-0.1.5' ? /^name|^principals\[1\]\.password/ : /^$/
    for (const { path } of warnings) assert.match(path, expected)
  })
}

test('the examples that the documents speak of exist', () => {
  const names = readdirSync(join(root, 'examples'))
  for (const name of ['embedded', 'gateway', 'openedge-0.1.5', 'tls']) assert.ok(names.includes(name), name)
})

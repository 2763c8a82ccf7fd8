// The table that translates topic lines of mosquitto: each row has to do what mosquitto does with its line.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { TopicMap } from '../../../src/bridge/topic-map.ts'
import { parseBridgeConfig } from '../../../src/config/index.ts'

const page = readFileSync(join(import.meta.dirname, '../../../docs/bridges.md'), 'utf8')
const ROW =
  /^\| `topic (?<pattern>\S+) (?<direction>out|in) (?<qos>[012])(?<prefixes>.*?)`\s*\| `(?<topic>.*?)`\s*\|(?<target>.*)\|$/gm

interface Row {
  readonly line: string
  readonly isOut: boolean
  readonly qos: number
  readonly pattern: string
  readonly local: string
  readonly remote: string
  readonly topic: string
  readonly target: string
}

const unquoted = (word = ''): string => (word === '""' ? '' : word)

const rows: Row[] = [...page.matchAll(ROW)].map(found => {
  const { pattern, direction, qos, prefixes = '', topic = '', target = '' } = found.groups ?? {}
  const [local, remote] = prefixes.trim().split(' ')
  return {
    line: found[0],
    isOut: direction === 'out',
    qos: Number(qos),
    pattern: unquoted(pattern),
    local: unquoted(local),
    remote: unquoted(remote),
    topic,
    target: target.trim().replaceAll('`', ''),
  }
})

/** Topics that a filter takes: one with several levels for `#`, and one with none. */
function samplesOf(filter: string): string[] {
  const levels = filter.split('/').map((level, i) => (level === '+' ? `l${i}` : level))
  if (levels.at(-1) !== '#') return [levels.join('/')]
  const above = levels.slice(0, -1)
  return [[...above, 'x'].join('/'), [...above, 'x', 'y'].join('/')]
}

describe('lines of mosquitto', () => {
  test('are in the guide', () => {
    assert.ok(rows.length >= 5, `${rows.length} rows`)
    assert.ok(rows.some(({ isOut }) => !isOut) && rows.some(({ isOut }) => isOut), 'both directions')
  })

  for (const row of rows) {
    test(`${row.line.replaceAll(/\s+/g, ' ')}`, () => {
      const { isOut, qos, pattern, local, remote } = row
      const [from, to] = isOut ? [local, remote] : [remote, local]
      assert.equal(row.topic, `${from}${pattern}`, 'it is the filter of the side that messages come from')
      const target = row.target === '' ? '' : `, target: { topic: '${row.target}' }`
      const text = `
        hub: { address: tcp://127.0.0.1 }
        remotes: [{ name: cloud, address: tcp://127.0.0.2 }]
        rules: [{ remote: { name: cloud }, hub: { subscriptions: [{ topic: '${row.topic}', qos: ${qos}${target} }] } }]`
      const { config } = parseBridgeConfig(text, { file: 'bridge.yml', env: {}, strict: true })
      const map = new TopicMap(config.rules[0]?.hub.subscriptions ?? [])
      for (const topic of samplesOf(row.topic)) {
        const bytes = Buffer.from(topic)
        const plan = map.find(bytes, 0, bytes.length)
        assert.equal(plan?.target, `${to}${topic.slice(from.length)}`, topic)
        assert.equal(plan?.qos, qos, topic)
      }
    })
  }
})

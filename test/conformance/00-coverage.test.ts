import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { CLAUSES } from './clauses.ts'

/** The clauses that stand at the start of test names. */
function clausesInTestNames(): Map<string, string> {
  const found = new Map<string, string>()
  for (const name of readdirSync(import.meta.dirname)) {
    if (!name.endsWith('.test.ts')) continue
    const source = readFileSync(join(import.meta.dirname, name), 'utf8')
    for (const [, clauses = ''] of source.matchAll(/['"`]((?:\[MQTT-[\d.]+-\d+\] ?)+)/g)) {
      for (const [, id = ''] of clauses.matchAll(/\[(.+?)\]/g)) found.set(id, name)
    }
  }
  return found
}

describe('The normative statements of MQTT 3.1.1', () => {
  const tested = clausesInTestNames()

  test('each one that binds a server has a test, or a reason why it cannot', () => {
    const missing = CLAUSES.filter(clause => clause.binds !== 'client')
      .filter(clause => clause.untestable === undefined && !tested.has(clause.id))
      .map(clause => `${clause.id} ${clause.asks}`)
    assert.deepEqual(missing, [])
  })

  test('none that has a test is called untestable', () => {
    assert.deepEqual(
      CLAUSES.filter(clause => clause.untestable !== undefined && tested.has(clause.id)).map(clause => clause.id),
      [],
    )
  })

  test('tests name only statements that exist', () => {
    const ids = new Set(CLAUSES.map(clause => clause.id))
    assert.deepEqual(
      [...tested].filter(([id]) => !ids.has(id)),
      [],
    )
  })

  test('the list has no gap and no double entry', () => {
    let previous = ''
    let expected = 1
    for (const { id } of CLAUSES) {
      const [, section = '', number = ''] = /^MQTT-(.+)-(\d+)$/.exec(id) ?? []
      expected = section === previous ? expected + 1 : 1
      assert.equal(Number(number), expected, id)
      previous = section
    }
    assert.equal(CLAUSES.length, new Set(CLAUSES.map(clause => clause.id)).size)
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PermitTree } from '../../src/auth/index.ts'

const name = fc.constantFrom('', 'a', 'b', '$', '$a')
const topic = fc.array(name, { minLength: 1, maxLength: 4 }).map(levels => levels.join('/'))
const filter = fc
  .tuple(fc.array(fc.oneof(name, fc.constant('+')), { maxLength: 4 }), fc.boolean())
  .filter(([levels, multi]) => levels.length > 0 || multi)
  .map(([levels, multi]) => [...levels, ...(multi ? ['#'] : [])].join('/'))
  .filter(text => text !== '')
const permits = fc.array(filter, { maxLength: 6 })

/** Section 4.7 of the standard, for one topic name and one filter. */
function matches(pattern: readonly string[], levels: readonly string[]): boolean {
  const [first, ...others] = pattern
  if (first === undefined) return levels.length === 0
  if (first === '#') return true
  const [level, ...rest] = levels
  if (level === undefined) return false
  return (first === '+' || first === level) && matches(others, rest)
}

function matchesTopic(pattern: string, text: string): boolean {
  if (text.startsWith('$') && /^[+#]/.test(pattern)) return false
  return matches(pattern.split('/'), text.split('/'))
}

/** One permit against one asked for filter, where `+` and `#` of the latter are more than names. */
function coversLevels(permit: readonly string[], asked: readonly string[]): boolean {
  const [first, ...others] = permit
  if (first === undefined) return asked.length === 0
  if (first === '#') return true
  const [level, ...rest] = asked
  if (level === undefined || level === '#') return false
  return (first === '+' || first === level) && coversLevels(others, rest)
}

function covers(permit: string, asked: string): boolean {
  if (asked.startsWith('$') && /^[+#]/.test(permit)) return false
  return coversLevels(permit.split('/'), asked.split('/'))
}

const runs = { numRuns: 5000 }

test('a topic is allowed exactly when one permit matches it', () => {
  fc.assert(
    fc.property(permits, topic, (list, text) => {
      assert.equal(
        PermitTree.compile(list).allowsTopic(text),
        list.some(permit => matchesTopic(permit, text)),
      )
    }),
    runs,
  )
})

test('a filter is allowed exactly when one permit covers it', () => {
  fc.assert(
    fc.property(permits, filter, (list, asked) => {
      assert.equal(
        PermitTree.compile(list).allowsFilter(asked),
        list.some(permit => covers(permit, asked)),
      )
    }),
    runs,
  )
})

test('whatever an allowed filter matches may be read anyway', () => {
  fc.assert(
    fc.property(permits, filter, topic, (list, asked, text) => {
      const tree = PermitTree.compile(list)
      fc.pre(tree.allowsFilter(asked) && matchesTopic(asked, text))
      assert.equal(tree.allowsTopic(text), true)
    }),
    { numRuns: 1000, maxSkipsPerRun: 1000 },
  )
})

test('a permit covers itself, and more permits never take any away', () => {
  fc.assert(
    fc.property(permits, filter, filter, (list, added, asked) => {
      const more = PermitTree.compile([...list, added])
      assert.equal(more.allowsFilter(added), true)
      if (PermitTree.compile(list).allowsFilter(asked)) assert.equal(more.allowsFilter(asked), true)
    }),
    runs,
  )
})

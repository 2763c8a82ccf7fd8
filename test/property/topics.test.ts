import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_TOPIC_LIMITS, topicFilterProblem, topicNameProblem } from '../../src/common/index.ts'
import { filterMatches } from '../../src/router/index.ts'
import { matchesNaively, topicFilter, topicName } from '../support/topic-oracle.ts'

const runs = { numRuns: 5000 }

/** Any text, mostly made of what topics treat in a special way. */
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom('/', '+', '#', '$', 'a', '\0', 'é', '€', '\u{1F600}'), maxLength: 14 }),
  fc.string({ unit: 'grapheme', maxLength: 14 }),
  topicName,
  topicFilter,
)
const limits = fc.record({ maxBytes: fc.integer({ min: 1, max: 40 }), maxLevels: fc.integer({ min: 1, max: 6 }) })

function fits(candidate: string, { maxBytes, maxLevels }: { maxBytes: number; maxLevels: number }): boolean {
  return (
    candidate.length > 0 &&
    !candidate.includes('\0') &&
    new TextEncoder().encode(candidate).length <= maxBytes &&
    candidate.split('/').length <= maxLevels
  )
}

test('a topic name is valid exactly when sections 4.7.1 and 4.7.3 and the limits say so', () => {
  fc.assert(
    fc.property(text, limits, (candidate, within) => {
      const valid = fits(candidate, within) && !candidate.includes('+') && !candidate.includes('#')
      assert.equal(topicNameProblem(candidate, within) === null, valid, JSON.stringify(candidate))
    }),
    runs,
  )
})

test('a topic filter is valid exactly when sections 4.7.1 and 4.7.3 and the limits say so', () => {
  fc.assert(
    fc.property(text, limits, (candidate, within) => {
      const levels = candidate.split('/')
      const valid =
        fits(candidate, within) &&
        levels.every((level, i) => {
          if (level === '+') return true
          if (level === '#') return i === levels.length - 1
          return !level.includes('+') && !level.includes('#')
        })
      assert.equal(topicFilterProblem(candidate, within) === null, valid, JSON.stringify(candidate))
    }),
    runs,
  )
})

test('without limits given, those of OpenEdge hold: 255 bytes and 9 levels', () => {
  assert.deepEqual(DEFAULT_TOPIC_LIMITS, { maxBytes: 255, maxLevels: 9 })
  for (const problem of [topicNameProblem, topicFilterProblem]) {
    assert.equal(problem('é'.repeat(127)), null)
    assert.notEqual(problem('é'.repeat(128)), null)
    assert.equal(problem('/'.repeat(8)), null)
    assert.notEqual(problem('/'.repeat(9)), null)
  }
})

test('every valid topic name is a valid filter that matches exactly itself', () => {
  fc.assert(
    fc.property(topicName, topicName, (topic, other) => {
      assert.equal(topicNameProblem(topic), null)
      assert.equal(topicFilterProblem(topic), null)
      assert.equal(filterMatches(topic, topic), true)
      assert.equal(filterMatches(topic, other), topic === other)
    }),
    runs,
  )
})

test('filterMatches says what the standard says', () => {
  fc.assert(
    fc.property(topicFilter, topicName, (filter, topic) => {
      assert.equal(filterMatches(filter, topic), matchesNaively(filter, topic), `${filter} and ${topic}`)
    }),
    { numRuns: 20_000 },
  )
})

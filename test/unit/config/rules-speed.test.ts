import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { isTemplateProblem, parseHubConfig, parseTemplate } from '../../../src/config/index.ts'
import { type Forward, findCircles } from '../../../src/config/topic-rules.ts'

type Pair = readonly [source: string, target: string]

const list = (count: number, make: (i: number) => Pair) => Array.from({ length: count }, (_, i) => make(i))
/** The bits of a number, as levels. */
const bits = (i: number, one: string) =>
  (i % 128)
    .toString(2)
    .padStart(7, '0')
    .split('')
    .map(b => (b === '0' ? 'a' : one))
    .join('/')

/** Rules without circles, of which thousands lead, or seem to lead, to thousands. */
const SHAPES: Readonly<Record<string, (count: number) => Pair[]>> = {
  'plain rules': n => list(n, i => [`a/${i}`, `b/${i}`]),
  'a chain': n => list(n, i => [`c/${i}`, `c/${i + 1}`]),
  'a chain from its end': n => list(n, i => [`c/${n - i}`, `c/${n - i + 1}`]),
  templates: n => list(n, i => [`dev/${i}/+`, `cloud/${i}/{1}`]),
  'a chain of templates': n => list(n, i => [`dev/${i}/+`, `dev/${i + 1}/{1}`]),
  'targets that overlap many sources': n => [
    ...list(n / 2, i => [`s/${i}/#`, 't/{#}'] as const),
    ...list(n / 2, i => [`t/+/${i}`, `u/${i}`] as const),
  ],
  'targets that each lead to all sources': n => [
    ...list(n / 2, i => [`s/${i}/+`, `t/{1}/${i}`] as const),
    ...list(n / 2, i => [i % 2 === 0 ? `t/${i}/+` : `t/x/${i}`, `u/${i}`] as const),
  ],
  'dense layers': n => [
    ...list(n / 2, i => [`s/${i}/#`, 'x/{topic}'] as const),
    ...list(n / 2, i => [`x/${'+/'.repeat(i % 5)}#`, `v/${i}`] as const),
  ],
  'many layers': n => list(n, i => [`l${i % 10}/#`, `l${(i % 10) + 1}/${i}`]),
  'one source': n => list(n, i => ['s/#', `v/${i}`]),
  'one target': n => list(n, i => [`s/${i}/#`, 't/x']),
  'pieces of levels': n => [
    ...list(n / 2, i => [`s/${i}/+`, `t/x-${i}-{1}/{1}-${i}`] as const),
    ...list(n / 2, i => [`t/x-${i}/y-${i}`, `u/${i}`] as const),
  ],
  'wildcards everywhere': n => [
    ...list(n / 2, i => [`s/${i}/+/#`, `t/${bits(i, '{1}')}/${i}`] as const),
    ...list(n / 2, i => [`t/${bits(i * 7, '+')}/${i}`, `u/${i}`] as const),
  ],
  'gaps everywhere': n => [
    ...list(n / 2, i => [`s/${i}/+/#`, `t/{1}/{#}/${i}/{#}/{1}`] as const),
    ...list(n / 2, i => [`t/a/${i}/b/+/#`, `u/${i}`] as const),
  ],
}

function forwardsOf(pairs: readonly Pair[]): Forward[] {
  return pairs.map(([source, text]) => {
    const target = parseTemplate(text, source)
    if (isTemplateProblem(target)) throw new TypeError(`${text} ${target.problem}`)
    return { source, target }
  })
}

function milliseconds(forwards: readonly Forward[]): number {
  const start = performance.now()
  assert.deepEqual(findCircles(forwards), [], 'there are no circles')
  return performance.now() - start
}

suite('the search for circles takes time in proportion to the rules', () => {
  for (const [name, make] of Object.entries(SHAPES)) {
    test(name, () => {
      const few = forwardsOf(make(1000))
      const many = forwardsOf(make(10_000))
      const small = Math.max(milliseconds(few), milliseconds(few), 5)
      let large = milliseconds(many)
      // What else the machine does is not meant: the best counts.
      for (let i = 0; i < 3 && large > 40 * small; i++) large = Math.min(large, milliseconds(many))
      assert.ok(large < 40 * small, `${large} ms for 10,000 rules, ${small} ms for 1000`)
      assert.ok(large < 10_000, `${large} ms`)
    })
  }
})

test('circles of thousands of rules are found as well', () => {
  const around = forwardsOf(list(10_000, i => [`c/${i}`, `c/${(i + 1) % 10_000}`]))
  assert.deepEqual(
    findCircles(around)?.map(circle => circle.length),
    [10_000],
    'one, with all rules',
  )
  const all = forwardsOf(list(10_000, i => ['#', `v/${i}`]))
  assert.equal(findCircles(all)?.length, 20, 'as many as are told')
})

test('rules that overlap in millions of ways are refused, and soon', () => {
  let state = 1
  const random = (names: readonly string[]) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return names[(state >> 8) % names.length] as string
  }
  const levels = (names: readonly string[]) => Array.from({ length: 38 }, () => random(names)).join('/')
  const rules = list(2000, i =>
    i % 2 === 0
      ? [`t/${levels(['a', 'b', '+', 'c', 'd'])}/#`, `u/${i}`]
      : [`s/${i}/+/#`, `t/${levels(['a', 'b', '{1}', '{#}', '{#}'])}`],
  )
  assert.equal(findCircles(forwardsOf(rules)), null, 'nobody knows')
  const lines = rules.map(([source, target]) =>
    JSON.stringify({ source: { topic: source }, target: { topic: target } }),
  )
  const text = `limits: {topic: {levels: 40}}\nsubscriptions: [${lines.join()}]`
  assert.throws(() => parseHubConfig(text, { file: 'f', env: {} }), {
    message: 'f:2:16: subscriptions: overlap in too many ways to be searched for circles; use fewer {#} and wildcards',
  })
})

test('a file with as many rules as are allowed is loaded', () => {
  const rules = list(10_000, i => [`dev/${i}/+`, `up/${i}/{1}`]).map(
    ([source, target]) => `- {source: {topic: ${source}, qos: 1}, target: {topic: '${target}'}}\n`,
  )
  const start = performance.now()
  const { config } = parseHubConfig(`subscriptions:\n${rules.join('')}`, { file: 'f', env: {} })
  assert.equal(config.subscriptions.length, 10_000, 'all of them')
  assert.ok(performance.now() - start < 20_000, `${performance.now() - start} ms`)
})

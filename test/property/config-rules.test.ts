import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isTemplateProblem, parseTemplate } from '../../src/config/index.ts'
import { type Forward, findCircles } from '../../src/config/topic-rules.ts'
import { matchesNaively } from '../support/topic-oracle.ts'

// Few names, short, of which some are pieces of others.
const NAMES = ['a', 'b', 'ab', '$a', '$', '']
const PUBLISHERS = ['a', 'b', 'ab', '$a', '$']
const PLACEHOLDER = /\{([^}]+)\}/g

interface Plan {
  readonly source: string
  readonly target: string
}

const filter = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', 'ab', '$a', '+', '+'), { maxLength: 2 }), fc.boolean())
  .map(([levels, hasRest]) => [...levels, ...(hasRest ? ['#'] : [])].join('/'))
  .filter(text => text !== '')
/** A piece of a target; a placeholder that the source does not allow becomes text. */
const piece = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('a', 'b', 'ab', '/', '/', '/', '$') },
  { weight: 2, arbitrary: fc.constantFrom('{1}', '{2}', '{#}', '{clientid}', '{username}') },
  { weight: 1, arbitrary: fc.constant('{topic}') },
)

function planOf([source, pieces]: [string, string[]]): Plan {
  const captures = source.split('/').filter(level => level === '+').length
  const hasRest = source.endsWith('#')
  const allowed = pieces.map(text => {
    if (text === '{#}') return hasRest ? text : '{topic}'
    return text.length === 3 && Number(text[1]) > captures ? 'a' : text
  })
  // {#} stands for whole levels.
  const target = allowed
    .join('')
    .replace(/(?<=[^/])\{#\}/g, '/{#}')
    .replace(/\{#\}(?=[^/])/g, '{#}/')
  return { source, target }
}

const plan = fc.tuple(filter, fc.array(piece, { minLength: 1, maxLength: 5 })).map(planOf)
const plans = fc.array(plan, { minLength: 1, maxLength: 4 })

function circlesOf(list: readonly Plan[]): number[][] {
  const forwards = list.map(({ source, target }): Forward => {
    const template = parseTemplate(target, source)
    if (isTemplateProblem(template)) throw new TypeError(`${source} -> ${target}: ${template.problem}`)
    return { source, target: template }
  })
  const circles = findCircles(forwards)
  assert.ok(circles !== null, 'a few rules are not too many')
  return circles
}

function topicsTo(depth: number): string[] {
  let level = NAMES
  const all = [...NAMES]
  for (let i = 1; i < depth; i++) {
    level = level.flatMap(topic => NAMES.map(name => `${topic}/${name}`))
    all.push(...level)
  }
  return all.filter(topic => topic !== '')
}

/** What a placeholder stands for; undefined: it and its slash are not there. */
function valueOf(name: string, source: string, topic: string, publisher: string): string | undefined {
  const levels = topic.split('/')
  const pattern = source.split('/')
  if (name === 'topic') return topic
  if (name === 'clientid' || name === 'username') return publisher
  if (name === '#') {
    const rest = levels.slice(pattern.length - 1)
    return rest.length === 0 ? undefined : rest.join('/')
  }
  const plus = pattern.flatMap((level, i) => (level === '+' ? [i] : []))
  return levels[plus[Number(name) - 1] as number]
}

/** Level by level, so that a level that is not there takes its slash with it. */
function render(target: string, values: (name: string) => string | undefined): string {
  const levels: string[] = []
  for (const level of target.split('/')) {
    if (level !== '{#}') levels.push(level.replace(PLACEHOLDER, (_, name: string) => values(name) as string))
    else {
      const rest = values('#')
      if (rest !== undefined) levels.push(rest)
    }
  }
  return levels.join('/')
}

const START = topicsTo(3)

/** Whether a message can come back to a rule that it, or what it was made of, went through. */
function comesBack(list: readonly Plan[]): boolean {
  const follow = (topic: string, publisher: string, path: readonly Plan[]): boolean =>
    list.some(rule => {
      if (!matchesNaively(rule.source, topic)) return false
      if (path.includes(rule)) return true
      const target = render(rule.target, name => valueOf(name, rule.source, topic, publisher))
      return target !== '' && follow(target, publisher, [...path, rule])
    })
  return START.some(topic => PUBLISHERS.some(publisher => follow(topic, publisher, [])))
}

test('whenever a message can come back to a rule, the rules are in a circle', () => {
  let circles = 0
  let none = 0
  fc.assert(
    fc.property(plans, list => {
      if (comesBack(list)) {
        circles++
        assert.notEqual(circlesOf(list).length, 0, JSON.stringify(list))
      } else none++
    }),
    { numRuns: 1500 },
  )
  assert.ok(circles > 100 && none > 100, `${circles} circles, ${none} without`)
})

const DEEP = topicsTo(4)

/** All that a target can be, each placeholder for itself. */
function rendered({ source, target }: Plan): Set<string> {
  const taken = DEEP.filter(topic => matchesNaively(source, topic))
  const names = [...target.matchAll(PLACEHOLDER)].map(([, name]) => name as string)
  let choices: (string | undefined)[][] = [[]]
  for (const name of names) {
    const values = new Set(
      name === 'clientid' || name === 'username' ? PUBLISHERS : taken.map(topic => valueOf(name, source, topic, '')),
    )
    choices = choices.flatMap(chosen => [...values].map(value => [...chosen, value]))
  }
  const topics = choices.map(values => {
    const next = values[Symbol.iterator]()
    return render(target, () => next.next().value)
  })
  return new Set(topics.filter(topic => topic !== ''))
}

test('what is said to be a circle is one: each rule makes a topic that the next one takes', () => {
  const isSmall = ({ target }: Plan) => (target.match(/\{(?:#|topic)\}/g) ?? []).length <= 1 && target.length < 25
  let circles = 0
  let none = 0
  fc.assert(
    fc.property(fc.array(plan.filter(isSmall), { minLength: 1, maxLength: 3 }), list => {
      const made = list.map(rendered)
      const leads = list.map((_, from) =>
        list.map(({ source }) => [...(made[from] as Set<string>)].some(topic => matchesNaively(source, topic))),
      )
      const found = circlesOf(list)
      for (const circle of found) {
        for (const [i, rule] of circle.entries()) {
          const next = circle[(i + 1) % circle.length] as number
          assert.ok(leads[rule]?.[next], `rule ${rule} does not lead to ${next}: ${JSON.stringify(list)}`)
        }
        assert.equal(circle[0], Math.min(...circle), 'a circle begins with its first rule')
      }
      if (found.length > 0) circles++
      else none++
      assert.equal(found.length > 0, hasCircle(leads), JSON.stringify(list))
    }),
    { numRuns: 500 },
  )
  assert.ok(circles > 50 && none > 50, `${circles} circles, ${none} without`)
})

function hasCircle(leads: readonly (readonly boolean[])[]): boolean {
  const reach = leads.map(row => [...row])
  for (const [k, through] of reach.entries()) {
    for (const row of reach) for (const [j, can] of through.entries()) row[j] ||= row[k] === true && can
  }
  return reach.some((row, i) => row[i] === true)
}

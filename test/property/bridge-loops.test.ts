/** Messages that run in circles through a hub and its bridges: what is told beforehand against what happens. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type BridgeConfig,
  defaultBridgeConfig,
  defaultHubConfig,
  type HubConfig,
  isTemplateProblem,
  parseTemplate,
} from '../../src/config/index.ts'
import { findBridgeLoops, type LoopFinding } from '../../src/config/loops.ts'
import { renderTopic } from '../../src/router/index.ts'
import { matchesNaively } from '../support/topic-oracle.ts'

const HUB = 'hub'
const BROKERS = ['cloud', 'edge']
const PEOPLE = ['device', 'uplink', 'anonymous']

interface Sub {
  readonly topic: string
  readonly qos: 0 | 1 | 2
  readonly target: string
}

interface RulePlan {
  readonly broker: string
  readonly bridge: 0 | 1
  readonly out: readonly Sub[]
  readonly in: readonly Sub[]
}

interface HubRulePlan {
  readonly topic: string
  readonly target: string
  readonly principal: string
}

interface Plan {
  readonly rules: readonly RulePlan[]
  readonly hubRules: readonly HubRulePlan[]
  /** Where tryprivate is false: the hub, or one of the brokers. */
  readonly open: readonly string[]
  readonly username: string
}

// --- What is drawn ----------------------------------------------------------------------------------------------------

const level = fc.constantFrom('a', 'b', '')

const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+'), fc.constantFrom('a', '$a')), { maxLength: 3 }), fc.boolean())
  .map(([levels, hasRest]) => [...levels, ...(hasRest ? ['#'] : [])].join('/'))
  .filter(text => text !== '')

/** A template that is right for the filter. */
function targetFor(source: string): fc.Arbitrary<string> {
  const words = ['a', 'b', 'x', '{topic}']
  if (source.split('/').includes('+')) words.push('{1}', '{1}')
  if (source.endsWith('#')) words.push('{#}', '{#}')
  const template = fc.array(fc.constantFrom(...words), { minLength: 1, maxLength: 3 }).map(levels => levels.join('/'))
  return fc.oneof(fc.constant(''), template)
}

const qos = fc.constantFrom(0, 1, 2)
const wildSub: fc.Arbitrary<Sub> = filter.chain(topic =>
  fc.record({ topic: fc.constant(topic), qos, target: targetFor(topic) }),
)
const plain = fc.constantFrom('a', 'b', 'c', 'd', 'e')
const plainSub: fc.Arbitrary<Sub> = fc.record({ topic: plain, qos, target: fc.oneof(fc.constant(''), plain) })

function plans(sub: fc.Arbitrary<Sub>, principal: fc.Arbitrary<string>): fc.Arbitrary<Plan> {
  const rule = fc.record({
    broker: fc.constantFrom(...BROKERS),
    bridge: fc.constantFrom(0, 1),
    out: fc.array(sub, { maxLength: 2 }),
    in: fc.array(sub, { maxLength: 2 }),
  })
  const hubRule = fc
    .record({ sub, principal })
    .map(({ sub: { topic, target }, principal: of }) => ({ topic, target: target || 'z', principal: of }))
  return fc.record({
    rules: fc.array(rule, { minLength: 1, maxLength: 4 }),
    hubRules: fc.array(hubRule, { maxLength: 2 }),
    open: fc.subarray([HUB, ...BROKERS]),
    username: fc.constantFrom('', 'uplink'),
  })
}

// --- What is told -----------------------------------------------------------------------------------------------------

function findingsOf(plan: Plan): LoopFinding[] {
  const usual = defaultBridgeConfig()
  const subscriptions = (subs: readonly Sub[]) =>
    subs.map(sub => ({
      topic: sub.topic,
      qos: sub.qos,
      target: { topic: sub.target, qos: 2 as const, retain: 'keep' as const },
      limit: null,
    }))
  const bridges = [0, 1].map(number => {
    const rules = [...plan.rules.entries()].filter(([, rule]) => rule.bridge === number)
    const config: BridgeConfig = {
      ...usual,
      hub: { ...usual.hub, address: 'tcp://127.0.0.1', username: plan.username, tryPrivate: !plan.open.includes(HUB) },
      remotes: BROKERS.map(name => {
        return { ...usual.hub, name, address: `tcp://${name}.example`, tryPrivate: !plan.open.includes(name) }
      }),
      rules: rules.map(([i, rule]) => ({
        name: `r${i}`,
        hub: { clientId: `r${i}`, subscriptions: subscriptions(rule.out) },
        remote: { name: rule.broker, clientId: `r${i}`, subscriptions: subscriptions(rule.in) },
        offline: { max: 0 },
      })),
    }
    return { name: `b${number}`, config }
  })
  const hub: HubConfig = {
    ...defaultHubConfig(),
    subscriptions: plan.hubRules.map(({ topic, target, principal }) => ({
      source: { topic, qos: 1, principal },
      target: { topic: target, qos: 1, retain: 'clear' },
      authorize: false,
      principal: '',
      limit: null,
    })),
  }
  return findBridgeLoops(hub, bridges)
}

// --- What happens -----------------------------------------------------------------------------------------------------

/** A message at a broker. */
interface Message {
  readonly broker: string
  readonly topic: string
  /** The connection of a rule that published it, or somebody else. */
  readonly by: string
  readonly principal: string
}

/** Longer topics are refused everywhere, so that what grows does not grow for ever. */
const LONGEST = 80

/**
 * Whether any message is taken again by the subscription, or the rule of the hub, that it or what it was made of was taken by.
 * `remembers`: a bridge does not take back what it published, whatever the broker does.
 */
function comesBack(plan: Plan, topics: readonly string[], remembers: boolean): boolean {
  const ended = new Set<string>()
  const path = new Set<object>()
  const runs = (message: Message): boolean => {
    const key = Object.values(message).join('\0')
    if (ended.has(key)) return false
    for (const { via, copy } of nextOf(plan, message, remembers)) {
      if (path.has(via)) return true
      path.add(via)
      const isCircle = runs(copy)
      path.delete(via)
      if (isCircle) return true
    }
    ended.add(key)
    return false
  }
  return [HUB, ...BROKERS].some(broker =>
    topics.some(topic => PEOPLE.some(principal => runs({ broker, topic, by: 'somebody', principal }))),
  )
}

/** What is made of a message, and by what. */
interface Step {
  readonly via: Sub | HubRulePlan
  readonly copy: Message
}

function nextOf(plan: Plan, message: Message, remembers: boolean): Step[] {
  const { broker, topic, by, principal } = message
  const next: Step[] = []
  const publish = (via: Sub | HubRulePlan, copy: Omit<Message, 'topic'>) => {
    const made = render(via.topic, via.target, topic)
    if (made !== '' && made.length <= LONGEST) next.push({ via, copy: { ...copy, topic: made } })
  }
  if (broker === HUB) {
    for (const rule of plan.hubRules) {
      if (!matchesNaively(rule.topic, topic) || (rule.principal !== '' && rule.principal !== principal)) continue
      publish(rule, { broker: HUB, by: 'the hub', principal })
    }
  }
  for (const [i, rule] of plan.rules.entries()) {
    if (broker !== HUB && broker !== rule.broker) continue
    const isOut = broker === HUB
    const isOwn = by === `${i} ${broker}`
    if (isOwn && (remembers || !plan.open.includes(broker))) continue
    const matching = (isOut ? rule.out : rule.in).filter(sub => matchesNaively(sub.topic, topic))
    const highest = Math.max(...matching.map(sub => sub.qos))
    const chosen = matching.find(sub => sub.qos === highest)
    if (chosen === undefined) continue
    const there = isOut ? rule.broker : HUB
    publish(chosen, {
      broker: there,
      by: `${i} ${there}`,
      principal: plan.username || 'anonymous',
    })
  }
  return next
}

function render(source: string, target: string, topic: string): string {
  if (target === '') return topic
  const template = parseTemplate(target, source)
  assert.ok(!isTemplateProblem(template), `${target} is a template for ${source}`)
  const made = renderTopic(template, source, topic, null)
  assert.ok(typeof made === 'string', 'nothing depends on the publisher')
  return made
}

function topicsTo(depth: number): string[] {
  const names = ['a', 'b', 'x', '$a', '']
  let last = names
  const all = [...names]
  for (let i = 1; i < depth; i++) {
    last = last.flatMap(topic => names.map(name => `${topic}/${name}`))
    all.push(...last)
  }
  return all.filter(topic => topic !== '')
}

test('whenever a message comes back to where it was taken, a circle is told of', () => {
  const topics = topicsTo(3)
  let endless = 0
  let echoes = 0
  let none = 0
  fc.assert(
    fc.property(plans(wildSub, fc.constantFrom('', '', 'device', 'uplink', 'anonymous')), plan => {
      const shown = JSON.stringify(plan)
      if (comesBack(plan, topics, true)) {
        endless++
        const findings = findingsOf(plan)
        assert.ok(
          findings.some(({ isError }) => isError),
          `nothing is said of ${shown}`,
        )
      } else if (comesBack(plan, topics, false)) {
        echoes++
        assert.notEqual(findingsOf(plan).length, 0, `there is no warning of ${shown}`)
      } else none++
    }),
    { numRuns: 800 },
  )
  assert.ok(endless > 60 && echoes > 2 && none > 60, `${endless} endless, ${echoes} by echoes, ${none} without`)
})

test('of topics without wildcards it is told of exactly those circles that there are', () => {
  const topics = ['a', 'b', 'c', 'd', 'e', 'z']
  let endless = 0
  let none = 0
  let silent = 0
  fc.assert(
    fc.property(plans(plainSub, fc.constant('')), plan => {
      const isEndless = comesBack(plan, topics, true)
      if (isEndless) endless++
      else none++
      const findings = findingsOf(plan)
      const shown = `${JSON.stringify(plan)}: ${JSON.stringify(findings)}`
      assert.equal(
        findings.some(({ isError }) => isError),
        isEndless,
        shown,
      )
      if (findings.length === 0) silent++
      if (plan.open.length === 0)
        assert.ok(
          findings.every(({ isError }) => isError),
          shown,
        )
      if (comesBack(plan, topics, false)) assert.notEqual(findings.length, 0, shown)
    }),
    { numRuns: 3000 },
  )
  assert.ok(endless > 200 && none > 200 && silent > 200, `${endless} endless, ${none} not, nothing said of ${silent}`)
})

/** What a bridge does with topics, against the plainest way to say it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TopicMap } from '../../src/bridge/topic-map.ts'
import { type BridgeSubscriptionConfig, isTemplateProblem, parseTemplate } from '../../src/config/index.ts'
import { renderTopic } from '../../src/router/index.ts'
import { matchesNaively, topicFilter, topicName } from '../support/topic-oracle.ts'

const qos = fc.constantFrom(0, 1, 2)

function targetFor(filter: string): fc.Arbitrary<string> {
  const words = ['a', 'cloud', '{topic}', '+']
  if (filter.split('/').includes('+')) words.push('{1}', 'x{1}')
  if (filter.endsWith('#')) words.push('{#}')
  const levels = fc.array(fc.constantFrom(...words), { minLength: 1, maxLength: 3 })
  return fc.oneof(
    fc.constant(''),
    fc.constant('{topic}'),
    levels.map(parts => parts.join('/')),
  )
}

const subscription: fc.Arbitrary<BridgeSubscriptionConfig> = topicFilter.chain(topic =>
  fc.record({
    topic: fc.constant(topic),
    qos,
    target: fc.record({ topic: targetFor(topic), qos, retain: fc.constantFrom('keep', 'clear') }),
    limit: fc.constantFrom(null, { rate: 1, burst: 1 }),
  }),
)

interface Outcome {
  readonly target: string
  readonly qos: number
  readonly clearsRetain: boolean
  readonly isLimited: boolean
  readonly isWrong: boolean
}

/** By looking at every subscription, for each message. */
function naively(subscriptions: readonly BridgeSubscriptionConfig[], topic: string): Outcome | null {
  const matching = subscriptions.filter(each => matchesNaively(each.topic, topic))
  const highest = Math.max(...matching.map(each => each.qos))
  const chosen = matching.find(each => each.qos === highest)
  if (chosen === undefined) return null
  const { target } = chosen
  let made: unknown = topic
  if (target.topic !== '') {
    const template = parseTemplate(target.topic, chosen.topic)
    assert.ok(!isTemplateProblem(template), `${target.topic} is a template`)
    made = renderTopic(template, chosen.topic, topic, null)
  }
  assert.ok(typeof made === 'string', 'nothing depends on the publisher')
  return {
    target: made,
    qos: Math.min(chosen.qos, target.qos),
    clearsRetain: target.retain === 'clear',
    isLimited: chosen.limit !== null,
    isWrong: made === '' || /[+#\0]/.test(made) || Buffer.byteLength(made) > 65_535,
  }
}

/** Of few topics, so that most are known when they come again; of many, so that some are forgotten meanwhile. */
const topics = fc.oneof(
  fc.array(topicName, { minLength: 1, maxLength: 30 }),
  fc
    .tuple(fc.array(topicName, { minLength: 1, maxLength: 10 }), fc.integer({ min: 500, max: 3000 }))
    .map(([some, count]) =>
      Array.from({ length: count }, (_, i) =>
        i % 3 === 0 ? `${some[i % some.length]}` : `${some[i % some.length]}/${i % 1700}`,
      ),
    ),
)

test('each message goes where the subscription says that decides, known topic or not', () => {
  let matched = 0
  let wrong = 0
  fc.assert(
    fc.property(fc.array(subscription, { maxLength: 5 }), topics, (subscriptions, names) => {
      const map = new TopicMap(subscriptions)
      for (const topic of names) {
        const bytes = Buffer.from(`/${topic}/`)
        const plan = map.find(bytes, 1, bytes.length - 2)
        assert.ok(plan !== null, 'it is UTF-8')
        assert.equal(plan.topic, topic)
        assert.equal(plan.bytes.toString(), topic)
        const expected = naively(subscriptions, topic)
        if (expected === null) {
          assert.equal(plan.qos, -1, `${topic} is for nobody: ${JSON.stringify(subscriptions)}`)
          continue
        }
        matched++
        if (expected.isWrong) wrong++
        const { qos: most, clearsRetain, limit, problem } = plan
        const outcome = {
          target: plan.target,
          qos: most,
          clearsRetain,
          isLimited: limit !== null,
          isWrong: problem !== '',
        }
        assert.deepEqual(outcome, expected, `${topic}: ${JSON.stringify(subscriptions)}`)
        const changed = problem === '' && plan.target !== topic
        assert.equal(plan.targetBytes?.toString(), changed ? plan.target : undefined)
      }
    }),
    { numRuns: 600 },
  )
  assert.ok(matched > 1000 && wrong > 50, `${matched} matched, ${wrong} of them came out wrong`)
})

test('any bytes are a topic or are refused, the same each time', () => {
  const map = new TopicMap([{ topic: '#', qos: 1, target: { topic: 'x/{#}', qos: 2, retain: 'keep' }, limit: null }])
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), bytes => {
      const buffer = Buffer.from(bytes)
      const text = buffer.toString('utf8')
      const isText = Buffer.from(text).equals(buffer)
      for (const plan of [map.find(buffer, 0, buffer.length), map.find(buffer, 0, buffer.length)]) {
        assert.equal(plan?.topic ?? null, isText ? text : null)
      }
    }),
    { numRuns: 5000 },
  )
})

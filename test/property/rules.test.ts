/** Templates and rules against the plainest way to say what they do. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { isTemplateProblem, parseTemplate, type RuleConfig, type TopicTemplate } from '../../src/config/index.ts'
import { renderTopic } from '../../src/router/index.ts'
import { embedHub } from '../support/embedded-hub.ts'
import { publish, type Qos } from '../support/packets.ts'
import { linesOf, rule } from '../support/rules.ts'
import { matchesNaively, topicFilter } from '../support/topic-oracle.ts'

const PUBLISHER = { clientId: 'device-7', username: 'pump' }

// --- What is drawn ----------------------------------------------------------------------------------------------------

/** A topic that the filter matches: each wildcard is given something to stand for. */
function topicFor(filter: string): fc.Arbitrary<string> {
  const level = fc.constantFrom('', 'a', 'b', ' ', 'é', '\u{1F600}', '{1}', '\\{', '$', '$&', '$1')
  const levels = filter.split('/')
  const heads = levels.filter(each => each !== '#').map(each => (each === '+' ? level : fc.constant(each)))
  const head = fc.tuple(...heads)
  if (levels.at(-1) !== '#') return head.map(parts => parts.join('/'))
  const rest = fc.array(level, { maxLength: 3 })
  return fc.tuple(head, rest).map(([parts, more]) => [...parts, ...more].join('/'))
}

/** Levels of templates that are right for the filter. */
function templateFor(filter: string): fc.Arbitrary<string> {
  const captures = filter.split('/').filter(each => each === '+').length
  const text = fc.constantFrom('', 'a', 'cloud', ' ', '°', '\\{', '\\}', '\\{1\\}', '}', '\\', '$&')
  const words = ['{topic}', '{clientid}', '{username}', ...Array.from({ length: captures }, (_, i) => `{${i + 1}}`)]
  const level = fc.array(fc.oneof(text, fc.constantFrom(...words)), { maxLength: 3 }).map(parts => parts.join(''))
  const levels = filter.endsWith('#') ? fc.oneof({ weight: 3, arbitrary: level }, fc.constant('{#}')) : level
  return fc.array(levels, { minLength: 1, maxLength: 5 }).map(parts => parts.join('/'))
}

const rendering = topicFilter.chain(filter =>
  fc
    .record({ filter: fc.constant(filter), template: templateFor(filter), topic: topicFor(filter) })
    .filter(({ topic }) => topic !== '' && matchesNaively(filter, topic)),
)

// --- The plainest way -------------------------------------------------------------------------------------------------

/** The filter as a regular expression whose groups are what its wildcards stand for. */
function patternOf(filter: string): RegExp {
  const escaped = filter.replace(/[$()*.?[\\\]^{|}]/g, '\\$&')
  const singles = escaped.replace(/(^|\/)\+(?=\/|$)/g, '$1([^/]*)')
  const multi = singles.replace(/(^|\/)#$/, (_, slash: string) => (slash === '' ? '(?<rest>.*)' : '(?:/(?<rest>.*))?'))
  return new RegExp(`^${multi}$`, 's')
}

/** The template, level by level, with everything replaced. */
function renderNaively(template: string, filter: string, topic: string, { clientId, username } = PUBLISHER): string {
  const match = patternOf(filter).exec(topic)
  assert.ok(match !== null, `${filter} does not match ${topic}`)
  const rest = match.groups?.['rest']
  const words = new Map([
    ['topic', topic],
    ['clientid', clientId],
    ['username', username],
  ])
  const levels = template.split('/').flatMap(level => {
    if (level === '{#}') return rest === undefined ? [] : [rest]
    return level.replace(/\\([{}])|\{(\w+)\}/g, (_, brace: string | undefined, name: string) => {
      return brace ?? words.get(name) ?? (match[Number(name)] as string)
    })
  })
  return levels.join('/')
}

function parsed(template: string, source: string): TopicTemplate {
  const result = parseTemplate(template, source)
  assert.ok(!isTemplateProblem(result), `${template} for ${source}: ${JSON.stringify(result)}`)
  return result
}

// --- Templates --------------------------------------------------------------------------------------------------------

suite('templates', () => {
  test('become what replacing their placeholders in the text makes of them', () => {
    fc.assert(
      fc.property(rendering, ({ filter, template, topic }) => {
        const rendered = renderTopic(parsed(template, filter), filter, topic, PUBLISHER)
        assert.equal(rendered, renderNaively(template, filter, topic), `${filter} -> ${template} of ${topic}`)
      }),
      { numRuns: 20_000 },
    )
  })

  const junk = fc.oneof(
    fc.string({
      unit: fc.constantFrom('{', '}', '\\', '#', '+', '/', '1', '0', 'a', '{topic}', '{#}', '{1}', '\0', '$'),
      maxLength: 16,
    }),
    fc.string({ unit: 'binary', maxLength: 20 }),
  )

  test('of any text are read or refused with a place in it, never with an exception', () => {
    fc.assert(
      fc.property(junk, fc.oneof(topicFilter, junk), (text, source) => {
        const result = parseTemplate(text, source)
        if (!isTemplateProblem(result)) {
          assert.ok(result.parts.length > 0, 'there is a piece')
          assert.equal(result.isPlain, result.parts.length === 1 && result.parts[0]?.kind === 'text')
          return
        }
        assert.ok(result.at >= 1 && result.at <= text.length, `at ${result.at} of ${text.length}`)
        assert.equal(text[result.at - 1], '{', 'it is a brace that is wrong')
        assert.match(result.problem, /^has /)
      }),
      { numRuns: 20_000 },
    )
  })

  test('that are read can be rendered for every topic that the source matches', () => {
    const cases = topicFilter.chain(filter => fc.tuple(fc.constant(filter), junk, topicFor(filter)))
    let rendered = 0
    fc.assert(
      fc.property(cases, ([filter, text, topic]) => {
        const template = parseTemplate(text, filter)
        if (isTemplateProblem(template)) return
        assert.equal(typeof renderTopic(template, filter, topic, PUBLISHER), 'string')
        rendered++
      }),
      { numRuns: 20_000 },
    )
    assert.ok(rendered > 2000, `only ${rendered} of them were read`)
  })

  test('give a publisher one level to name, whatever it calls itself', () => {
    const name = fc.oneof(
      fc.string({ unit: fc.constantFrom('/', '+', '#', '\0', '$', 'a', '{1}', 'é') }),
      fc.string({ unit: 'binary' }),
    )
    fc.assert(
      fc.property(rendering, name, name, ({ filter, template, topic }, clientId, username) => {
        const asked = parsed(template, filter)
        const result = renderTopic(asked, filter, topic, { clientId, username })
        if (!asked.isPersonal) assert.equal(result, renderTopic(asked, filter, topic, null))
        else if (typeof result === 'string') {
          const harmless = renderNaively(template, filter, topic, { clientId: 'x', username: 'x' })
          assert.equal(result.split('/').length, harmless.split('/').length, 'as many levels')
          assert.equal(result, renderNaively(template, filter, topic, { clientId, username }))
        } else assert.match(result.problem, /^\{(clientid|username)\} /)
      }),
      { numRuns: 10_000 },
    )
  })
})

// --- Rules ------------------------------------------------------------------------------------------------------------

interface Said {
  readonly topic: string
  readonly qos: number
}

/**
 * All that is heard of a message: at each topic one copy for each target, by the rule with the highest source QoS, then
 * the highest target QoS. Copies are messages like others.
 */
function heardNaively(rules: readonly RuleConfig[], first: Said): string[] {
  const heard: string[] = []
  const queue = [first]
  for (let said = queue.shift(); said !== undefined; said = queue.shift()) {
    const { topic, qos } = said
    heard.push(`${topic} ${qos}`)
    const best = new Map<string, RuleConfig>()
    for (const each of rules) {
      if (!matchesNaively(each.source.topic, topic)) continue
      const target = renderNaively(each.target.topic, each.source.topic, topic)
      const other = best.get(target)
      if (other === undefined || rank(each) > rank(other)) best.set(target, each)
    }
    for (const [target, { source, target: to }] of best)
      queue.push({ topic: target, qos: Math.min(qos, source.qos, to.qos) })
  }
  return heard.sort()
}

function rank({ source, target }: RuleConfig): number {
  return source.qos * 3 + target.qos
}

const STAGES = 5
const qos = fc.constantFrom<Qos>(0, 1, 2)

/** From one stage to a later one, so that no rule leads back. */
const forwardRule: fc.Arbitrary<RuleConfig> = fc
  .record({
    from: fc.integer({ min: 0, max: STAGES - 2 }),
    skip: fc.integer({ min: 1, max: 2 }),
    pair: fc.constantFrom(
      'x -> x',
      '+ -> x',
      '+ -> {1}',
      '+/# -> {1}',
      '# -> {#}',
      '# -> x/{#}',
      '+/y -> y/{1}',
      'x/# -> {#}',
    ),
    sourceQos: qos,
    targetQos: qos,
  })
  .map(({ from, skip, pair, ...options }) => {
    const [source, target] = pair.split(' -> ')
    return rule(`s${from}/${source} -> s${from + skip}/${target}`, options)
  })

const rules = fc.uniqueArray(forwardRule, {
  maxLength: 10,
  selector: ({ source, target }) => `${source.topic} -> ${target.topic}`,
})
const said = fc.record({
  topic: fc
    .tuple(fc.integer({ min: 0, max: STAGES - 2 }), fc.constantFrom('', '/', '/x', '/y', '/x/y', '/y/y', '/x/x/y'))
    .map(([stage, rest]) => `s${stage}${rest}`),
  qos,
})

test('rules make exactly the copies that they should, of messages alone and in runs', async t => {
  const { hub, connectStream } = await embedHub(t, { settings: { window: 60_000 } })
  let trial = 0
  let forwarded = 0
  await fc.assert(
    fc.asyncProperty(
      rules,
      fc.array(said, { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 3 }),
      async (list, messages, times) => {
        trial++
        hub.useRules(list)
        const reader = await connectStream(`reader-${trial}`)
        await reader.subscribe(['#', 2])
        const publisher = await connectStream(`publisher-${trial}`)
        const repeated = messages.flatMap(message => Array<Said>(times).fill(message))
        const packets = repeated.map((message, i) => publish({ ...message, payload: 'm', packetId: i + 1 }))
        publisher.send(Buffer.concat(packets))
        const acknowledged = await publisher.everything()
        assert.equal(acknowledged.length, repeated.filter(message => message.qos > 0).length, 'all are acknowledged')
        const wanted = repeated.flatMap(message => heardNaively(list, message))
        const received = linesOf(await reader.everything()).map(line => line.slice(0, -' m'.length))
        assert.deepEqual(received.sort(), wanted.sort())
        forwarded += wanted.length - repeated.length
        assert.equal(hub.state.counters.forwarded, forwarded, 'counters.forwarded')
        for (const client of [reader, publisher]) await client.disconnect()
      },
    ),
    { numRuns: 400, endOnFailure: false },
  )
  assert.ok(forwarded > 400, `${forwarded} copies were made`)
})

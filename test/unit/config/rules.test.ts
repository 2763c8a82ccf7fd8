import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { ConfigError, formatProblem, parseHubConfig, type RuleConfig } from '../../../src/config/index.ts'

/** Problems with their place in the text, one a line. */
function problems(text: string): string[] {
  try {
    parseHubConfig(text, { file: 'f', env: {} })
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.problems.map(problem => formatProblem(problem).replace(/^f:/, ''))
  }
  return []
}

const rule = (source: string, target: string) =>
  JSON.stringify({ source: { topic: source }, target: { topic: target } })
const file = (...rules: readonly string[]) => `subscriptions:\n${rules.map(line => `- ${line}\n`).join('')}`

const DUPLICATE = /^\d+:3: subscriptions\[\d+\]: duplicate source and target config: /
const CYCLE = /^\d+:3: subscriptions\[\d+\]: found cycle in source and target config: /
const SOURCE = /^\d+:\d+: subscriptions\[\d+\]\.source\.topic: source topic \(.*\) invalid: it /
const TARGET = /^\d+:\d+: subscriptions\[\d+\]\.target\.topic: target topic \(.*\) invalid: it /

/** Rules of OpenEdge, as `source -> target`, and what is wrong with them; null: nothing. */
const ROUNDS: readonly (readonly [rules: string, problem: RegExp | null])[] = [
  ['', null],
  ['test -> point', null],
  ['test/# -> remote/iothub/test', null],
  ['test/# -> remote/iothub/test, test -> point', null],
  ['test/# -> remote/iothub/test, test -> point, aws -> demo, azure -> point', null],
  ['test/#/a -> point', SOURCE],
  ['test+ -> point', SOURCE],
  ['test -> test/+', TARGET],
  ['test -> point/#', TARGET],
  ['test -> point, test -> point', DUPLICATE],
  ['test/# -> point, test/# -> point', DUPLICATE],
  ['test/+ -> point, test -> point, test/+ -> point', DUPLICATE],
  ['test -> remote/iothub/test, test -> remote/iothub/test', DUPLICATE],
  ['test/# -> remote/iothub/test, test/# -> remote/iothub/test', DUPLICATE],
  ['test -> point, test/# -> point, test/+ -> point, + -> a/point', null],
  ['test/+/# -> point, test/# -> point', null],
  ['a -> b, b -> c', null],
  ['a -> b, b -> c, a -> c', null],
  ['test -> test', CYCLE],
  ['+ -> test', CYCLE],
  ['# -> test', CYCLE],
  ['# -> remote/iothub/test', CYCLE],
  ['test/# -> test', CYCLE],
  ['test/# -> test/a/b', CYCLE],
  ['test -> point, point -> test', CYCLE],
  ['test -> point, point -> test/from, test/from/# -> test', CYCLE],
  ['test -> point, point -> demo, demo -> test', CYCLE],
  ['test/+ -> point, point -> demo, demo -> test/a', CYCLE],
  ['test/# -> point, point/# -> test/from, test/from -> remote/iothub/test', CYCLE],
  ['a -> b, c -> d, d -> e/f, e/+ -> c', CYCLE],
  ['test -> point, point -> test/from, + -> a/b/c', null],
  ['test/# -> remote/iothub/test, aws -> test/a, remote/iothub/+ -> point, point -> demo, aws -> demo', null],
]

suite('rules of OpenEdge are accepted or refused as there', () => {
  assert.equal(ROUNDS.length, 32, 'there are 32 rounds')
  for (const [rules, problem] of ROUNDS) {
    test(rules === '' ? 'no rules' : rules, () => {
      const pairs = rules.split(', ').filter(pair => pair !== '')
      const lines = pairs.map(pair => rule(...(pair.split(' -> ') as [string, string])))
      const found = problems(file(...lines))
      if (problem === null) assert.deepEqual(found, [], 'nothing is wrong')
      else {
        assert.equal(found.length, 1, found.join('\n'))
        assert.match(found[0] as string, problem, 'that is wrong')
      }
    })
  }
})

test('a rule has all its keys, with those of OpenEdge alone', () => {
  const { config } = parseHubConfig(file('{source: {topic: a, qos: 1}, target: {topic: b}}'), { file: 'f', env: {} })
  const expected: RuleConfig = {
    source: { topic: 'a', qos: 1, principal: '' },
    target: { topic: 'b', qos: 0, retain: 'clear' },
    limit: null,
    authorize: false,
    principal: '',
  }
  assert.deepEqual(config.subscriptions, [expected], 'the defaults are those of OpenEdge')
})

test('templates are accepted', () => {
  const principals = 'principals: [{username: p, password: x}]\n'
  const accepted = [
    rule('dev/+/up/#', 'cloud/{1}/{#}'),
    rule('dev/+/+', 'cloud/{2}-{1}/{clientid}/{username}'),
    rule('dev/#', 'copy/{topic}'),
    rule('plain', 'braces/\\{1\\}'),
    // Nine levels when {#} stands for one.
    rule('deep/#', '1/2/3/4/5/6/7/8/{#}'),
  ]
  assert.deepEqual(problems(principals + file(...accepted)), [], 'nothing is wrong')
})

test('a template that is wrong is told with its place, and the place in it', () => {
  const known = '{1}, {2}, ..., {#}, {topic}, {clientid} and {username} are known; write \\{ for a brace'
  const text = file(
    '{source: {topic: dev/+}, target: {topic: "cloud/{x}"}}',
    '{source: {topic: dev/+}, target: {topic: "cloud/{9}/a"}}',
    '{source: {topic: dev/+}, target: {topic: "{#}/a"}}',
    '{source: {topic: dev/#}, target: {topic: "a/x{#}"}}',
    '{source: {topic: dev/+}, target: {topic: "a/{1"}}',
    '{source: {topic: dev/+}, target: {topic: "a/{1}/+"}}',
    '{source: {topic: dev/+}, target: {topic: "a/{1}/\\\\{#}"}}',
    '{source: {topic: dev/+}, target: {topic: "a/{1}/\\0"}}',
  )
  const at = (line: number, topic: string, problem: string) =>
    `${line}:44: subscriptions[${line - 2}].target.topic: target topic (${topic}) invalid: it ${problem}`
  assert.deepEqual(problems(text), [
    at(2, 'cloud/{x}', `has a placeholder {x}: ${known} (character 7)`),
    at(3, 'cloud/{9}/a', 'has {9}, but the source has one + (character 7)'),
    at(4, '{#}/a', 'has {#}, but the source does not end in # (character 1)'),
    at(5, 'a/x{#}', 'has {#} as a part of a level; it stands for whole levels (character 4)'),
    at(6, 'a/{1', 'has a { without its }; write \\{ for a brace (character 3)'),
    at(7, 'a/{1}/+', 'has a wildcard (character 7)'),
    at(8, 'a/{1}/\\{#}', 'has a wildcard (character 9)'),
    at(9, 'a/{1}/\\u0000', 'has a null character (character 7)'),
  ])
})

test('a target is a topic that somebody may publish to, whatever its placeholders stand for', () => {
  const denied = 'begins with $, which limits.topic.dollar denies'
  const sys = 'is below $SYS/, where nobody publishes but the hub itself'
  const judge = (source: string, target: string, limits = '{}') =>
    problems(`limits: {topic: ${limits}}\n${file(rule(source, target))}`).map(line => line.split('invalid: it ')[1])
  const allow = '{dollar: allow}'
  assert.deepEqual(judge('a', '$x'), [denied])
  assert.deepEqual(judge('a', '$x/{clientid}'), [denied])
  assert.deepEqual(judge('a', '\\{'), [], 'a brace is nothing special')
  assert.deepEqual(judge('$SYS/a/#', '{topic}/b'), [denied])
  assert.deepEqual(judge('a', '$x/{clientid}', allow), [])
  assert.deepEqual(judge('a', '$SYS/x', allow), [sys])
  assert.deepEqual(judge('a', '$SYS/{clientid}', allow), [sys])
  assert.deepEqual(judge('$SYS/a/#', '{topic}/b', allow), [sys])
  assert.deepEqual(judge('a', '$SYS', allow), [], 'the hub keeps what is below it')
  assert.deepEqual(judge('$SYS/broker/#', 'figures/{#}'), [], 'figures may be forwarded')
  assert.deepEqual(judge('a/+', 'b{1}/$x'), [], 'only the first level counts')

  assert.deepEqual(judge('a', 'b/c/d', '{levels: 2}'), ['has too many levels (3; 2 are allowed)'])
  assert.deepEqual(judge('a/+', 'b/c/{1}', '{levels: 2}'), ['has too many levels (3 at least; 2 are allowed)'])
  assert.deepEqual(judge('a/#', 'b/c/{#}', '{levels: 2}'), [], '{#} may be nothing')
  assert.deepEqual(judge('a/b', 'c/{topic}', '{levels: 2}'), ['has too many levels (3 at least; 2 are allowed)'])
  assert.deepEqual(judge('a/#', 'c/{topic}', '{levels: 2}'), [])
  assert.deepEqual(judge('a', 'bcd', '{length: 2}'), ['has 3 bytes; 2 are allowed'])
  assert.deepEqual(judge('a', 'é/{clientid}', '{length: 3}'), ['has 4 bytes at least; 3 are allowed'])
  assert.deepEqual(judge('a', 'é/{clientid}', '{length: 4}'), [])
  assert.deepEqual(judge('a', ''), ['is empty'])
})

test('of a source that is wrong nobody says what placeholders it has', () => {
  assert.deepEqual(problems(file(rule('a/#/b', 'c/{1}'))), [
    '2:22: subscriptions[0].source.topic: source topic (a/#/b) invalid: it has a # that is not the last level',
  ])
})

test('a template and its source occur once', () => {
  const other = '{source: {topic: a/+, qos: 1}, target: {topic: "b/{1}", qos: 2}, limit: {rate: 1}}'
  assert.deepEqual(problems(file(rule('a/+', 'b/{1}'), rule('a/+', 'c/{1}'), other)), [
    '4:3: subscriptions[2]: duplicate source and target config: a/+ -> b/{1} is subscriptions[0] too',
  ])
  assert.match(problems(file(rule('a', 'b}'), rule('a', 'b\\}'))).join(), /duplicate source and target config/)
})

test('a circle is printed as a whole, at its first rule', () => {
  assert.deepEqual(
    problems(file(rule('x', 'c'), rule('b', 'c'), rule('q/+', 'q'), rule('c', 'a'), rule('a', 'b'), rule('q', 'q/1'))),
    [
      '3:3: subscriptions[1]: found cycle in source and target config: b -> c, c -> a, a -> b',
      '4:3: subscriptions[2]: found cycle in source and target config: q/+ -> q, q -> q/1',
    ],
  )
})

const CIRCLES = [
  ['dev/+ -> {1}/x, +/x -> dev/a', true],
  ['dev/+ -> cloud/{1}, cloud/a -> dev/b', true],
  ['dev/+ -> cloud/x-{1}, cloud/y-a -> dev/b', false],
  ['dev/+ -> cloud/{1}-x, cloud/a-x -> dev/b', true],
  ['dev/+ -> cloud/{1}-x, cloud/a-y -> dev/b', false],
  ['dev/# -> {#}', true],
  ['dev/# -> /{#}, + -> dev/$SYS', false],
  ['dev/# -> /{#}, +/+ -> dev/a', true],
  ['dev/# -> {#}/end', true],
  ['dev/# -> cloud/{#}, cloud -> dev', true],
  ['dev/# -> cloud/{#}, cloud/a/b/c -> dev', true],
  ['dev/# -> cloud/{#}/end, cloud/end -> dev', true],
  ['dev/# -> cloud/{#}/end, cloud/a/b/end -> dev', true],
  ['dev/# -> cloud/{#}/end, cloud/a/b -> dev', false],
  ['dev/# -> cloud/{topic}, cloud/dev/a -> dev/b', true],
  ['dev/# -> cloud/{topic}, cloud/dev -> dev/b', true],
  ['dev/# -> cloud/{topic}, cloud/other/# -> dev/b', false],
  ['dev/+ -> a/{topic}/b, a/dev/x/b -> dev/y', true],
  ['dev/# -> x{topic}y, xdevy -> dev', true],
  ['dev/# -> x{topic}y, xdev/a/by -> dev', true],
  ['dev/# -> x{topic}y, xdev -> dev', false],
  ['a -> b/{clientid}, b/c -> a', true],
  ['a -> {username}, b -> a', true],
  ['a -> {topic}', true],
  ['# -> {topic}', true],
  ['# -> x/{topic}', true],
  ['+/a -> {1}, $x -> b/a', false],
  ['a/+ -> {1}, $x -> a/b', true],
] as const

suite('circles through templates', () => {
  for (const [rules, isCircle] of CIRCLES) {
    test(`${rules}: ${isCircle ? 'a circle' : 'none'}`, () => {
      const lines = rules.split(', ').map(pair => rule(...(pair.split(' -> ') as [string, string])))
      const found = problems(file(...lines))
      assert.equal(found.length > 0, isCircle, found.join('\n'))
      for (const line of found) assert.match(line, CYCLE, 'nothing else is wrong')
    })
  }
})

test('rules name principals of the file', () => {
  const rules = file(
    '{source: {topic: a, principal: sensor}, target: {topic: b}}',
    '{source: {topic: c, principal: sensr}, target: {topic: d}}',
    '{source: {topic: e}, target: {topic: f}, authorize: true, principal: Alice}',
    '{source: {topic: g, principal: anonymous}, target: {topic: h}}',
  )
  const principals = '\nprincipals: [{username: sensor, password: x}]\n'
  assert.deepEqual(problems(rules + principals), [
    '3:34: subscriptions[1].source.principal: is no principal of this file: sensr; did you mean sensor?',
    '4:72: subscriptions[2].principal: is no principal of this file: Alice',
    '5:34: subscriptions[3].source.principal: is no principal of this file: anonymous',
  ])
  assert.deepEqual(
    problems(`${rules}${principals}anonymous: {}`).map(line => line.split(':')[0]),
    ['3', '4'],
    'there is an anonymous one',
  )
  assert.deepEqual(
    problems(`${rules}\nprincipals: 3`),
    ['7:13: principals: must be a list, got a number'],
    'nothing is said of principals that nobody knows',
  )
})

test('authorize and principal go together', () => {
  const rules = file(
    '{source: {topic: a}, target: {topic: b}, authorize: true}',
    '{source: {topic: a}, target: {topic: c}, principal: p}',
    '{source: {topic: a}, target: {topic: d}, authorize: true, principal: p}',
    '{source: {topic: a}, target: {topic: e}, authorize: 1}',
  )
  assert.deepEqual(problems(`${rules}\nprincipals: [{username: p, password: x}]`), [
    '2:55: subscriptions[0].authorize: is true, but there is no principal beside it whose permissions count',
    '3:55: subscriptions[1].principal: has no effect without authorize: true; to take the messages of one principal only, see source.principal',
    '5:55: subscriptions[3].authorize: must be true or false, got 1',
  ])
})

test('the numbers and words of a rule', () => {
  const one = (keys: string) => problems(file(`{source: {topic: a}, target: {topic: b}, ${keys}}`))
  assert.deepEqual(one('limit: {rate: 1, burst: 0}'), [])
  assert.deepEqual(one('limit: '), [], 'no value is no limit')
  assert.deepEqual(one('limit: {burst: 3}'), [
    '2:51: subscriptions[0].limit.rate: must be a whole number, 1 to 2147483647; got nothing',
  ])
  assert.deepEqual(one('limit: {rate: 0}'), [
    '2:58: subscriptions[0].limit.rate: must be a whole number, 1 to 2147483647; got 0',
  ])
  assert.deepEqual(one('limit: {rate: 0.5}'), ['2:58: subscriptions[0].limit.rate: must be a whole number, got 0.5'])
  assert.deepEqual(one('limit: 5'), ['2:51: subscriptions[0].limit: must be a block of keys, got a number'])
  assert.deepEqual(problems(file('{source: {topic: a, qos: 3}, target: {topic: b, retain: yes}}')), [
    '2:28: subscriptions[0].source.qos: must be 0, 1 or 2, got 3',
    '2:59: subscriptions[0].target.retain: must be clear or keep or set, got "yes"',
  ])
})

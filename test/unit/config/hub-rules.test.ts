import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, formatProblem, parseHubConfig } from '../../../src/config/index.ts'

function problems(text: string): string[] {
  try {
    parseHubConfig(text, { file: 'f', env: {} })
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems.map(problem => formatProblem(problem).replace(/^f:\d+:\d+: /, ''))
  }
  return []
}

function warnings(text: string, isPublicFile = false, env: Record<string, string> = {}): string[] {
  const loaded = parseHubConfig(text, { file: 'f', env, isPublicFile })
  return loaded.warnings.map(problem => formatProblem(problem).replace(/^f:\d+:\d+: /, ''))
}

const rule = (source: string, target: string, qos = 0) =>
  JSON.stringify({ source: { topic: source, qos }, target: { topic: target } })
const rules = (...list: string[]) => `subscriptions: [${list.join(', ')}]`

test('usernames are unique, and case counts', () => {
  assert.deepEqual(problems('principals: [{username: a}, {username: A}, {username: a}, {username: a}]'), [
    'principals[2].username: username (a) duplicate',
    'principals[3].username: username (a) duplicate',
  ])
})

test('permits are topic filters within the limits, of anonymous clients too', () => {
  const permissions = (...permits: string[]) => `[{action: sub, permit: ${JSON.stringify(permits)}}]`
  assert.deepEqual(
    problems(`principals: [{permissions: ${permissions('#', '+', 'a/+/b', '/', '$SYS/#', '中 文')}}]`),
    [],
  )
  assert.deepEqual(problems(`principals: [{permissions: ${permissions('a+', 'a/#/b', '')}}]`), [
    'principals[0].permissions[0].permit[0]: sub topic(a+) invalid: it has a + that is not a whole level',
    'principals[0].permissions[0].permit[1]: sub topic(a/#/b) invalid: it has a # that is not the last level',
    'principals[0].permissions[0].permit[2]: sub topic() invalid: it is empty',
  ])
  const deep = permissions('a/b/c/d/e/f/g/h/i/j')
  assert.deepEqual(problems(`anonymous: {permissions: ${deep}}`), [
    'anonymous.permissions[0].permit[0]: sub topic(a/b/c/d/e/f/g/h/i/j) invalid: it has too many levels (10; 9 are allowed)',
  ])
  assert.deepEqual(problems(`anonymous: {permissions: ${deep}}\nlimits: {topic: {levels: 10}}`), [])
})

test('rules have a valid source and a valid target', () => {
  assert.deepEqual(problems(rules(rule('a/#', 'b'), rule('+', 'c/d'))), [])
  assert.deepEqual(problems(rules('{}', rule('a#', 'b/+'), rule('a', '$x'))), [
    'subscriptions[0].source.topic: source topic () invalid: it is empty',
    'subscriptions[0].target.topic: target topic () invalid: it is empty',
    'subscriptions[1].source.topic: source topic (a#) invalid: it has a # that is not a whole level',
    'subscriptions[1].target.topic: target topic (b/+) invalid: it has a wildcard',
    'subscriptions[2].target.topic: target topic ($x) invalid: it begins with $, which limits.topic.dollar denies',
  ])
  assert.deepEqual(problems(`${rules(rule('a', '$x'))}\nlimits: {topic: {dollar: allow}}`), [])
})

test('a pair of source and target occurs once, whatever its QoS', () => {
  assert.deepEqual(problems(rules(rule('a', 'b'), rule('a', 'c'), rule('a', 'b', 1))), [
    'subscriptions[2]: duplicate source and target config: a -> b is subscriptions[0] too',
  ])
})

test('rules do not run in a circle', () => {
  const cycle = 'found cycle in source and target config'
  assert.deepEqual(problems(rules(rule('a', 'a'))), [`subscriptions[0]: ${cycle}: a -> a`])
  assert.deepEqual(problems(rules(rule('#', 'b'))), [`subscriptions[0]: ${cycle}: # -> b`])
  assert.deepEqual(problems(rules(rule('x', 'y'), rule('a', 'b'), rule('b', 'c'), rule('c', 'a'))), [
    `subscriptions[1]: ${cycle}: a -> b, b -> c, c -> a`,
  ])
  assert.deepEqual(problems(rules(rule('a/+', 'b/x'), rule('b/#', 'a/y'))).length, 1)
  // A filter that ends in /# also takes the level above it.
  assert.deepEqual(problems(rules(rule('b/#', 'b'))).length, 1)
  assert.deepEqual(problems(rules(rule('+/+', 'b'), rule('b', 'c/d'))).length, 1)
})

test('rules that only look like a circle are fine', () => {
  assert.deepEqual(problems(rules(rule('a', 'b'), rule('b', 'c'), rule('a', 'c'), rule('c', 'd'))), [])
  assert.deepEqual(problems(rules(rule('+', 'a/b'), rule('a/b/+', 'a/b/c/d'), rule('t', 't/topic'))), [])
  // Wildcards don't reach below $.
  assert.deepEqual(problems(`${rules(rule('#', '$x'), rule('+/a', '$x/a'))}\nlimits: {topic: {dollar: allow}}`), [])
})

test('many rules are judged quickly, too many are refused', () => {
  const chain = Array.from({ length: 5000 }, (_, i) => rule(`a${i}`, `a${i + 1}`))
  assert.deepEqual(problems(rules(...chain)), [])
  assert.deepEqual(problems(rules(...chain, rule('a5000', 'a0'))).length, 1)
  const dense = Array.from({ length: 2000 }, (_, i) => rule(`+/${'+/'.repeat(i % 5)}#`, `a/b/c/d/e/f/g/${i}`))
  assert.deepEqual(problems(rules(...dense)).length, 20)
  assert.match(problems(rules(...Array<string>(10_001).fill(rule('a', 'b')))).join(), /10001 rules; 10000 are allowed/)
})

test('addresses: each once, and TLS needs a certificate', () => {
  assert.deepEqual(problems('listen: [tcp://:1883, ws://:1883, "tcp://127.0.0.1:1883", tcp://h:0, tcp://h:0]'), [
    'listen[1]: is the same address as listen[0]',
  ])
  assert.deepEqual(problems('listen: [tcp://:1, ssl://:2, wss://:3]'), [
    'listen[1]: needs certificate.cert and certificate.key',
    'listen[2]: needs certificate.cert and certificate.key',
  ])
  assert.deepEqual(problems('listen: [ssl://:2]\ncertificate: {cert: c, key: k}'), [])
})

test('certificate, key and authority go together', () => {
  assert.deepEqual(problems('certificate: {cert: c}'), ['certificate.cert: has no certificate.key to it'])
  assert.deepEqual(problems('certificate: {key: k}'), ['certificate.key: is a key without certificate.cert'])
  for (const identity of ['cn', 'san']) {
    assert.match(problems(`certificate: {cert: c, key: k, identity: ${identity}}`).join(), /needs certificate\.ca/)
    assert.deepEqual(problems(`certificate: {ca: a, cert: c, key: k, identity: ${identity}}`), [])
  }
})

test('rules are judged although another part of the file is wrong', () => {
  const text = `principals: [{username: a, permissions: 3}, {username: a}]\nlogger: 3\n${rules('3', rule('a', 'a'))}`
  assert.deepEqual(problems(text), [
    'principals[0].permissions: must be a list, got a number',
    'principals[1].username: username (a) duplicate',
    'logger: must be a block of keys, got a number',
    'subscriptions[0]: must be a block of keys, got a number',
    'subscriptions[1]: found cycle in source and target config: a -> a',
  ])
})

test('warnings: nobody can come in', () => {
  assert.deepEqual(warnings('principals: [{username: a, password: b}]'), ['listen: is empty: nobody can reach the hub'])
  assert.match(warnings('listen: [tcp://:1]').join(), /nobody can connect/)
  assert.deepEqual(warnings('listen: [tcp://:1]\nanonymous: {}'), [])
  const principal = 'listen: [tcp://:1]\nprincipals: [{username: a}]\n'
  assert.match(warnings(principal).join(), /^principals\[0\]: has no password.*can never connect$/)
  assert.deepEqual(warnings(`${principal}certificate: {ca: a, cert: c, key: k}`), [])
  assert.match(warnings('listen: [tcp://:1]\nprincipals: [{password: x}]').join(), /has no username/)
})

test('warnings: anyone can come in', () => {
  const anonymous = 'anonymous: {permissions: [{action: pub, permit: [a]}]}'
  const open = (url: string) => warnings(`listen: ["${url}"]\n${anonymous}`)
  for (const url of ['tcp://:1', 'tcp://0.0.0.0:1', 'ws://[::]:1', 'tcp://192.168.0.1:1', 'tcp://example.org:1']) {
    assert.match(open(url).join(), /^listen\[0\]: is open to the network/, url)
  }
  for (const url of ['tcp://127.0.0.1:1', 'tcp://127.9.9.9:1', 'ws://[::1]:1', 'tcp://localhost:1', 'unix:///s']) {
    assert.deepEqual(open(url), [], url)
  }
  assert.deepEqual(warnings('listen: [tcp://:1]\nanonymous: {permissions: [{action: pub, permit: []}]}'), [])
})

test('warnings: plain passwords in a file that others may read', () => {
  const principals = [
    '{username: a, password: plain}',
    '{username: b, password: "$scrypt$x"}',
    '{username: c, password: "${P}"}',
  ]
  const text = `listen: [unix:///s]\nprincipals: [${principals.join()}]`
  assert.deepEqual(warnings(text, false, { P: 'secret' }), [])
  const found = warnings(text, true, { P: 'secret' })
  assert.equal(found.length, 1)
  assert.match(found.join(), /^principals\[0\]\.password: is plain text in a file .*chmod 600/)
})

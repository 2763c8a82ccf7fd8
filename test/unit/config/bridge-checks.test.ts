import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, formatProblem, type Problem, parseBridgeConfig } from '../../../src/config/index.ts'

const shown = (list: readonly Problem[]) => list.map(problem => formatProblem(problem).replace(/^f:/, ''))

/** Problems with their place in the text, one a line. */
function problems(text: string): string[] {
  try {
    parseBridgeConfig(text, { file: 'f', env: {} })
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return shown(error.problems)
  }
  return []
}

const warnings = (text: string) => shown(parseBridgeConfig(text, { file: 'f', env: {} }).warnings)

/** Three lines, then a rule a line from line 4; a rule without subscriptions gets one. */
function file(rules: readonly string[], remotes = '[{name: r, address: tcp://far}]', hub = 'tcp://near'): string {
  const lines = rules.map(rule => `- ${rule}\n`)
  return `hub: {address: "${hub}"}\nremotes: ${remotes}\nrules:\n${lines.join('')}`
}
const T = 'subscriptions: [{topic: t}]'

test('a remote that there is not, or that is there twice', () => {
  const rules = [`{remote: {name: cluod, ${T}}}`, `{remote: {${T}}}`, `{remote: {name: s, ${T}}, name: s}`]
  const remotes = '[{name: cloud, address: tcp://c}, {name: s, address: tcp://d}, {name: s, address: tcp://e}]'
  assert.deepEqual(problems(file(rules, remotes)), [
    '2:80: remotes[2].name: remote (s) duplicate: remotes[1] too',
    '4:19: rules[0].remote.name: remote (cluod) not found; did you mean cloud?',
    '5:12: rules[1].remote.name: is missing; name one of the remotes',
  ])
})

test('what is needed and missing', () => {
  assert.deepEqual(problems('remotes: [{}]\nrules: []\n'), [
    '1:11: remotes[0].address: is empty; write for instance tcp://127.0.0.1:1883',
    '1:11: remotes[0].name: is missing; rules call the remote by it',
  ])
  const text = `remotes: [{name: r, address: tcp://h}]\nrules: [{remote: {name: r, ${T}}}]\n`
  assert.deepEqual(problems(text), ['1:1: hub.address: is empty; write for instance tcp://127.0.0.1:1883'])
})

test('an address that is none', () => {
  assert.deepEqual(problems(file([`{remote: {name: r, ${T}}}`], '[{name: r, address: "tpc://x"}]', 'tcp://h:99999')), [
    '1:16: hub.address: has port 99999; a port is 1 to 65535',
    '2:30: remotes[0].address: has the unknown scheme tpc; did you mean tcp?',
  ])
})

test('two rules of one remote without client identifiers would fight for one', () => {
  const rules = [`{name: up, hub: {${T}}, remote: {name: r}}`, `{name: down, remote: {name: r, ${T}}}`]
  assert.deepEqual(problems(file(rules)), [
    '5:31: rules[1].remote.name: rules[1] (down) has client identifier r on remote r, as rules[0] (up) has there: each connection would end the other; give each a clientid of its own',
  ])
  const unnamed = problems(file([`{hub: {${T}}, remote: {name: r}}`, `{remote: {name: r, ${T}}}`]))
  assert.equal(unnamed.length, 1, 'once, although their names and identifiers on the hub are the same too')
  assert.match(unnamed.join(), /rules\[1\] \(r\) has client identifier r on remote r, as rules\[0\] \(r\) has there/)
})

test('one client identifier on the hub', () => {
  const rules = [
    `{name: a, hub: {clientid: x, ${T}}, remote: {name: r, clientid: 1}}`,
    `{name: b, hub: {clientid: x, ${T}}, remote: {name: r, clientid: 2}}`,
    `{name: c, hub: {${T}}, remote: {name: s, clientid: x}}`,
  ]
  const end = 'each connection would end the other; give each a clientid of its own'
  assert.deepEqual(problems(file(rules, '[{name: r, address: tcp://r}, {name: s, address: tcp://s}]')), [
    `5:29: rules[1].hub.clientid: rules[1] (b) has client identifier x on the hub, as rules[0] (a) has there: ${end}`,
    `6:77: rules[2].remote.clientid: rules[2] (c) has client identifier x on the hub, as rules[0] (a) has there: ${end}`,
  ])
})

test('remotes of one address are one broker', () => {
  const rules = [
    `{name: a, hub: {${T}}, remote: {name: r, clientid: x}}`,
    `{name: b, hub: {clientid: y, ${T}}, remote: {name: s, clientid: x}}`,
  ]
  const same = (first: string, second: string) =>
    problems(file(rules, `[{name: r, address: "${first}"}, {name: s, address: "${second}"}]`))
  assert.deepEqual(same('tcp://broker', 'mqtt://BROKER.:1883/'), [
    '5:90: rules[1].remote.clientid: rules[1] (b) has client identifier x on remote s, as rules[0] (a) has on remote r, which is the same broker: each connection would end the other; give each a clientid of its own',
  ])
  assert.equal(same('tcp://localhost:1', 'tcp://[::]:1').length, 1)
  assert.equal(same('tcp://127.0.0.1:1', 'tcp://0.0.0.0:1').length, 1)
  for (const [first, second] of [
    ['tcp://broker', 'tcp://broker:1884'],
    ['tcp://broker', 'tcp://other'],
    ['wss://broker/a', 'wss://broker/b'],
    ['tcp://127.0.0.1:1', 'tcp://127.0.0.2:1'],
  ] as const) {
    assert.deepEqual(same(first, second), [], `${first} and ${second} are two`)
  }
})

test('a remote that is the hub', () => {
  const to = (clientid: string) =>
    problems(
      file(
        [`{name: a, hub: {clientid: x, ${T}}, remote: {name: r, clientid: ${clientid}}}`],
        '[{name: r, address: "tcp://localhost:1883"}]',
        'tcp://0.0.0.0',
      ),
    )
  assert.deepEqual(to('y'), [])
  assert.deepEqual(to('x'), [
    '4:29: rules[0].hub.clientid: rules[0] (a) has client identifier x on the hub, as it has on remote r, which is the same broker: each connection would end the other; give each a clientid of its own',
  ])
})

test('client identifiers, usernames and passwords are texts of MQTT', () => {
  const long = 'x'.repeat(65_536)
  const rule = (id: string) => file([`{hub: {${T}}, remote: {name: r, clientid: "${id}"}}`])
  assert.deepEqual(problems(rule('a\\0b')), [
    '4:68: rules[0].remote.clientid: client identifier (a\\u0000b) invalid: it has a null character',
  ])
  assert.match(problems(rule(long)).join(), /\.\.\.\) invalid: it has 65536 bytes; 65535 are allowed$/)
  assert.deepEqual(problems(rule(long.slice(1))), [])
  const remote = '[{name: r, address: tcp://h, username: "\\ud800", password: "\\0"}]'
  assert.deepEqual(problems(file([`{hub: {${T}}, remote: {name: r}}`], remote)), [
    '2:49: remotes[0].username: has half a character (a surrogate without its other half)',
    '2:69: remotes[0].password: has a null character',
  ])
})

test('names say whose figures are whose', () => {
  const rules = [
    `{name: "a b", hub: {clientid: 1, ${T}}, remote: {name: r, clientid: 1}}`,
    `{name: a/b, hub: {clientid: 2, ${T}}, remote: {name: r, clientid: 2}}`,
    `{hub: {clientid: a+b, ${T}}, remote: {name: r, clientid: 3}}`,
  ]
  assert.deepEqual(problems(file(rules)), [
    '5:10: rules[1].name: rules[1] has the name a_b as rules[0] has; give rules[1] a name of its own',
    '6:20: rules[2].hub.clientid: rules[2] has the name a_b, from its client identifier on the hub, as rules[0] has; give rules[2] a name of its own',
  ])
})

test('filters and targets, in both directions', () => {
  const subscriptions = [
    '{topic: a/#/b}',
    '{}',
    '{topic: $share/g/t}',
    '{topic: a/+, target: {topic: "b/{2}"}}',
    '{topic: b/#, target: {topic: "x/{clientid}"}}',
    '{topic: c/#, target: {topic: "x/+/{#}"}}',
    '{topic: d/#, target: {topic: $SYS/x}}',
    '{topic: e/#/f, target: {topic: "{#}"}}',
  ]
  const known = '{1}, {2}, ..., {#} and {topic} are known to a bridge; write \\{ for a brace'
  const expected = [
    '0].topic: topic filter (a/#/b) invalid: it has a # that is not the last level',
    '1].topic: topic filter () invalid: it is empty',
    '2].topic: topic filter ($share/g/t) invalid: it is a shared subscription, which MQTT 3.1.1 does not have',
    '3].target.topic: target topic (b/{2}) invalid: it has {2}, but the source has one + (character 3)',
    `4].target.topic: target topic (x/{clientid}) invalid: it has a placeholder {clientid}: ${known} (character 3)`,
    '5].target.topic: target topic (x/+/{#}) invalid: it has a wildcard (character 3)',
    '6].target.topic: target topic ($SYS/x) invalid: it is below $SYS/, where nobody publishes but the broker itself',
    '7].topic: topic filter (e/#/f) invalid: it has a # that is not the last level',
  ]
  const list = subscriptions.map(each => `  - ${each}\n`).join('')
  const head = `hub: {address: tcp://h}\nremotes: [{name: r, address: tcp://r}]\nrules:\n`
  const texts = {
    hub: `${head}- remote: {name: r}\n  hub:\n   subscriptions:\n${list.replaceAll('  -', '   -')}`,
    remote: `${head}- remote:\n   name: r\n   subscriptions:\n${list.replaceAll('  -', '   -')}`,
  }
  for (const side of ['hub', 'remote'] as const) {
    const found = problems(texts[side])
    assert.deepEqual(
      found.map(line => line.replace(/^\d+:\d+: /, '')),
      expected.map(line => `rules[0].${side}.subscriptions[${line}`),
    )
    assert.deepEqual(
      found.map(line => Number(line.split(':')[0])),
      expected.map((_, i) => i + 7),
      'each in its line',
    )
  }
})

test('what brokers bear is for them to say', () => {
  const deep = 'a/'.repeat(200)
  const long = 'x'.repeat(65_535)
  for (const subscription of [
    `{topic: "${deep}+"}`,
    `{topic: ${long}}`,
    '{topic: $aws/things/+/shadow, target: {topic: "$iothub/{1}"}}',
    '{topic: "#", target: {topic: "cloud/{topic}"}}',
    '{topic: "a/+/#", target: {topic: "{#}/{1}"}}',
  ]) {
    const rule = `{hub: {subscriptions: [${subscription}]}, remote: {name: r}}`
    assert.deepEqual(problems(file([rule])), [], subscription.slice(0, 80))
  }
  const rule = `{hub: {subscriptions: [{topic: ${long}y}]}, remote: {name: r}}`
  assert.match(problems(file([rule])).join(), /it has 65536 bytes; 65535 are allowed$/)
})

test('a target that begins with a brace has to be quoted', () => {
  const rule = (target: string) =>
    problems(file([`{hub: {subscriptions: [{topic: a/+, target: {topic: ${target}}}]}, remote: {name: r}}`]))
  assert.deepEqual(rule('"{1}"'), [])
  assert.deepEqual(rule('{1}'), [
    '4:55: rules[0].hub.subscriptions[0].target.topic: must be a single value, got a block of keys; quote a text that begins with {',
  ])
  assert.match(rule('b/{1}').join('\n'), /^4:\d+: .*; quote a text with \{\.\.\.\} in it$/m)
})

test('credentials go together', () => {
  const remote = (keys: string) =>
    problems(file([`{hub: {${T}}, remote: {name: r}}`], `[{name: r, address: ssl://h, ${keys}}]`)).map(line =>
      line.replace(/^2:\d+: remotes\[0\]\./, ''),
    )
  const noUser = 'needs a username beside it: MQTT has no password without one'
  assert.deepEqual(remote('username: u, password: p, passwordfile: f'), [
    'passwordfile: stands beside password; only one of the two is possible',
  ])
  assert.deepEqual(remote('password: p'), [`password: ${noUser}`])
  assert.deepEqual(remote('passwordfile: f'), [`passwordfile: ${noUser}`])
  assert.deepEqual(remote('username: u, passwordfile: f'), [])
  assert.deepEqual(remote('username: u'), [], 'a username may be alone')
  assert.deepEqual(remote('cert: c'), ['cert: has no key to it'])
  assert.deepEqual(remote('key: k'), ['key: is a key without cert'])
  assert.deepEqual(remote('ca: a, cert: c, key: k'), [])
})

test('names for TLS', () => {
  const remote = (keys: string) =>
    problems(file([`{hub: {${T}}, remote: {name: r}}`], `[{name: r, address: ssl://h, ${keys}}]`)).map(line =>
      line.replace(/^2:\d+: remotes\[0\]\./, ''),
    )
  assert.deepEqual(remote('servername: broker.example, alpn: [mqtt]'), [])
  assert.deepEqual(remote('servername: "2001:db8::1"'), [])
  assert.deepEqual(remote('servername: a b'), ['servername: is neither a host name nor an IP address: a b'])
  assert.deepEqual(remote('servername: 1.2.3'), ['servername: is neither a host name nor an IP address: 1.2.3'])
  assert.deepEqual(remote(`alpn: ["", ${'x'.repeat(256)}]`), [
    'alpn[0]: is empty',
    'alpn[1]: has 256 bytes; 255 are allowed',
  ])
})

test('the topic of the state', () => {
  const rules = [`{hub: {${T}}, remote: {name: r}}`, `{hub: {${T}}, remote: {name: r, clientid: x}}`]
  const status = (topic: string, count: number) =>
    problems(`${file(rules.slice(0, count))}status: {topic: "${topic}"}\n`).map(line => line.replace(/^\d+:\d+: /, ''))
  for (const topic of ['none', '', 'bridges/{rule}', '{rule}/{rule}', '$SYS/{rule}']) {
    assert.deepEqual(status(topic, 2), [], topic)
  }
  assert.deepEqual(status('state', 1), [], 'one rule needs no placeholder')
  assert.deepEqual(status('state', 2), [
    'status.topic: is the same topic for each of 2 rules; put {rule} into it, which stands for the name of the rule',
  ])
  assert.deepEqual(status('{rule}/+', 2), ['status.topic: topic ({rule}/+) invalid: it has a wildcard'])
  assert.deepEqual(status('{name}/x', 2), ['status.topic: has a placeholder {name}; only {rule} is known'])
})

test('figures and control, as in the hub', () => {
  const text = file([`{hub: {${T}}, remote: {name: r}}`])
  assert.deepEqual(problems(`${text}metrics: {listen: "tcp://:1"}\ncontrol: {socket: run/}\n`), [
    '5:19: metrics.listen: has the scheme tcp; only http is known here',
    '6:19: control.socket: is a folder; name the socket in it',
  ])
  assert.match(warnings(`${text}metrics: {listen: "http://:9091"}\n`).join(), /^5:19: .* is open to the network/)
})

test('what is worth a warning', () => {
  const rules = [
    `{name: a, remote: {name: r}}`,
    `{name: b, hub: {clientid: b, subscriptions: [{topic: t}, {topic: t, qos: 1}, {topic: $SYS/#}]}, remote: {name: r, clientid: b}}`,
    `{name: c, hub: {clientid: c, subscriptions: [{topic: $SYS/#, target: {topic: "f/{#}"}}]}, remote: {name: r, clientid: c}}`,
  ]
  const remotes =
    '[{name: r, address: ssl://r, insecure: true}, {name: s, address: ws://s, ca: a, alpn: [x], insecure: false}]'
  assert.deepEqual(
    warnings(file(rules, remotes)).map(line => line.replace(/^(\d+):\d+/, '$1')),
    [
      '2: remotes[0].insecure: takes the certificate of whoever answers: what is sent, passwords too, is open to them; name the authority of the broker in ca instead',
      '2: remotes[1].name: no rule uses remote (s)',
      '2: remotes[1].ca: has no effect: ws is not encrypted; for TLS write wss://',
      '2: remotes[1].alpn: has no effect: ws is not encrypted; for TLS write wss://',
      '4: rules[0]: has no subscriptions: it connects, but forwards nothing',
      '5: rules[1].hub.subscriptions[1].topic: is the filter of subscriptions[0] too; of the two the one with the higher qos counts, or the first',
      '5: rules[1].hub.subscriptions[2].topic: is below $SYS/, and has no target: brokers take nothing there; give it a target, such as figures/{#}',
    ],
  )
})

test('one filter on both sides is fine', () => {
  assert.deepEqual(problems(file([`{hub: {${T}}, remote: {name: r, ${T}}}`])), [])
})

test('rules are judged although another part of the file is wrong', () => {
  const text = `hub: 3\nremotes: [7, {name: r, address: 3, keepalive: x}]\nrules:\n- 3\n- {remote: {name: x}}\n- {remote: {name: r}}\nlogger: 3\n`
  assert.deepEqual(problems(text), [
    '1:6: hub: must be a block of keys, got a number',
    '2:11: remotes[0]: must be a block of keys, got a number',
    '2:33: remotes[1].address: is no URL; write for instance tcp://3',
    '2:47: remotes[1].keepalive: must be a duration such as 500ms, 20s or 1h30m, got "x"',
    '4:3: rules[0]: must be a block of keys, got a number',
    '5:19: rules[1].remote.name: remote (x) not found',
    '7:9: logger: must be a block of keys, got a number',
  ])
})

test('many rules are judged quickly, too many are refused', () => {
  const rules = Array.from({ length: 1000 }, (_, i) => `{hub: {${T}}, remote: {name: r${i}}}`)
  const remotes = (suffix: string) =>
    `[${rules.map((_, i) => `{name: r${i}${suffix}, address: tcp://h${i}}`).join(', ')}]`
  assert.deepEqual(problems(file(rules, remotes(''))), [])
  const start = performance.now()
  assert.equal(problems(file(rules, remotes('x'))).length, 1000, 'none of them is found')
  assert.ok(performance.now() - start < 20_000, 'in no time that grows with the square')
  assert.match(problems(file([...rules, '{}'])).join(), /rules: has 1001 rules; 1000 are allowed$/)
})

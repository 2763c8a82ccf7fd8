import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError, formatProblem, type HubConfig, parseHubConfig } from '../../../src/config/index.ts'

type Env = Record<string, string | undefined>

function load(text: string, env: Env): HubConfig {
  return parseHubConfig(text, { file: 'f', env }).config
}

function problems(text: string, env: Env = {}): string[] {
  try {
    load(text, env)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems.map(formatProblem)
  }
  return []
}

function password(written: string, env: Env): string | undefined {
  return load(`principals:\n  - username: u\n    password: ${written}\n`, env).principals[0]?.password
}

test('both forms, plain and quoted, alone and within text', () => {
  const env = { A: 'secret', B_2: 'x' }
  assert.equal(password('${A}', env), 'secret')
  assert.equal(password('"${A}"', env), 'secret')
  assert.equal(password("'${A}'", env), 'secret')
  assert.equal(password('{{.A}}', env), 'secret')
  assert.equal(password('{{ .A }}', env), 'secret')
  assert.equal(password('"{{ .A }}"', env), 'secret')
  assert.equal(password('a${A}b{{.B_2}}c', env), 'asecretbxc')
  assert.equal(password('{{.A}}{{.B_2}} and more', env), 'secretx and more')
  assert.equal(password('|\n      ${A}\n      {{.A}}', env), 'secret\nsecret\n')
})

test('in lists and maps of one line', () => {
  const { listen, limits } = load(
    '{listen: [{{.L}}, tcp://${H}:{{ .P }}], limits: {connections: ${N}, filters: {{.N}}}}',
    {
      L: 'tcp://:1',
      H: 'h',
      P: '2',
      N: '7',
    },
  )
  assert.deepEqual(listen, ['tcp://:1', 'tcp://h:2'])
  assert.deepEqual([limits.connections, limits.filters], [7, 7])
})

test('a plain value is read as if it stood there, a quoted one is text', () => {
  const text =
    'limits: {connections: ${N}}\nlogger: {level: ${L}}\nshutdown: {timeout: ${T}}\nmessage: {length: {max: ${M}}}'
  const config = load(text, { N: '12', L: 'debug', T: '5s', M: '64k' })
  assert.equal(config.limits.connections, 12)
  assert.equal(config.logger.level, 'debug')
  assert.equal(config.shutdownTimeoutMs, 5000)
  assert.equal(config.message.maxBytes, 65_536)
  assert.equal(load('limits: {connections: ${N}}', { N: '0x10' }).limits.connections, 16)
  assert.equal(load('logger: {level: ${L}}', { L: '' }).logger.level, 'info')
  assert.match(problems('limits: {connections: "${N}"}', { N: '12' }).join(), /must be a whole number, got "12"/)
  assert.match(problems('limits: {connections: ${N}}', { N: 'x' }).join(), /must be a whole number, got "x"/)
})

test('a text keeps what it is given, also what YAML would take for something else', () => {
  for (const value of [
    '0123',
    '1e3',
    'null',
    '~',
    'true',
    ' x ',
    '',
    '#',
    "'",
    '"',
    '&a',
    '*a',
    '!t',
    '- a',
    '${B}',
    '{{.B}}',
  ]) {
    assert.equal(password('${A}', { A: value, B: 'other' }), value)
  }
})

test('a value is not cut at its first =', () => {
  assert.equal(password('{{.A}}', { A: 'key=value=' }), 'key=value=')
})

test('a value can not bring in keys or items', () => {
  const hostile = 'x\n  - username: root\n    password: root\n    permissions: [{action: pub, permit: ["#"]}]'
  for (const style of ['${A}', '"${A}"', '{{.A}}', '|\n      ${A}']) {
    const { principals } = load(`principals:\n  - username: u\n    password: ${style}\n`, { A: hostile })
    assert.equal(principals.length, 1)
    assert.equal(principals[0]?.password.trimEnd(), hostile)
  }
  assert.deepEqual(
    load('principals: ["${A}"]'.replace('"${A}"', '{username: ${A}}'), { A: 'a, password: b' }).principals,
    [{ username: 'a, password: b', password: '', permissions: [] }],
  )
  assert.match(problems('principals: ${A}', { A: '[{username: root}]' }).join(), /must be a list, got text/)
})

test('defaults', () => {
  assert.equal(password('${A:-fallback}', {}), 'fallback')
  assert.equal(password('${A:-fallback}', { A: '' }), 'fallback')
  assert.equal(password('${A:-fallback}', { A: 'given' }), 'given')
  assert.equal(password('${A:-}', {}), '')
  assert.equal(password('${A:-a: b # c, [d]}', {}), 'a: b # c, [d]')
  assert.equal(load('limits: {connections: ${N:-5}}', {}).limits.connections, 5)
})

test('a literal ${', () => {
  assert.equal(password('$${A}', { A: 'x' }), '${A}')
  assert.equal(password('"a$${A}$$ $"', { A: 'x' }), 'a${A}$$ $')
  assert.equal(password('$$', {}), '$$')
})

test('a missing variable is a problem at its place, and the only one of its value', () => {
  const text = 'listen:\n  - tcp://127.0.0.1:${PORT}\n  - "unix://{{.DIR}}/${NAME}"\nlimits: {connections: ${N}}\n'
  assert.deepEqual(problems(text), [
    'f:2:21: listen[0]: the environment has no variable PORT; set it, or write ${PORT:-default}',
    'f:3:13: listen[1]: the environment has no variable DIR; set it, or write ${DIR:-default}',
    'f:3:22: listen[1]: the environment has no variable NAME; set it, or write ${NAME:-default}',
    'f:4:23: limits.connections: the environment has no variable N; set it, or write ${N:-default}',
  ])
  // What every object has is no variable.
  assert.match(problems('listen: ["${constructor}"]').join(), /no variable constructor/)
})

test('places behind a variable are those of the file', () => {
  assert.deepEqual(
    problems('listen: ["${A}", {{ .A }}, x]\nlogger: {path: ${A}, level: x}', { A: 'tcp://:'.padEnd(99, '1') }).slice(
      -2,
    ),
    [
      'f:1:28: listen[2]: is no URL; write for instance tcp://x',
      'f:2:29: logger.level: must be debug or info or warn or error, got "x"',
    ],
  )
})

test('variables in keys are refused, in comments and unknown blocks they mean nothing', () => {
  assert.deepEqual(problems('${A}: 1\n"{{.B}}": 2', { A: 'listen', B: 'x' }), [
    'f:1:1: ${A} stands in a key; variables are replaced in values only',
    'f:2:1: {{.B}} stands in a key; variables are replaced in values only',
  ])
  assert.deepEqual(problems('# ${NONE} {{.NONE}}\nhub: {password: "${NONE}"}\nother: ${NONE}'), [])
})

test('what only looks like a variable is kept and warned of', () => {
  for (const text of ['a${b', 'a${1}', 'a{{b}}', 'a{{.b', 'a${x-y}']) {
    const loaded = parseHubConfig(`storage: {dir: '${text}'}\nlisten: [unix:///s]\nanonymous: {}`, {
      file: 'f',
      env: {},
    })
    assert.equal(loaded.config.storage.dir, text)
    assert.match(
      loaded.warnings.map(formatProblem).join('\n'),
      /^f:1:16: storage\.dir: has .* taken as it stands; variables are/,
    )
  }
  assert.match(
    problems('storage:\n  dir: {{ upper .A }}').join(),
    /^f:2:8: storage\.dir: must be a single value.*variables are/,
  )
})

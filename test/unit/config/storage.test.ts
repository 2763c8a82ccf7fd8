import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ConfigError,
  defaultHubConfig,
  formatProblem,
  type HubConfig,
  parseHubConfig,
} from '../../../src/config/index.ts'

type Env = Record<string, string | undefined>

function load(text: string, env: Env = {}): HubConfig {
  return parseHubConfig(text, { file: 'service.yml', env }).config
}

/** Problems as people see them, without the name of the file. */
function problems(text: string, strict = false): string[] {
  try {
    parseHubConfig(text, { file: 'service.yml', env: {}, strict })
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems.map(problem => formatProblem(problem).replace('service.yml:', ''))
  }
  return []
}

function warnings(text: string, env: Env = {}): string[] {
  const loaded = parseHubConfig(text, { file: 'service.yml', env })
  return loaded.warnings.map(problem => formatProblem(problem).replace('service.yml:', ''))
}

test('storage: what it may be, and an empty folder means none', () => {
  const text = 'storage: {dir: /data/hub, sync: interval, interval: 250ms, max: {bytes: 20g}, reserve: 64m}'
  assert.deepEqual(load(text).storage, {
    dir: '/data/hub',
    sync: 'interval',
    intervalMs: 250,
    maxBytes: 21_474_836_480,
    reserveBytes: 67_108_864,
  })
  const none = { ...defaultHubConfig().storage, maxBytes: 0, reserveBytes: 0 }
  assert.deepEqual(load('storage: {max: {bytes: 0}, reserve: 0}').storage, none)
  for (const dir of ['""', "''", '!!str']) assert.equal(load(`storage: {dir: ${dir}}`).storage.dir, '', dir)
  for (const dir of ['', '~', 'null']) assert.equal(load(`storage: {dir: ${dir}}`).storage.dir, none.dir, dir)
  for (const [interval, ms] of [
    ['10ms', 10],
    ['1h', 3_600_000],
  ] as const) {
    assert.equal(load(`storage: {interval: ${interval}}`).storage.intervalMs, ms)
  }
  assert.equal(load('storage: {max: {bytes: 16m}}').storage.maxBytes, 16_777_216)
  assert.deepEqual(
    problems(
      'storage:\n  sync: sometimes\n  interval: 9ms\n  max: {bytes: 16777215}\n  reserve: 2g\n  dirr: x\n',
      true,
    ),
    [
      '2:9: storage.sync: must be always or interval or never, got "sometimes"',
      '3:13: storage.interval: must be 10ms to 1h; got 9ms',
      '4:16: storage.max.bytes: must be 0, or 16m to 1p bytes; got 16777215',
      '5:12: storage.reserve: must be 0 to 1g bytes; got "2g"',
      '6:3: storage.dirr: is no known key; did you mean dir?',
    ],
  )
  for (const interval of ['0', '61m', '1h1ns']) assert.equal(problems(`storage: {interval: ${interval}}`).length, 1)
})

test('a folder that is empty in the environment is mentioned, one that is written so is meant', () => {
  const access = "listen: ['unix:///s']\nanonymous: {}\n"
  const forgotten = [
    '3:16: storage.dir: is empty in the environment: nothing will be kept on disk; name a folder, or write "" when that is meant',
  ]
  assert.deepEqual(warnings(`${access}storage: {dir: "\${DIR}"}`, { DIR: '' }), forgotten)
  assert.deepEqual(warnings(`${access}storage: {dir: "\${DIR:-}"}`), forgotten)
  assert.equal(load('storage: {dir: "${DIR:-}"}').storage.dir, '')
  assert.deepEqual(warnings(`${access}storage: {dir: "\${DIR}"}`, { DIR: 'd' }), [])
  assert.deepEqual(warnings(`${access}storage: {dir: ""}`), [])
})

test('sessions stay for ever, or for a duration', () => {
  for (const [expiry, ms] of [
    ['never', null],
    ['""', null],
    ['1ms', 1],
    ['168h', 604_800_000],
    ['876000h', 3_153_600_000_000],
    ['90000000000', 90_000],
    ['${EXPIRY:-90s}', 90_000],
    ['${EXPIRY:-never}', null],
  ] as const) {
    assert.equal(load(`session:\n  expiry: ${expiry}`).session.expiryMs, ms, expiry)
  }
  for (const [expiry, problem] of [
    ['0', '0s'],
    ['0s', '0s'],
    ['876001h', '876001h'],
    ['-1s', null],
    ['sometimes', null],
    ['Never', null],
    ['true', null],
    ['[1s]', null],
  ] as const) {
    const [line, ...more] = problems(`session:\n  expiry: ${expiry}`)
    assert.deepEqual(more, [])
    assert.match(line ?? '', /^2:11: session\.expiry: must be (?:never, or|a single value)/, expiry)
    if (problem !== null) assert.match(line ?? '', new RegExp(`must be never, or 1ms to 876000h; got ${problem}$`))
  }
  assert.deepEqual(problems('session: {expiry: 30}'), [
    '1:19: session.expiry: must be never, or 1ms to 876000h; got 30ns; a bare number counts nanoseconds, write 30s for seconds',
  ])
})

import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ConfigError, checkHubConfig, loadHubConfig } from '../../../src/config/index.ts'

let dir = ''
before(() => {
  dir = mkdtempSync(join(tmpdir(), 'openedge-config-'))
})
after(() => rmSync(dir, { recursive: true, force: true }))

function write(name: string, content: string | Buffer, mode = 0o600): string {
  const file = join(dir, name)
  writeFileSync(file, content)
  chmodSync(file, mode)
  return file
}

function refusal(file: string): string {
  try {
    loadHubConfig(file, { env: {} })
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    assert.equal(error.code, 'ERR_CONFIG_INVALID')
    return error.message
  }
  return ''
}

test('a file is read with the environment', () => {
  const file = write('good.yml', 'listen: ["tcp://:${PORT}"]\nprincipals: [{username: a, password: b}]\n')
  const { config, warnings } = loadHubConfig(file, { env: { PORT: '1883' } })
  assert.deepEqual(config.listen, ['tcp://:1883'])
  assert.deepEqual(warnings, [])
})

test('a byte order mark, and line ends of Windows', () => {
  const file = write('windows.yml', '\ufefflisten:\r\n  - tcp://:1883\r\n  - x\r\n')
  assert.equal(refusal(file), `${file}:3:5: listen[1]: is no URL; write for instance tcp://x`)
})

test('problems name the file as it was given', () => {
  const file = write('bad.yml', 'listen: 3\n')
  assert.equal(refusal(file), `${file}:1:9: listen: must be a list, got a number`)
})

test('a file that can not be read', () => {
  const absent = join(dir, 'absent.yml')
  assert.equal(refusal(absent), `${absent}: does not exist`)
  assert.equal(refusal(dir), `${dir}: is a folder`)
  assert.equal(refusal(join(write('file', ''), 'below.yml')), `${join(dir, 'file', 'below.yml')}: does not exist`)
  const locked = write('locked.yml', '', 0o000)
  // Root may read everything.
  if (process.getuid?.() !== 0) assert.equal(refusal(locked), `${locked}: may not be read by this user`)
})

test('a file without end is not read to its end', { skip: process.platform === 'win32' && 'no /dev/zero' }, () => {
  assert.equal(refusal('/dev/zero'), '/dev/zero: has more than 4 MiB')
})

test('a file of 4 MiB is read, a byte more is not', () => {
  const text = '#'.repeat(4 * 1024 * 1024)
  assert.equal(refusal(write('mib.yml', text)), '')
  const file = write('more.yml', `${text}#`)
  assert.equal(refusal(file), `${file}: has more than 4 MiB`)
})

test('a file that is not UTF-8', () => {
  const file = write('latin.yml', Buffer.from('# a\nstorage:\n  dir: caf\xe9\n', 'latin1'))
  assert.equal(refusal(file), `${file}:3:1: is not UTF-8 text`)
})

test('strict readers refuse unknown keys', () => {
  const file = write('unknown.yml', 'name: x\nlisten: [tcp://:1]\nprincipal: []\n')
  assert.equal(loadHubConfig(file, { env: {} }).warnings.length, 3)
  assert.throws(() => checkHubConfig(file, { env: {} }), {
    name: 'ConfigError',
    message: `${file}:3:1: principal: is no known key; did you mean principals?`,
  })
})

test('who may read the file matters', { skip: process.platform === 'win32' && 'no modes' }, () => {
  const text = 'listen: [tcp://:1]\nprincipals: [{username: a, password: b}]\n'
  for (const [mode, count] of [
    [0o600, 0],
    [0o640, 1],
    [0o604, 1],
  ] as const) {
    const { warnings } = loadHubConfig(write(`mode-${mode}.yml`, text, mode), { env: {} })
    assert.equal(warnings.length, count, mode.toString(8))
  }
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseArguments } from '../../../src/cli/arguments.ts'
import { GatewayError, nearestWord } from '../../../src/common/index.ts'

const specs = [
  { name: 'config', short: 'c', value: 'FILE', help: '' },
  { name: 'client', value: 'NAME', help: '' },
  { name: 'force', short: 'f', help: '' },
]

test('options long and short, repeated, with and without =', () => {
  const args = parseArguments(['-c', 'a', 'one', '--client=x', '--client', 'y', '-f', '--config=b', '--', '-z'], specs)
  assert.equal(args.value('config'), 'b')
  assert.deepEqual(args.values('client'), ['x', 'y'])
  assert.equal(args.has('force'), true)
  assert.deepEqual(args.positionals, ['one', '-z'])
  assert.equal(parseArguments([], specs).value('config'), undefined)
  assert.equal(parseArguments(['--config=-odd-'], specs).value('config'), '-odd-')
})

test('what is wrong is said', () => {
  const message = (...args: string[]): string => {
    try {
      parseArguments(args, specs)
    } catch (thrown) {
      assert.ok(thrown instanceof GatewayError)
      assert.equal(thrown.code, 'ERR_USAGE_OPTION')
      return thrown.message
    }
    return assert.fail(`${args.join(' ')} was accepted`)
  }
  assert.equal(message('--confg', 'x'), 'unknown option --confg; did you mean --config?')
  assert.equal(message('-x'), 'unknown option -x')
  assert.equal(message('--__proto__'), 'unknown option --__proto__')
  assert.equal(message('-c'), 'option -c needs a value: FILE')
  assert.equal(message('-c', '-f'), 'option -c needs a value: FILE')
  assert.equal(message('--force=yes'), 'option --force takes no value')
})

test('the nearest word, or none', () => {
  const words = ['hub', 'check', 'passwd', 'certs', 'version']
  assert.equal(nearestWord('password', words), 'passwd')
  assert.equal(nearestWord('cert', words), 'certs')
  assert.equal(nearestWord('hbu', words), 'hub')
  assert.equal(nearestWord('ver', words), 'version')
  assert.equal(nearestWord('publish', words), null)
  assert.equal(nearestWord('x'.repeat(1000), words), null)
})

/** Log files under more than the disk takes, and when a rotation goes wrong. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { backupName } from '../../../src/cli/log/backups.ts'
import { LogFile, type LogFileOptions } from '../../../src/cli/log/file.ts'
import { until } from '../../support/embedded-hub.ts'

function makeDir(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-log-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

const limits = { maxBytes: 1_000_000, maxAgeDays: 1, maxBackups: 100, onFailure: assert.fail } as const

/** All lines of a log and its backups. */
function linesIn(dir: string): string[] {
  const texts = readdirSync(dir).map(name => {
    const bytes = readFileSync(join(dir, name))
    return (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString()
  })
  return texts.join('').split('\n').filter(Boolean)
}

suite('a log file', () => {
  test('takes a bounded number of lines that the disk does not keep up with, and tells of the others', async t => {
    const dir = makeDir(t)
    const told: number[] = []
    const options: LogFileOptions = {
      ...limits,
      path: join(dir, 'a.log'),
      maxBytes: 50_000,
      maxWaitingBytes: 20_000,
      onRecovery: lost => {
        told.push(lost)
        file.write(`lost ${lost}\n`)
      },
    }
    const file = new LogFile(options)
    const total = 60_000
    for (let i = 0; i < total; i++) {
      file.write(`line ${i}\n`)
      if (i % 10_000 === 0) await new Promise(resolve => setTimeout(resolve, 20))
    }
    await until(() => told.length > 0, 'the disk keeps up again')
    await file.close()
    const lines = linesIn(dir)
    const written = lines.filter(line => line.startsWith('line ')).length
    const lost = told.reduce((sum, each) => sum + each, 0)
    assert.equal(written + lost, total)
    assert.ok(lost > total / 2, `only ${lost} of ${total} were left out`)
    assert.deepEqual(
      lines.filter(line => line.startsWith('lost ')).map(line => Number(line.slice(5))),
      told,
    )
    assert.ok(told.length < 20, `told ${told.length} times`)
  })

  test('that can not be rotated leaves no half backup behind, and goes on', async t => {
    const dir = makeDir(t)
    const path = join(dir, 'a.log')
    const failures: string[] = []
    const told: number[] = []
    const options: LogFileOptions = {
      ...limits,
      path,
      maxBytes: 100,
      retryMs: 1,
      onFailure: message => failures.push(message),
      onRecovery: lost => told.push(lost),
    }
    const file = new LogFile(options)
    file.write('first\n')
    await until(() => existsSync(path) && readFileSync(path, 'utf8') === 'first\n', 'the first line')
    rmSync(path) // somebody tidied up
    file.write(`${'x'.repeat(100)}\n`)
    await until(() => failures.length > 0, 'the rotation fails')
    await until(() => readdirSync(dir).length === 0, 'the half backup is gone')
    await until(() => {
      file.write('again\n')
      return told.length > 0
    }, 'it is written again')
    await file.close()
    assert.equal(failures.length, 1)
    assert.ok(readFileSync(path, 'utf8').startsWith('again\n'), 'nothing but new lines')
    assert.deepEqual(readdirSync(dir), ['a.log'])
  })

  test('that is seldom rotated loses its old backups all the same', async t => {
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
    const dir = makeDir(t)
    const file = new LogFile({
      ...limits,
      path: join(dir, 'a.log'),
      maxAgeDays: 15,
      onRecovery: lost => assert.fail(`${lost} lines lost`),
    })
    const day = 24 * 3600 * 1000
    const old = backupName('a.log', new Date(Date.now() - 14.5 * day))
    const young = backupName('a.log', new Date(Date.now() - 10 * day))
    file.write('one\n')
    await until(() => readdirSync(dir).length === 1, 'the log is there')
    for (const name of [old, young]) {
      writeFileSync(join(dir, name), '')
      utimesSync(join(dir, name), new Date(), new Date())
    }
    t.mock.timers.setTime(Date.now() + day)
    file.write('two\n')
    await until(() => !readdirSync(dir).includes(old), 'the old one is deleted')
    await file.close()
    assert.deepEqual(readdirSync(dir).sort(), [young, 'a.log'])
  })
})

import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { backupName, expiredBackups } from '../../../src/cli/log/backups.ts'
import { LogFile, type LogFileOptions } from '../../../src/cli/log/file.ts'

function makeLogFile(
  t: TestContext,
  options: Partial<LogFileOptions> = {},
): { dir: string; file: LogFile; failures: string[] } {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-log-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const failures: string[] = []
  const file = new LogFile({
    path: join(dir, 'deep/service.log'),
    maxBytes: 1_000_000,
    maxAgeDays: 15,
    maxBackups: 100,
    onFailure: message => failures.push(message),
    onRecovery: () => {},
    ...options,
  })
  return { dir: join(dir, 'deep'), file, failures }
}

test('lines are in the file when it is closed, and are added to what is there', async t => {
  const { dir, file } = makeLogFile(t)
  for (let i = 0; i < 1000; i++) file.write(`line ${i}\n`)
  await file.close()
  const path = join(dir, 'service.log')
  assert.equal(readFileSync(path, 'utf8'), Array.from({ length: 1000 }, (_, i) => `line ${i}\n`).join(''))
  assert.equal(statSync(path).mode & 0o007, 0, 'others may not read the log')
  const again = new LogFile({
    path,
    maxBytes: 1e6,
    maxAgeDays: 1,
    maxBackups: 1,
    onFailure: assert.fail,
    onRecovery: () => {},
  })
  again.write('more\n')
  await again.close()
  assert.match(readFileSync(path, 'utf8'), /line 999\nmore\n$/)
})

test('a full file becomes a compressed backup, and no line is lost on the way', async t => {
  const { dir, file, failures } = makeLogFile(t, { maxBytes: 2000 })
  const lines = Array.from({ length: 500 }, (_, i) => `line ${String(i).padStart(6, '0')}\n`)
  for (const line of lines) file.write(line)
  await file.close()
  assert.deepEqual(failures, [])
  const names = readdirSync(dir).sort()
  assert.equal(names.pop(), 'service.log')
  assert.equal(names.length, 2)
  const texts = names.map(name => gunzipSync(readFileSync(join(dir, name))).toString())
  assert.equal(texts.join('') + readFileSync(join(dir, 'service.log'), 'utf8'), lines.join(''))
})

test('backups beyond their number are deleted', async t => {
  const { dir, file } = makeLogFile(t, { maxBytes: 100, maxBackups: 2 })
  for (let i = 0; i < 10; i++) file.write('x'.repeat(100))
  await file.close()
  const deadline = Date.now() + 5000
  while (readdirSync(dir).length > 3 && Date.now() < deadline) await new Promise(resolve => setTimeout(resolve, 10))
  assert.equal(readdirSync(dir).length, 3)
})

test('a file that can not be written is reported once', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-log-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  mkdirSync(join(dir, 'service.log'))
  const failures: string[] = []
  const failed = new Promise<void>(resolve => {
    const file = new LogFile({
      path: join(dir, 'service.log'),
      maxBytes: 1000,
      maxAgeDays: 1,
      maxBackups: 1,
      onFailure: message => {
        failures.push(message)
        for (let i = 0; i < 100; i++) file.write('lost\n')
        void file.close().then(resolve)
      },
      onRecovery: () => {},
    })
    file.write('lost\n')
  })
  await failed
  assert.equal(failures.length, 1)
  assert.match(failures[0] ?? '', /^can't write the log file .*service\.log: /)
})

test('a file that can be written again is, and the lines lost in between are counted', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-log-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const path = join(dir, 'service.log')
  mkdirSync(path)
  let failed = (_message: string): void => {}
  let recovered = (_lost: number): void => {}
  const failure = new Promise<string>(resolve => {
    failed = resolve
  })
  const recovery = new Promise<number>(resolve => {
    recovered = resolve
  })
  const limits = { maxBytes: 1000, maxAgeDays: 1, maxBackups: 1, retryMs: 1000 }
  const file = new LogFile({ path, ...limits, onFailure: m => failed(m), onRecovery: n => recovered(n) })
  await failure
  const failedAt = Date.now()
  file.write('lost\n')
  file.write('lost\n')
  assert.ok(Date.now() - failedAt < 1000, 'too slow a machine for this test')
  rmSync(path, { recursive: true })
  await new Promise(resolve => setTimeout(resolve, 1100))
  file.write('kept\n')
  assert.equal(await recovery, 2)
  await file.close()
  assert.equal(readFileSync(path, 'utf8'), 'kept\n')
})

test('the name of a backup tells its time, and only names of backups are touched', () => {
  const now = new Date('2026-11-21T12:00:00.000Z')
  const day = 24 * 3600 * 1000
  const at = (daysAgo: number): string => backupName('service.log', new Date(now.getTime() - daysAgo * day))
  assert.equal(at(0), 'service-2026-11-21T12-00-00.000.log.gz')
  const others = ['service.log', 'service-old.log', 'other-2020-01-01T00-00-00.000.log.gz', 'service-2020-01-01.log.gz']
  const names = [at(1), at(20), ...others, at(3), at(2).slice(0, -3)]
  const limits = { maxAgeDays: 15, maxBackups: 2 }
  assert.deepEqual(expiredBackups('service.log', names, limits, now), [at(3), at(20)])
  assert.deepEqual(expiredBackups('service.log', names, { ...limits, maxBackups: 9 }, now), [at(20)])
})

test('a log in a folder that is read-only to everybody fails without an exception', {
  skip: process.getuid?.() === 0 && 'root may write everywhere',
}, async t => {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-log-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  writeFileSync(join(dir, 'keep'), '')
  chmodSync(dir, 0o500)
  const message = await new Promise<string>(resolve => {
    new LogFile({
      path: join(dir, 'a.log'),
      maxBytes: 1,
      maxAgeDays: 1,
      maxBackups: 1,
      onFailure: resolve,
      onRecovery: () => {},
    })
  })
  assert.match(message, /EACCES/)
})

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { slowFsyncEnvironment, slowFsyncMissing } from '../../../bench/e2e/slow-fsync.ts'

/** Prints how long an fsync and an fdatasync take together, in ms, and what they say of a descriptor that is not open. */
const PROGRAM = `
const fs = require('node:fs')
const fd = fs.openSync(process.argv[1], 'w')
const start = performance.now()
fs.fsyncSync(fd)
fs.fdatasyncSync(fd)
const ms = performance.now() - start
let code = ''
try { fs.fsyncSync(999) } catch (error) { code = error.code }
console.log(JSON.stringify({ ms, code }))`

const missing = slowFsyncMissing()

test('a drawn-out fsync takes its time and keeps its result', { skip: missing ?? false }, t => {
  const directory = mkdtempSync(join(tmpdir(), 'bench-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const env = { ...process.env, ...slowFsyncEnvironment(directory, 150) }
  const printed = execFileSync(process.execPath, ['-e', PROGRAM, join(directory, 'file')], { env, encoding: 'utf8' })
  const { ms, code } = JSON.parse(printed) as { ms: number; code: string }
  assert.ok(ms >= 300, `${ms} ms for two of them`)
  assert.equal(code, 'EBADF')
})

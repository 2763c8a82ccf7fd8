// Runs the test files with node:test. `npm test` runs all; `npm test -- unit conformance/03` runs the files whose path has one of the words.
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'

const root = import.meta.dirname
const words = process.argv.slice(2)
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.test.ts'))
  .filter(name => words.length === 0 || words.some(word => name.includes(word)))
  .sort()
  .map(name => relative(process.cwd(), join(root, name)))
if (files.length === 0) {
  console.error(`no test file matches ${words.join(' ')}`)
  process.exit(1)
}
const args = ['--import', 'tsx', '--test', '--test-concurrency=2', ...files]
const child = spawn(process.execPath, args, { stdio: 'inherit' })
child.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)))

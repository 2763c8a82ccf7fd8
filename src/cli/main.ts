#!/usr/bin/env node
import { basename, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isatty } from 'node:tty'
import type { Shell } from './command.ts'
import { run } from './run.ts'

// A reader that goes away, as `| head` does, is no reason to fail.
process.stdout.on('error', () => {})
process.stderr.on('error', () => {})

/** Standard input, output and error, as far as they are terminals. */
const terminals = [0, 1, 2].filter(isatty)

/** How to call this program again: `openedge`, `npx openedge` in a folder that has it, or by its path. */
function programName(script: string): string {
  if (!script.endsWith('.js') && !script.endsWith('.ts')) return basename(script)
  const path = relative(process.cwd(), script)
  return path.startsWith('..') ? `node ${path}` : 'npx openedge'
}

const shell: Shell = {
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  program: programName(process.argv[1] ?? ''),
  out: line => process.stdout.write(`${line}\n`),
  err: line => process.stderr.write(`${line}\n`),
}

const code = await run(process.argv.slice(2), shell)
// What was written may still be on its way when the other end of a pipe is slow.
await Promise.all(
  [process.stdout, process.stderr].map(stream => new Promise<void>(done => stream.write('', () => done()))),
)
// On a terminal that was closed exit() ends in an abort of Node.js, which wants to set it back; so it ends as programs do
// that take no notice of SIGHUP.
if (terminals.some(terminal => !isatty(terminal))) {
  process.removeAllListeners('SIGHUP')
  process.kill(process.pid, 'SIGHUP')
  await sleep(1000)
}
process.exit(code)

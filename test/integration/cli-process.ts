/** The real program in processes of its own: `node dist/cli/main.js`, which `npm test` builds first. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'

const MAIN = join(import.meta.dirname, '../../dist/cli/main.js')
const PATIENCE_MS = 20_000

export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A folder with these files, removed when the test is over. */
export function makeWorkdir(t: TestContext, files: Record<string, string> = {}): string {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-cli-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true })
    writeFileSync(join(dir, name), content, { mode: 0o600 })
  }
  return dir
}

/** Runs a command to its end. */
export async function openedge(
  args: readonly string[],
  { cwd = tmpdir(), input = '', env = {} }: { cwd?: string; input?: string; env?: Record<string, string> } = {},
): Promise<Finished> {
  const program = new Program(args, cwd, env)
  program.child.stdin?.end(input)
  return program.finished()
}

/** A command that runs on. It is ended with the test at the latest. */
export function startOpenedge(
  t: TestContext,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): Program {
  const program = new Program(args, cwd, env)
  t.after(() => program.kill())
  return program
}

export class Program {
  readonly child: ChildProcess
  stdout = ''
  stderr = ''
  readonly #ended: Promise<unknown>
  #wake: () => void = () => {}

  constructor(args: readonly string[], cwd: string, env: Record<string, string>) {
    this.child = spawn(process.execPath, [MAIN, ...args], { cwd, env: { ...process.env, ...env }, stdio: 'pipe' })
    this.#ended = once(this.child, 'close')
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
      this.#wake()
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
      this.#wake()
    })
    this.child.on('close', () => this.#wake())
  }

  /** Waits until the output matches. */
  async until(pattern: RegExp, from: 'stdout' | 'stderr' = 'stdout'): Promise<RegExpExecArray> {
    const deadline = Date.now() + PATIENCE_MS
    for (;;) {
      const match = pattern.exec(this[from])
      if (match !== null) return match
      const left = deadline - Date.now()
      const isOver = this.child.exitCode !== null || this.child.signalCode !== null || left <= 0
      assert.ok(!isOver, `no ${pattern} on ${from}\nstdout: ${this.stdout}\nstderr: ${this.stderr}`)
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** The URL that the hub printed for a scheme, with the real port. */
  async url(scheme: string): Promise<string> {
    const [, url] = await this.until(new RegExp(`^ {2}(${scheme}://\\S+:\\d+\\S*)$`, 'm'))
    return String(url)
  }

  /** Ends the program in good order and returns what came of it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Finished> {
    this.child.kill(signal)
    return this.finished()
  }

  async finished(): Promise<Finished> {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), PATIENCE_MS)
    await this.#ended
    clearTimeout(timer)
    assert.notEqual(this.child.signalCode, 'SIGKILL', `did not end\nstdout: ${this.stdout}\nstderr: ${this.stderr}`)
    return { code: this.child.exitCode, stdout: this.stdout, stderr: this.stderr }
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.#ended
  }
}

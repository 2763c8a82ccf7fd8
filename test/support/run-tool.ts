import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Cleanup } from './raw-client.ts'
import { findTool, type Tool } from './tools.ts'

const PATIENCE_MS = 30_000

export interface Finished {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** A program that runs; when the test is over it does not any more. */
export class RunningTool {
  readonly #child: ChildProcess
  readonly #name: string
  readonly #exit: Promise<unknown[]>
  #stdout = ''
  #stderr = ''
  #onOutput: (() => void) | null = null

  constructor(t: Cleanup, name: Tool, args: readonly string[]) {
    const path = findTool(name)
    assert.ok(path !== null, `${name} is missing`)
    this.#name = name
    this.#child = spawn(path, args, { stdio: 'pipe' })
    this.#exit = once(this.#child, 'close')
    this.#child.stdin?.on('error', () => {}) // a program that ended does not read the rest
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
      this.#onOutput?.()
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text
    })
    t.after(() => {
      this.kill()
    })
  }

  get stdout(): string {
    return this.#stdout
  }

  write(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** SIGKILL: the program has no time to say goodbye. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }

  /** Waits until the output has a part. */
  async untilOutput(part: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    while (!this.#stdout.includes(part)) {
      const left = deadline - performance.now()
      assert.ok(left > 0, `${this.#name} did not print ${part}; it printed: ${this.#stdout} ${this.#stderr}`)
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, Math.min(left, 1000))
        this.#onOutput = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** Ends the input and waits for the program. */
  async finished(): Promise<Finished> {
    this.#child.stdin?.end()
    const timer = setTimeout(() => this.kill(), PATIENCE_MS)
    const [code, signal] = (await this.#exit) as [number | null, NodeJS.Signals | null]
    clearTimeout(timer)
    return { code, signal, stdout: this.#stdout, stderr: this.#stderr }
  }
}

/** Runs a program to its end. */
export function runTool(t: Cleanup, name: Tool, args: readonly string[], input = ''): Promise<Finished> {
  const tool = new RunningTool(t, name, args)
  if (input !== '') tool.write(input)
  return tool.finished()
}

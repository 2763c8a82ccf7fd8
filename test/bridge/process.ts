import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const PATIENCE_MS = 30_000
const MAX_OUTPUT = 20_000

export interface ProcessOptions {
  readonly name: string
  /** Its work directory, which is made. What it prints is appended to `<name>.log` beside it. */
  readonly dir: string
  /** It ended and nobody had ended it. */
  readonly onEnded: (how: string) => void
}

/** A program that is started and ended again and again. */
export class ManagedProcess {
  readonly name: string
  readonly dir: string
  readonly #onEnded: (how: string) => void
  readonly #onExit = (): void => void this.#child?.kill('SIGKILL')
  #child: ChildProcess | null = null
  #output = ''
  #peak = 0

  constructor({ name, dir, onEnded }: ProcessOptions) {
    this.name = name
    this.dir = dir
    this.#onEnded = onEnded
    mkdirSync(dir, { recursive: true })
    process.on('exit', this.#onExit) // whatever ends the test ends the program
  }

  /** What the running process has printed, the end of it. */
  get output(): string {
    return this.#output
  }

  /** Most resident memory of all that were ended so far, bytes; 0 where the system does not tell. */
  get peakMemory(): number {
    return this.#peak
  }

  get isRunning(): boolean {
    return this.#child !== null
  }

  start(program: string, args: readonly string[]): void {
    if (this.#child !== null) throw new Error(`${this.name} runs`)
    this.#output = ''
    const child = spawn(program, args, { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    this.#note(`started with pid ${child.pid}`)
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-MAX_OUTPUT)
        this.#write(text)
      })
    }
    child.on('error', error => {
      this.#output += error.message
    })
    child.on('close', (code, signal) => {
      this.#note(`ended with ${signal ?? `code ${code}`}`)
      if (this.#child !== child) return
      this.#child = null
      this.#onEnded(`${this.name}, ${signal ?? `code ${code}`}: ${this.#output.trim().slice(-1500)}`)
    })
  }

  /** Waits until it has printed this or, with a function, until that is so. */
  async ready(isUp: () => boolean | Promise<boolean>): Promise<void> {
    const child = this.#child
    const deadline = performance.now() + PATIENCE_MS
    while (!(await isUp())) {
      if (child === null || this.#child !== child) throw new Error(`${this.name} ended before it was ready`)
      if (performance.now() > deadline) {
        throw new Error(`${this.name} is not ready within ${PATIENCE_MS} ms: ${this.#output.trim().slice(-1500)}`)
      }
      await sleep(5)
    }
  }

  /** Ends it. One that does not follow SIGTERM is killed, which is told as its unexpected end. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child
    this.#child = null
    if (child === null) return
    this.#peak = Math.max(this.#peak, peakOf(child.pid))
    const closed = once(child, 'close')
    child.kill(signal)
    const timer = setTimeout(() => {
      this.#onEnded(`${this.name} did not end within ${PATIENCE_MS} ms after ${signal}`)
      child.kill('SIGKILL')
    }, PATIENCE_MS)
    await closed
    clearTimeout(timer)
  }

  async close(): Promise<void> {
    await this.end('SIGKILL')
    process.off('exit', this.#onExit)
  }

  #note(text: string): void {
    this.#write(`--- ${new Date().toISOString()} ${text}\n`)
  }

  #write(text: string): void {
    appendFileSync(join(this.dir, '..', `${this.name}.log`), text)
  }
}

function peakOf(pid: number | undefined): number {
  try {
    return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

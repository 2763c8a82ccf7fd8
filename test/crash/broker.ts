import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** `memory`: our hub without a store, to see that the test finds what it loses. */
export type BrokerKind = 'hub' | 'memory' | 'mosquitto'

const HUB_PROGRAM = join(import.meta.dirname, '../../dist/cli/main.js')
const PATIENCE_MS = 60_000
const MAX_OUTPUT = 100_000

export interface BrokerOptions {
  readonly kind: BrokerKind
  /** The work directory: configuration and data. */
  readonly dir: string
  /** Of the hub, relative to `dir`. Default `data`. */
  readonly storageDir?: string
  /** Lines of YAML on top, for the hub. */
  readonly yaml?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Another build of the hub. */
  readonly program?: string | undefined
  /** The process ended and nobody had killed it. */
  onEnded(how: string): void
}

/** The broker under test as a process that can be killed and started again on the same data. */
export class Broker {
  /** Null: it does not run, or is not ready. */
  port: number | null = null
  starts = 0
  slowestStartMs = 0
  readonly #options: BrokerOptions
  readonly #onExit = (): void => void this.#child?.kill('SIGKILL')
  #child: ChildProcess | null = null
  #fixedPort = 0
  #output = ''

  constructor(options: BrokerOptions) {
    this.#options = options
    mkdirSync(options.dir, { recursive: true })
    process.on('exit', this.#onExit) // whatever ends the test ends the broker
  }

  /** What the running process has printed, the end of it. */
  get output(): string {
    return this.#output
  }

  get isRunning(): boolean {
    return this.#child !== null
  }

  /** Resolves when it accepts connections. */
  async start(): Promise<void> {
    if (this.#child !== null) throw new Error('the broker runs')
    const { kind, dir, env } = this.#options
    const since = performance.now()
    if (kind === 'mosquitto' && this.#fixedPort === 0) this.#fixedPort = await freePort()
    const [program, args] = kind === 'mosquitto' ? this.#mosquitto() : this.#hub()
    this.#output = ''
    const log = join(dir, 'broker.log')
    const child = spawn(program, args, { cwd: dir, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    this.starts++
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-MAX_OUTPUT)
        appendFileSync(log, text)
      })
    }
    child.on('error', error => {
      this.#output += error.message
    })
    child.on('close', (code, signal) => {
      if (this.#child !== child) return
      this.#child = null
      this.port = null
      this.#options.onEnded(`${signal ?? `code ${code}`}: ${this.#output.trim().slice(-1500)}`)
    })
    await this.#untilUp(child, since + PATIENCE_MS)
    this.slowestStartMs = Math.max(this.slowestStartMs, performance.now() - since)
  }

  /** Ends it at once, as a power cut would. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#child = null
    this.port = null
    if (child === null) return
    const closed = once(child, 'close')
    child.kill('SIGKILL')
    await closed
  }

  async close(): Promise<void> {
    await this.kill()
    process.off('exit', this.#onExit)
  }

  async #untilUp(child: ChildProcess, deadline: number): Promise<void> {
    for (;;) {
      const match = /tcp:\/\/127\.0\.0\.1:(\d+)/.exec(this.#output)
      const port = this.#options.kind === 'mosquitto' ? await reachable(this.#fixedPort) : match && Number(match[1])
      if (this.#child !== child) throw new Error('the broker ended before it was ready')
      if (port !== null) {
        this.port = port
        return
      }
      if (performance.now() > deadline) {
        throw new Error(`the broker is not ready within ${PATIENCE_MS} ms: ${this.#output.trim().slice(-1500)}`)
      }
      await sleep(5)
    }
  }

  #hub(): [program: string, args: string[]] {
    const { kind, dir, storageDir = 'data', yaml = [], program = HUB_PROGRAM } = this.#options
    const file = join(dir, 'service.yml')
    const all = `['#', '$SYS/#']`
    const storage = `storage: { dir: ${storageDir}, sync: always, reserve: 2m }`
    const lines = [
      'listen: [tcp://127.0.0.1:0]',
      `anonymous: { permissions: [{ action: pub, permit: ${all} }, { action: sub, permit: ${all} }] }`,
      'queue: { max: { messages: 1000000, bytes: 1g } }',
      ...(kind === 'memory' ? [] : [storage]),
      ...yaml,
    ]
    writeFileSync(file, lines.join('\n'))
    const flags = kind === 'memory' ? ['--memory'] : []
    return [process.execPath, [program, 'hub', '-c', file, '-w', dir, ...flags]]
  }

  #mosquitto(): [program: string, args: string[]] {
    const { dir } = this.#options
    const file = join(dir, 'mosquitto.conf')
    const lines = [
      `listener ${this.#fixedPort} 127.0.0.1`,
      'allow_anonymous true',
      'user root',
      'persistence true',
      `persistence_location ${dir}/`,
      'autosave_interval 1',
      'max_inflight_messages 100',
      'max_queued_messages 0',
      'log_type error',
    ]
    writeFileSync(file, lines.join('\n'))
    return ['mosquitto', ['-c', file]]
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function reachable(port: number): Promise<number | null> {
  const socket = net.connect({ host: '127.0.0.1', port })
  try {
    await once(socket, 'connect')
    return port
  } catch {
    return null
  } finally {
    socket.destroy()
  }
}

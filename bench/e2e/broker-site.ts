import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BrokerName, type BrokerSetup, recipes } from './brokers.ts'
import type { Target } from './load/job.ts'
import { pinned } from './pinning.ts'
import { slowFsyncEnvironment } from './slow-fsync.ts'

const HOST = '127.0.0.1'
const START_TIMEOUT_MS = 10_000
const STOP_TIMEOUT_MS = 5000
/** How long a broker may come to rest after its start. */
const REST_MS = 300

/** A broker that was started. */
export class BrokerProcess {
  readonly target: Target
  readonly #child: ChildProcess
  #output = ''

  constructor(child: ChildProcess, target: Omit<Target, 'pid'>) {
    // Without a pid it could not be started; `ended` says so then.
    this.target = { ...target, pid: child.pid ?? 0 }
    this.#child = child
    const collect = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-2000)
    }
    child.stdout?.on('data', collect)
    child.stderr?.on('data', collect)
    child.on('error', error => collect(Buffer.from(error.message)))
  }

  /** The exit code or signal once it has ended by itself, null while it runs. */
  ended(): string | null {
    if (this.#child.pid === undefined) return 'no start'
    return this.#child.signalCode ?? (this.#child.exitCode === null ? null : String(this.#child.exitCode))
  }

  /** What it printed last. */
  output(): string {
    return this.#output.trim()
  }

  /** Asks it to end, and ends it when it does not within some seconds. */
  async stop(): Promise<void> {
    if (this.ended() !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.killAtOnce(), STOP_TIMEOUT_MS)
    await exited
    clearTimeout(timer)
  }

  /** Ends it as a power cut would, as far as a process can tell. */
  async kill(): Promise<void> {
    if (this.ended() !== null) return
    const exited = once(this.#child, 'exit')
    this.killAtOnce()
    await exited
  }

  killAtOnce(): void {
    this.#child.kill('SIGKILL')
  }
}

/** A directory and a port of one broker, which may be started there again and again and find what it left. */
export class BrokerSite {
  readonly directory: string
  readonly #name: BrokerName
  readonly #port: number
  readonly #command: readonly string[]
  readonly #environment: Readonly<Record<string, string>>
  #process: BrokerProcess | null = null
  // For a run that is broken off: nothing may go on running behind it.
  readonly #breakOff = (): void => {
    this.#process?.killAtOnce()
    rmSync(this.directory, { recursive: true, force: true })
  }

  private constructor(name: BrokerName, setup: BrokerSetup, port: number) {
    this.#name = name
    this.#port = port
    this.directory = mkdtempSync(join(tmpdir(), `bench-${name}-`))
    process.once('exit', this.#breakOff)
    const { fsyncMs } = setup
    this.#environment = fsyncMs === undefined ? {} : slowFsyncEnvironment(this.directory, fsyncMs)
    this.#command = pinned('broker', recipes[name].command(this.directory, port, setup))
  }

  static async make(name: BrokerName, setup: BrokerSetup): Promise<BrokerSite> {
    return new BrokerSite(name, setup, await freePort())
  }

  /** Starts the broker, which ended before, without waiting for it to answer. */
  launch(): BrokerProcess {
    const [file, ...args] = this.#command as [string, ...string[]]
    const env = { ...process.env, ...this.#environment }
    const child = spawn(file, args, { cwd: this.directory, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const { credentials } = recipes[this.#name]
    this.#process = new BrokerProcess(child, { host: HOST, port: this.#port, credentials })
    return this.#process
  }

  /** Starts the broker and resolves when its port answers. */
  async start(): Promise<BrokerProcess> {
    const started = this.launch()
    try {
      await untilListening(this.#port, () => started.ended() !== null)
    } catch (error) {
      await started.stop()
      throw new Error(`${this.#name} did not start: ${started.output() || String(error)}`, { cause: error })
    }
    await sleep(REST_MS)
    return started
  }

  /** Ends the broker if it still runs and removes its directory. */
  async remove(): Promise<void> {
    await this.#process?.stop()
    process.removeListener('exit', this.#breakOff)
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** A port of loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1)
  return port as number
}

/** So many ports, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => net.createServer().listen(0, HOST))
  await Promise.all(servers.map(server => once(server, 'listening')))
  const ports = servers.map(server => (server.address() as net.AddressInfo).port)
  for (const server of servers) server.close()
  await Promise.all(servers.map(server => once(server, 'close')))
  return ports
}

async function untilListening(port: number, isOver: () => boolean): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (performance.now() < deadline) {
    if (isOver()) throw new Error('it ended at once')
    const socket = net.connect({ host: HOST, port })
    try {
      await once(socket, 'connect')
      return
    } catch {
      await sleep(50)
    } finally {
      socket.destroy()
    }
  }
  throw new Error(`nothing listens on ${HOST}:${port} after ${START_TIMEOUT_MS / 1000} s`)
}

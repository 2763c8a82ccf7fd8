import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BrokerProcess } from '../e2e/broker-site.ts'
import { pinned } from '../e2e/pinning.ts'
import type { Endpoint } from './load/job.ts'

const HOST = '127.0.0.1'
const START_TIMEOUT_MS = 10_000

export interface Part {
  /** For its folder, and for errors. */
  name: string
  /** The command line; may write files into the folder. */
  command: (folder: string) => readonly string[]
  /** Ports that have to answer before it counts as started. */
  ports: readonly number[]
}

export interface RunningPart {
  pid: number
  /** Throws when it has ended by itself. */
  check(): void
}

/** The processes of one measurement, all on the core of the broker, and a folder of each. */
export class Stage {
  readonly directory = mkdtempSync(join(tmpdir(), 'bench-bridge-'))
  readonly #processes: { name: string; process: BrokerProcess }[] = []
  readonly #servers: net.Server[] = []
  // For a run that is broken off: nothing may go on running behind it.
  readonly #breakOff = (): void => {
    for (const { process } of this.#processes) process.killAtOnce()
    rmSync(this.directory, { recursive: true, force: true })
  }

  constructor() {
    process.once('exit', this.#breakOff)
  }

  async start({ name, command, ports }: Part): Promise<RunningPart> {
    const folder = join(this.directory, name)
    mkdirSync(folder)
    const [file, ...args] = pinned('broker', command(folder)) as [string, ...string[]]
    const child = spawn(file, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    const started = new BrokerProcess(child, { host: HOST, port: ports[0] ?? 0, credentials: null })
    this.#processes.push({ name, process: started })
    const check = (): void => {
      const ended = started.ended()
      if (ended !== null) throw new Error(`${name} ended with ${ended}: ${started.output().slice(-500)}`)
    }
    for (const port of ports) await untilListening(port, check)
    return { pid: started.target.pid, check }
  }

  /** A port that takes connections, reads what comes and never says anything. */
  async silentPort(): Promise<number> {
    const server = net.createServer(socket => socket.on('error', () => {}).resume())
    server.listen(0, HOST)
    await once(server, 'listening')
    server.unref()
    this.#servers.push(server)
    return (server.address() as net.AddressInfo).port
  }

  /** Ends all processes, the last one first, and removes the folders. */
  async close(): Promise<void> {
    for (const { process } of this.#processes.reverse()) await process.stop()
    for (const server of this.#servers) server.close()
    process.removeListener('exit', this.#breakOff)
    rmSync(this.directory, { recursive: true, force: true })
  }

  /** What the processes printed last, for an error. */
  output(): string {
    const said = this.#processes.map(({ name, process }) => [name, process.output()] as const)
    return said.flatMap(([name, text]) => (text === '' ? [] : [`${name}: ${text.slice(-500)}`])).join('\n')
  }
}

export function endpoint(port: number, credentials: Endpoint['credentials']): Endpoint {
  return { host: HOST, port, credentials }
}

/** Does the work on a stage of its own; what goes wrong comes with what the processes printed. */
export async function onStage<T>(work: (stage: Stage) => Promise<T>): Promise<T> {
  const stage = new Stage()
  try {
    return await work(stage)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const output = stage.output()
    throw new Error(output === '' ? message : `${message}\n${output}`, { cause: error })
  } finally {
    await stage.close()
  }
}

async function untilListening(port: number, check: () => void): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (performance.now() < deadline) {
    check()
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

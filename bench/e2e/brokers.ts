import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Credentials } from './load/packets.ts'
import { pinned } from './pinning.ts'
import type { Scenario } from './scenarios.ts'

export const brokerNames = ['mosquitto', 'aedes', 'ours'] as const
export type BrokerName = (typeof brokerNames)[number]

/** A broker that runs for one measurement. */
export interface RunningBroker {
  pid: number
  port: number
  credentials: Credentials | null
  /** The exit code or signal once it has ended by itself, null while it runs. */
  ended(): string | null
  /** What it printed last. */
  output(): string
  stop(): Promise<void>
}

interface Recipe {
  /** Why it cannot run here, null when it can. */
  missing(): string | null
  credentials: Credentials | null
  /** The command line; may write configuration files into the directory. */
  command(directory: string, port: number, scenario: Scenario): string[]
}

const ROOT = resolve(import.meta.dirname, '../..')
const MOSQUITTO = '/usr/sbin/mosquitto'
const HUB = join(ROOT, 'dist/cli/main.js')
const START_TIMEOUT_MS = 10_000
const STOP_TIMEOUT_MS = 5000
/** How long a broker may come to rest after its start. */
const REST_MS = 300

const recipes: Record<BrokerName, Recipe> = {
  mosquitto: {
    missing: () => (existsSync(MOSQUITTO) ? null : `${MOSQUITTO} is not there; install the Debian package mosquitto`),
    credentials: null,
    command(directory, port) {
      const lines = [`listener ${port} 127.0.0.1`, 'allow_anonymous true', 'persistence false']
      lines.push('log_dest stderr', 'log_type error', 'log_type warning')
      // Started by root it would change to a user of its own, which is no part of the comparison.
      if (process.getuid?.() === 0) lines.push('user root')
      const file = join(directory, 'mosquitto.conf')
      writeFileSync(file, `${lines.join('\n')}\n`)
      return [MOSQUITTO, '-c', file]
    },
  },
  aedes: {
    missing: () => (existsSync(join(ROOT, 'node_modules/aedes')) ? null : 'aedes is not installed; run npm ci'),
    credentials: null,
    command: (_directory, port) => [process.execPath, join(import.meta.dirname, 'aedes-server.mjs'), String(port)],
  },
  ours: {
    missing: () => (existsSync(HUB) ? null : `${HUB} is not there; run npm run build`),
    credentials: { username: 'bench', password: 'bench' },
    command(directory, port, scenario) {
      const lines = [
        `listen: [ 'tcp://127.0.0.1:${port}' ]`,
        `storage: { dir: '${join(directory, 'data')}' }`,
        'principals:',
        '  - username: bench',
        '    password: bench',
        '    permissions:',
        "      - { action: pub, permit: [ 'bench/#', 'dev/#', 'retained/#' ] }",
        "      - { action: sub, permit: [ 'bench/#', 'dev/#', 'retained/#' ] }",
        ...(scenario.hubConfig ?? []),
      ]
      const file = join(directory, 'service.yml')
      writeFileSync(file, `${lines.join('\n')}\n`)
      return [process.execPath, HUB, 'hub', '-c', file, '-w', directory]
    },
  },
}

/** Why this broker cannot be measured here, null when it can. */
export function missingReason(name: BrokerName): string | null {
  return recipes[name].missing()
}

/** Starts a broker in a directory of its own and resolves when its port answers. */
export async function startBroker(name: BrokerName, scenario: Scenario): Promise<RunningBroker> {
  const recipe = recipes[name]
  const directory = mkdtempSync(join(tmpdir(), `bench-${name}-`))
  const port = await freePort()
  const [file, ...args] = pinned('broker', recipe.command(directory, port, scenario)) as [string, ...string[]]
  const child = spawn(file, args, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-2000)
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  child.on('error', error => collect(Buffer.from(error.message)))
  const ended = (): string | null => child.signalCode ?? (child.exitCode === null ? null : String(child.exitCode))
  // For a run that is broken off: nothing may go on running behind it.
  const breakOff = (): void => {
    child.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
  process.once('exit', breakOff)
  const stop = async (): Promise<void> => {
    await end(child)
    process.removeListener('exit', breakOff)
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    await untilListening(port, () => ended() !== null || child.pid === undefined)
  } catch (error) {
    await stop()
    throw new Error(`${name} did not start: ${output.trim() || String(error)}`, { cause: error })
  }
  await sleep(REST_MS)
  return { pid: child.pid as number, port, credentials: recipe.credentials, ended, output: () => output.trim(), stop }
}

/** Version of a broker, as far as it tells. */
export async function versionOf(name: BrokerName): Promise<string> {
  if (name !== 'mosquitto') {
    const file = name === 'aedes' ? 'node_modules/aedes/package.json' : 'package.json'
    return (JSON.parse(readFileSync(join(ROOT, file), 'utf8')) as { version: string }).version
  }
  const child = spawn(MOSQUITTO, ['-h'], { stdio: ['ignore', 'pipe', 'ignore'] })
  let text = ''
  for await (const chunk of child.stdout) text += String(chunk)
  return /version (\S+)/.exec(text)?.[1] ?? 'unknown'
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await exited
  clearTimeout(timer)
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function untilListening(port: number, isOver: () => boolean): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (performance.now() < deadline) {
    if (isOver()) throw new Error('it ended at once')
    const socket = net.connect({ host: '127.0.0.1', port })
    try {
      await once(socket, 'connect')
      return
    } catch {
      await sleep(50)
    } finally {
      socket.destroy()
    }
  }
  throw new Error(`nothing listens on 127.0.0.1:${port} after ${START_TIMEOUT_MS / 1000} s`)
}

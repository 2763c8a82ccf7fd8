import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Credentials } from './load/packets.ts'

export const brokerNames = ['mosquitto', 'aedes', 'ours'] as const
export type BrokerName = (typeof brokerNames)[number]

/** What a measurement asks of a broker beyond its defaults. */
export interface BrokerSetup {
  /** Our hub's `storage.sync`; persistence of mosquitto. When absent the hub keeps its default and mosquitto stores nothing. */
  sync?: Sync
  /** How long every fsync of the broker takes at least, in ms. Default: what the disk needs. */
  fsyncMs?: number
  /** Lines for the configuration of our hub. */
  hub?: readonly string[]
  /** Lines for the configuration of mosquitto. */
  mosquitto?: readonly string[]
}

export const syncs = ['always', 'interval', 'never'] as const
export type Sync = (typeof syncs)[number]

interface Recipe {
  /** Why it cannot run here, null when it can. */
  missing(): string | null
  credentials: Credentials | null
  /** The command line; may write configuration files into the directory. */
  command(directory: string, port: number, setup: BrokerSetup): string[]
}

const ROOT = resolve(import.meta.dirname, '../..')
const MOSQUITTO = '/usr/sbin/mosquitto'
const HUB = join(ROOT, 'dist/cli/main.js')

export const recipes: Readonly<Record<BrokerName, Recipe>> = {
  mosquitto: {
    missing: () => (existsSync(MOSQUITTO) ? null : `${MOSQUITTO} is not there; install the Debian package mosquitto`),
    credentials: null,
    command(directory, port, { sync, mosquitto = [] }) {
      const lines = [`listener ${port} 127.0.0.1`, 'allow_anonymous true', ...mosquitto]
      if (sync === undefined) lines.push('persistence false')
      else lines.push('persistence true', `persistence_location ${directory}/`)
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
    command(directory, port, { sync, hub = [] }) {
      const storage = [`dir: '${join(directory, 'data')}'`, ...(sync === undefined ? [] : [`sync: ${sync}`])]
      const lines = [
        `listen: [ 'tcp://127.0.0.1:${port}' ]`,
        `storage: { ${storage.join(', ')} }`,
        'principals:',
        '  - username: bench',
        '    password: bench',
        '    permissions:',
        "      - { action: pub, permit: [ 'bench/#', 'dev/#', 'retained/#' ] }",
        "      - { action: sub, permit: [ 'bench/#', 'copy/#', 'dev/#', 'retained/#' ] }",
        ...hub,
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

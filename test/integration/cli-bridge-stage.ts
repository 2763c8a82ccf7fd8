/** A hub, a remote and a bridge between them, each a process of its own. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { connectAsync, type MqttClient } from 'mqtt'
import { type Finished, makeWorkdir, openedge, type Program, startOpenedge } from './cli-process.ts'

export const FILE = 'etc/openedge/bridge.yml'
export const OPEN = `
listen: [tcp://127.0.0.1:0]
anonymous: { permissions: [{ action: pub, permit: ['#'] }, { action: sub, permit: ['#', $SYS/#] }] }
`

export interface Broker {
  readonly program: Program
  readonly url: string
  readonly client: MqttClient
}

/** A hub that keeps nothing and is open to everybody. */
export async function startBroker(t: TestContext): Promise<Broker> {
  const dir = makeWorkdir(t, { 'service.yml': OPEN })
  const program = startOpenedge(t, ['hub', '-c', 'service.yml', '--memory'], dir)
  const url = await program.url('tcp')
  const client = await connectAsync(url, { reconnectPeriod: 0, connectTimeout: 10_000 })
  t.after(() => client.end(true))
  return { program, url, client }
}

/** The next message that a client gets, as `TOPIC PAYLOAD`. */
export function nextMessage(client: MqttClient): Promise<string> {
  return new Promise(resolve => {
    client.once('message', (topic, payload) => resolve(`${topic} ${payload.toString()}`))
  })
}

/** Hub and remote, for the file of a bridge. */
export function sides(hub: string, remote: string): string {
  return `hub: { address: '${hub}' }\nremotes: [{ name: cloud, address: '${remote}', interval: 1s }]\n`
}

export const UP = `{ name: up, hub: { clientid: up, subscriptions: [{ topic: up/#, qos: 1 }] }, remote: { name: cloud, clientid: up } }`
export const DOWN = `{ name: down, hub: { clientid: down }, remote: { name: cloud, clientid: down, subscriptions: [{ topic: down/#, qos: 1, target: { topic: 'from/{topic}' } }] } }`

export interface BridgeProcess {
  readonly dir: string
  readonly bridge: Program
  /** Replaces its configuration, in one step: half a file is another configuration. */
  write(yaml: string): void
  /** Calls `openedge bridge WORD` with its -c. */
  ask(...words: string[]): Promise<Finished>
}

/** Resolves when the bridge has printed what it does, connected or not. */
export async function startBridge(t: TestContext, yaml: string): Promise<BridgeProcess> {
  const dir = makeWorkdir(t, { [FILE]: yaml })
  const bridge = startOpenedge(t, ['bridge', '-c', FILE], dir)
  await bridge.until(/^OpenEdge \S+ bridge, configured by .+\n/)
  return {
    dir,
    bridge,
    write(next) {
      writeFileSync(join(dir, 'next.yml'), next)
      renameSync(join(dir, 'next.yml'), join(dir, FILE))
    },
    ask: (...words) => openedge(['bridge', ...words, '-c', FILE], { cwd: dir }),
  }
}

/** Asks for the status until it matches. */
export async function untilStatus(stage: BridgeProcess, pattern: RegExp): Promise<string> {
  const deadline = Date.now() + 20_000
  for (;;) {
    const { code, stdout, stderr } = await stage.ask('status')
    if (pattern.test(stdout)) return stdout
    if (Date.now() > deadline) throw new Error(`no ${pattern} in the status, exit code ${code}:\n${stdout}${stderr}`)
  }
}

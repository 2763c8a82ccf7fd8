/** Real brokers for a bridge to lead to: our hub in this process, and mosquitto in one of its own. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HubService } from '../../src/broker/index.ts'
import { parseHubConfig } from '../../src/config/index.ts'
import { BridgeClient } from './bridge-client.ts'
import { OPEN_TO_ALL } from './hub.ts'
import type { ConnectOptions } from './packets.ts'
import type { Cleanup } from './raw-client.ts'

export interface Broker {
  readonly name: string
  /** The first port. */
  readonly port: number
  readonly address: string
  /** A client with a name of its own unless told, that gets these topics. */
  client(options?: ConnectOptions, ...filters: [filter: string, qos: number][]): Promise<BridgeClient>
  stop(): Promise<void>
  /** Starts again, on the same ports, with what it kept. */
  start(): Promise<void>
}

export interface BrokerOptions {
  /** More lines of its configuration. */
  lines?: readonly string[]
  /** Only our hub: instead of letting everybody do everything. */
  access?: string
  /** Schemes of the ports, the first for `address`. Default tcp. */
  schemes?: readonly ('tcp' | 'ssl' | 'ws' | 'wss')[]
}

export interface OwnHub extends Broker {
  readonly service: () => HubService
  /** An address for each scheme, in the order they were asked for. */
  readonly addresses: readonly string[]
}

/** Our hub. It keeps on disk what it has to, so that it may be stopped and started. */
export async function startHubBroker(t: Cleanup, options: BrokerOptions = {}): Promise<OwnHub> {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-bridge-'))
  const schemes = options.schemes ?? ['tcp']
  const ports = await freePorts(schemes.length)
  const addresses = schemes.map((scheme, i) => `${scheme}://127.0.0.1:${ports[i]}`)
  const yaml = [
    options.access ?? OPEN_TO_ALL,
    `listen: ${JSON.stringify(addresses)}`,
    `storage: { dir: ${join(dir, 'data')} }`,
    ...(options.lines ?? []),
  ].join('\n')
  const { config } = parseHubConfig(yaml, { file: 'hub.yml', env: {} })
  let service: HubService | null = null
  const start = async (): Promise<void> => {
    assert.equal(service, null, 'the hub runs')
    const next = new HubService(config)
    await next.start(new AbortController().signal)
    service = next
  }
  const stop = async (): Promise<void> => {
    const last = service
    service = null
    await last?.stop()
  }
  t.after(async () => {
    await stop()
    rmSync(dir, { recursive: true, force: true })
  })
  await start()
  const port = ports[0] as number
  return {
    name: 'hub',
    port,
    address: addresses[0] as string,
    addresses,
    client: clientsOf(t, port),
    stop,
    start,
    service: () => {
      assert.ok(service !== null, 'the hub is stopped')
      return service
    },
  }
}

/** Debian's mosquitto. Stopped in good order it keeps what it has to. */
export async function startMosquitto(t: Cleanup, options: BrokerOptions = {}): Promise<Broker> {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-mosquitto-'))
  const [port] = (await freePorts(1)) as [number]
  const file = join(dir, 'mosquitto.conf')
  const lines = [
    'user root',
    'persistence true',
    `persistence_location ${dir}/`,
    'max_inflight_messages 200',
    'max_queued_messages 100000',
    `listener ${port} 127.0.0.1`,
    ...(options.lines ?? ['allow_anonymous true']),
  ]
  writeFileSync(file, `${lines.join('\n')}\n`)
  let child: ChildProcess | null = null
  const stop = async (): Promise<void> => {
    const last = child
    child = null
    if (last === null || last.exitCode !== null || last.signalCode !== null) return
    const exited = once(last, 'exit')
    last.kill('SIGTERM')
    await exited
  }
  const start = async (): Promise<void> => {
    assert.equal(child, null, 'mosquitto runs')
    child = spawn('mosquitto', ['-c', file], { stdio: 'ignore' })
    await untilListening(port)
  }
  t.after(async () => {
    await stop()
    rmSync(dir, { recursive: true, force: true })
  })
  await start()
  return { name: 'mosquitto', port, address: `tcp://127.0.0.1:${port}`, client: clientsOf(t, port), stop, start }
}

function clientsOf(t: Cleanup, port: number): Broker['client'] {
  let last = 0
  return async (options = {}, ...filters) => {
    const client = await BridgeClient.connect(port, { clientId: `local-${++last}`, ...options })
    t.after(() => client.destroy())
    if (filters.length > 0) await client.subscribe(...filters)
    return client
  }
}

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => net.createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map(server => once(server, 'listening')))
  const ports = servers.map(server => (server.address() as net.AddressInfo).port)
  const closed = servers.map(server => once(server, 'close'))
  for (const server of servers) server.close()
  await Promise.all(closed)
  return ports
}

async function untilListening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const socket = net.connect({ host: '127.0.0.1', port })
    try {
      await once(socket, 'connect')
      return
    } catch {
      await new Promise(resolve => setTimeout(resolve, 10))
    } finally {
      socket.destroy()
    }
  }
  throw new Error(`nothing listens on port ${port}`)
}

/** The programs of the test: how each is configured, started and known to be up. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { ManagedProcess, type ProcessOptions } from './process.ts'

export type BrokerKind = 'hub' | 'mosquitto'

/** `own`: the bridge under test. `mosquitto`: one between both brokers that is bridged to each. */
export type BridgeKind = 'own' | 'mosquitto'

/** A rule of the bridge; it carries `out/<name>/#` to the remote and `in/<name>/#` to the hub. */
export interface Rule {
  readonly name: string
  readonly qos: 1 | 2
}

/** Whole seconds: the link notices a dead peer within 1.5 times that. */
export const KEEPALIVE_S = 2

/** The program under test, as `npm run build` leaves it. */
export const PROGRAM = join(import.meta.dirname, '../../dist/cli/main.js')

const MOSQUITTO = 'mosquitto'

export interface BrokerOptions extends ProcessOptions {
  readonly kind: BrokerKind
  readonly port: number
  /** Of the hub. */
  readonly program: string
  /** Lines of YAML on top, for the hub. */
  readonly yaml?: readonly string[]
}

/** A broker that keeps what it has. */
export class Broker {
  readonly kind: BrokerKind
  readonly #process: ManagedProcess
  readonly #port: number
  readonly #program: string
  readonly #yaml: readonly string[]
  #isUp = false

  constructor(options: BrokerOptions) {
    this.kind = options.kind
    this.#port = options.port
    this.#program = options.program
    this.#yaml = options.yaml ?? []
    this.#process = new ManagedProcess(options)
  }

  /** Null: it does not run, or is not ready. */
  get port(): number | null {
    return this.#isUp && this.#process.isRunning ? this.#port : null
  }

  /** Resolves when it accepts connections. */
  async start(): Promise<void> {
    const { dir } = this.#process
    const isHub = this.kind === 'hub'
    const file = join(dir, isHub ? 'service.yml' : 'mosquitto.conf')
    writeFileSync(file, (isHub ? [...hubLines(this.#port), ...this.#yaml] : mosquittoLines(this.#port, dir)).join('\n'))
    if (isHub) this.#process.start(process.execPath, [this.#program, 'hub', '-c', file, '-w', dir])
    else this.#process.start(MOSQUITTO, ['-c', file])
    await this.#process.ready(() => isReachable(this.#port))
    this.#isUp = true
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#isUp = false
    await this.#process.end(signal)
  }

  close(): Promise<void> {
    return this.#process.close()
  }
}

function hubLines(port: number): string[] {
  const all = `['#', '$SYS/#']`
  return [
    `listen: [tcp://127.0.0.1:${port}]`,
    `anonymous: { permissions: [{ action: pub, permit: ${all} }, { action: sub, permit: ${all} }] }`,
    'queue: { max: { messages: 1000000, bytes: 1g } }',
    'storage: { dir: data }',
  ]
}

function mosquittoLines(port: number, dir: string): string[] {
  return [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    'user root',
    'persistence true',
    `persistence_location ${dir}/`,
    'max_inflight_messages 100',
    'max_queued_messages 0',
    'log_type error',
    'log_type warning',
    'log_type notice',
    'log_timestamp_format %Y-%m-%dT%H:%M:%S',
  ]
}

export interface BridgeOptions extends ProcessOptions {
  readonly kind: BridgeKind
  readonly program: string
  readonly hubPort: number
  /** Where the bridge finds the remote. */
  readonly remotePort: number
  /** For a bridge that is a broker itself. */
  readonly ownPort: number
  readonly rules: readonly Rule[]
}

/** The bridge between both. */
export class Bridge {
  readonly #options: BridgeOptions
  readonly #process: ManagedProcess

  constructor(options: BridgeOptions) {
    this.#options = options
    this.#process = new ManagedProcess(options)
  }

  get output(): string {
    return this.#process.output
  }

  get peakMemory(): number {
    return this.#process.peakMemory
  }

  /** Returns at once: that it carries something has to be seen. */
  start(): void {
    const { kind, dir, program } = this.#options
    const file = join(dir, kind === 'own' ? 'service.yml' : 'mosquitto.conf')
    writeFileSync(file, (kind === 'own' ? bridgeLines : mosquittoBridgeLines)(this.#options).join('\n'))
    if (kind === 'own') this.#process.start(process.execPath, [program, 'bridge', '-c', file, '-w', dir])
    else this.#process.start(MOSQUITTO, ['-c', file])
  }

  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    return this.#process.end(signal)
  }

  close(): Promise<void> {
    return this.#process.close()
  }
}

function bridgeLines({ hubPort, remotePort, rules }: BridgeOptions): string[] {
  const link = (port: number): string =>
    `address: 'tcp://127.0.0.1:${port}', keepalive: ${KEEPALIVE_S}s, interval: 1s, timeout: 5s`
  return [
    `hub: { ${link(hubPort)} }`,
    `remotes: [{ name: cloud, ${link(remotePort)} }]`,
    'rules:',
    ...rules.flatMap(({ name, qos }) => [
      `  - name: ${name}`,
      `    hub: { clientid: bridge-${name}, subscriptions: [{ topic: 'out/${name}/#', qos: ${qos} }] }`,
      `    remote: { name: cloud, clientid: bridge-${name}, subscriptions: [{ topic: 'in/${name}/#', qos: ${qos} }] }`,
    ]),
  ]
}

function mosquittoBridgeLines({ hubPort, remotePort, ownPort, dir, rules }: BridgeOptions): string[] {
  const connection = (name: string, port: number, here: 'in' | 'out', there: 'in' | 'out'): string[] => [
    `connection ${name}`,
    `address 127.0.0.1:${port}`,
    `remote_clientid bridge-${name}`,
    `local_clientid local-${name}`,
    'cleansession false',
    'notifications false',
    'keepalive_interval 5',
    'restart_timeout 1',
    ...rules.flatMap(rule => [
      `topic out/${rule.name}/# ${here} ${rule.qos}`,
      `topic in/${rule.name}/# ${there} ${rule.qos}`,
    ]),
  ]
  return [
    ...mosquittoLines(ownPort, dir),
    ...connection('hub', hubPort, 'in', 'out'),
    ...connection('remote', remotePort, 'out', 'in'),
  ]
}

async function isReachable(port: number): Promise<boolean> {
  const socket = net.connect({ host: '127.0.0.1', port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

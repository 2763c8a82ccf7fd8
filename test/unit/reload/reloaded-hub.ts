/** A hub with listeners whose configuration is replaced while clients are connected. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Hub, HubService } from '../../../src/broker/index.ts'
import { type HubConfig, parseHubConfig } from '../../../src/config/index.ts'
import { KeptLog } from '../../support/kept-log.ts'
import type { ConnectOptions } from '../../support/packets.ts'
import { type Cleanup, type Endpoint, openRawClient, type RawClient, type Transport } from '../../support/raw-client.ts'

/** Any free port of loopback: the same listener as long as it is in the configuration. */
export const TCP = `listen: ['tcp://127.0.0.1:0']`

interface Options {
  /** Where it stores; default: nowhere. */
  readonly dir?: string
  readonly baseDir?: string
  readonly version?: string
}

export class ReloadedHub {
  readonly service: HubService
  readonly log: KeptLog
  readonly #options: Options
  readonly #clients: RawClient[] = []

  private constructor(yaml: string, options: Options) {
    this.#options = options
    this.log = new KeptLog()
    const { baseDir, version = '1.2.3' } = options
    this.service = new HubService(this.#config(yaml), this.log, baseDir, { version })
  }

  /** Starts a hub; it is stopped when the test is over. */
  static async start(t: Cleanup, yaml: string, options: Options = {}): Promise<ReloadedHub> {
    const reloaded = new ReloadedHub(yaml, options)
    t.after(() => reloaded.stop())
    await reloaded.service.start(new AbortController().signal)
    return reloaded
  }

  get hub(): Hub {
    return this.service.hub
  }

  get urls(): string[] {
    return this.service.urls
  }

  /** How often something was logged. */
  logged(event: string): number {
    return this.log.count(event)
  }

  /** `change`: what no file could say. */
  reload(yaml: string, change: (next: HubConfig) => HubConfig = next => next): Promise<void> {
    return this.service.reload(change(this.#config(yaml)))
  }

  /** Stops the hub; a client that it had dropped before, unexpectedly, is an error. */
  async stop(): Promise<void> {
    try {
      for (const client of this.#clients.splice(0)) client.finish()
    } finally {
      await this.service.stop()
    }
  }

  /** Opens a connection and sends nothing. */
  async open(t: Cleanup, url: string | undefined = this.urls[0], pem: Partial<Endpoint> = {}): Promise<RawClient> {
    const [, transport = '', host = '', port = ''] = /^(\w+):\/\/([\d.]+):(\d+)/.exec(url ?? '') ?? []
    const client = await openRawClient(t, { transport: transport as Transport, host, port: Number(port), ...pem })
    this.#clients.push(client)
    return client
  }

  /** Connects, which must succeed. */
  async connect(t: Cleanup, clientId: string, options: ConnectOptions = {}, url?: string): Promise<RawClient> {
    const client = await this.open(t, url)
    const { returnCode } = await client.connect({ clientId, ...options })
    assert.equal(returnCode, 0, `CONNACK for ${clientId}`)
    return client
  }

  #config(yaml: string): HubConfig {
    const { config } = parseHubConfig(yaml, { file: 'service.yml', env: {} })
    return { ...config, storage: { ...config.storage, dir: this.#options.dir ?? '', sync: 'never', reserveBytes: 0 } }
  }
}

/** A directory that is removed when the test is over. */
export function temporaryDirectory(t: Cleanup): string {
  const dir = mkdtempSync(join(tmpdir(), 'openedge-reload-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** A principal with a password that is its name. */
export function account(name: string, permits: { pub?: string[]; sub?: string[] }, password = name): string {
  return `  - { username: ${name}, password: ${JSON.stringify(password)}, permissions: ${permissions(permits)} }`
}

/** The permissions of a principal. */
export function permissions({ pub = [], sub = [] }: { pub?: string[]; sub?: string[] }): string {
  return JSON.stringify([
    { action: 'pub', permit: pub },
    { action: 'sub', permit: sub },
  ])
}

/** The password of CONNECT for an account. */
export function as(username: string): { username: string; password: string } {
  return { username, password: username }
}

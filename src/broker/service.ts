import { resolve } from 'node:path'
import { type Logger, type Service, silentLogger } from '../common/index.ts'
import { type HubConfig, type ListenAddress, parseListenUrl } from '../config/index.ts'
import { Hub } from './hub.ts'
import type { HubOptions } from './hub-options.ts'
import { createListeners, type ListenerGroup, readTlsMaterial } from './listeners/index.ts'

/** Makes a hub that is ready for `hub.handle(stream)`: what embedders use. */
export async function createHub(options: HubOptions = {}): Promise<Hub> {
  const hub = new Hub(options)
  await hub.listen()
  return hub
}

/** A hub with the listeners of its configuration. */
export class HubService implements Service {
  readonly name = 'hub'
  readonly #config: HubConfig
  readonly #log: Logger
  readonly #baseDir: string
  #hub: Hub | null = null
  #listeners: ListenerGroup | null = null

  /** Paths in the configuration are relative to `baseDir`. */
  constructor(config: HubConfig, log: Logger = silentLogger, baseDir: string = process.cwd()) {
    this.#config = config
    this.#log = log
    this.#baseDir = baseDir
  }

  /** The broker; only while started. */
  get hub(): Hub {
    if (this.#hub === null) throw new Error('hub is not started')
    return this.#hub
  }

  /** The addresses as bound, with the real ports. */
  get urls(): string[] {
    return this.#listeners?.urls ?? []
  }

  async start(signal: AbortSignal): Promise<void> {
    const { anonymous, certificate, limits, listen, message } = this.#config
    const hub = await createHub({ config: this.#config, log: this.#log, ...this.#storage() })
    try {
      const tls = readTlsMaterial(certificate, this.#baseDir)
      const listeners = createListeners(
        listen.map(url => this.#address(url)),
        {
          accept: (stream, peer, request) => {
            hub.accept(stream, peer, request)
          },
          maxConnections: () => hub.connections < limits.connections,
          // Old clients put all that waits into one frame.
          maxFrameBytes: Math.max(4 * message.maxBytes, 1_048_576),
          // Where no password is asked a browser would vouch for any page it shows.
          checkOrigin: anonymous !== null || certificate.ca !== '',
          log: this.#log,
          ...(tls !== undefined && { tls }),
        },
      )
      await listeners.start(signal)
      this.#listeners = listeners
    } catch (error) {
      await hub.closeGently(0)
      throw error
    }
    this.#hub = hub
  }

  /** Where the hub stores; nothing when storage.dir is empty. */
  #storage(): Pick<HubOptions, 'storage'> {
    const { storage } = this.#config
    return storage.dir === '' ? {} : { storage: { ...storage, dir: resolve(this.#baseDir, storage.dir) } }
  }

  /** The path of a unix socket is relative to the base directory, as all paths are. */
  #address(url: string): ListenAddress {
    const address = parseListenUrl(url)
    return address.scheme === 'unix' ? { ...address, path: resolve(this.#baseDir, address.path) } : address
  }

  async stop(): Promise<void> {
    const hub = this.#hub
    await this.#listeners?.stop()
    this.#hub = null
    this.#listeners = null
    await hub?.closeGently()
  }
}

/** Starts a hub with its listeners; rejects with nothing left open when one can't be bound. */
export async function startHub(options: {
  config: HubConfig
  log?: Logger
  baseDir?: string
}): Promise<{ hub: Hub; urls: string[]; close: () => Promise<void> }> {
  const service = new HubService(options.config, options.log, options.baseDir)
  await service.start(new AbortController().signal)
  return { hub: service.hub, urls: service.urls, close: () => service.stop() }
}

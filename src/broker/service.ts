import { resolve } from 'node:path'
import { GatewayError, type Logger, type Service, silentLogger } from '../common/index.ts'
import { type HubConfig, type ListenAddress, parseListenUrl } from '../config/index.ts'
import { Hub } from './hub.ts'
import type { HubOptions } from './hub-options.ts'
import { createListeners, type ListenerGroup, readTlsMaterial } from './listeners/index.ts'
import { Reporting, reloadHub } from './reload/index.ts'

const LEAST_FRAME_BYTES = 1_048_576

/** Makes a hub that is ready for `hub.handle(stream)`: what embedders use. */
export async function createHub(options: HubOptions = {}): Promise<Hub> {
  const hub = new Hub(options)
  await hub.listen()
  return hub
}

/** What runs while the service does. */
interface Running {
  readonly hub: Hub
  readonly listeners: ListenerGroup
  readonly reporting: Reporting
}

/** A hub with the listeners of its configuration, which may be replaced while it runs. */
export class HubService implements Service {
  readonly name = 'hub'
  readonly #log: Logger
  readonly #baseDir: string
  readonly #version: string
  #config: HubConfig
  #running: Running | null = null
  /** What a stop puts an end to. */
  readonly #stopping = new AbortController()
  /** Settled when no reload is under way. */
  #reloads: Promise<void> = Promise.resolve()

  /** Paths in the configuration are relative to `baseDir`. `version` of the program is told to those who ask. */
  constructor(
    config: HubConfig,
    log: Logger = silentLogger,
    baseDir: string = process.cwd(),
    { version = 'unknown' }: { version?: string } = {},
  ) {
    this.#config = config
    this.#log = log
    this.#baseDir = baseDir
    this.#version = version
  }

  /** The broker; only while started. */
  get hub(): Hub {
    if (this.#running === null) throw new Error('hub is not started')
    return this.#running.hub
  }

  /** The addresses as bound, with the real ports. */
  get urls(): string[] {
    return this.#running?.listeners.urls ?? []
  }

  /** Where the figures are served (metrics.listen), with the real port; null: nowhere. */
  get metricsUrl(): string | null {
    return this.#running?.reporting.url ?? null
  }

  async start(signal: AbortSignal): Promise<void> {
    const config = this.#config
    const hub = await createHub({ config, log: this.#log, ...this.#storage() })
    const reporting = new Reporting(hub, {
      config: config.metrics,
      log: this.#log,
      version: this.#version,
      isReady: () => this.#unreadiness(),
    })
    try {
      const tls = readTlsMaterial(config.certificate, this.#baseDir)
      const listeners = createListeners(this.#addresses(config), {
        accept: (stream, peer, request) => {
          hub.accept(stream, peer, request)
        },
        maxConnections: () => hub.connections < hub.state.settings.connections,
        // Old clients put all that waits into one frame.
        maxFrameBytes: () => Math.max(4 * this.#config.message.maxBytes, LEAST_FRAME_BYTES),
        // Where no password is asked a browser would vouch for any page it shows.
        checkOrigin: () => this.#config.anonymous !== null || this.#config.certificate.ca !== '',
        log: this.#log,
        ...(tls !== undefined && { tls }),
      })
      await reporting.start(signal)
      await listeners.start(signal)
      this.#running = { hub, listeners, reporting }
    } catch (error) {
      await reporting.stop()
      await hub.closeGently(0)
      throw error
    }
  }

  /**
   * Puts another configuration in force without disturbing a connection that may stay. Who is no longer permitted
   * something loses it at once. What can't change while the hub runs, such as where it stores, is not looked at.
   *
   * One call after the other. Rejects with the GatewayError that names what can't be done, and then nothing has changed:
   * ERR_AUTH_..., ERR_LISTEN_..., ERR_METRICS_..., or ERR_LIFECYCLE_CLOSED when the hub is not started or stops.
   */
  reload(next: HubConfig): Promise<void> {
    const reload = this.#reload(next, this.#reloads)
    this.#reloads = reload.catch(() => {})
    return reload
  }

  async #reload(next: HubConfig, earlier: Promise<void>): Promise<void> {
    await earlier
    const { signal } = this.#stopping
    if (this.#running === null || signal.aborted)
      throw new GatewayError('ERR_LIFECYCLE_CLOSED', 'the hub does not run: its configuration can not be replaced')
    const { hub, listeners, reporting } = this.#running
    const addresses = this.#addresses(next)
    await reloadHub(
      { hub, listeners, reporting },
      { before: this.#config, next, addresses, baseDir: this.#baseDir, signal },
      () => {
        this.#config = next
      },
    )
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new GatewayError('ERR_LIFECYCLE_CLOSED', 'the hub stops: its configuration is as before'))
    await this.#reloads
    if (this.#running === null) return
    const { hub, listeners, reporting } = this.#running
    await listeners.stop()
    await reporting.silence()
    this.#running = null
    await hub.closeGently()
    await reporting.stop()
  }

  /** Why the hub does not take clients; null when it does. */
  #unreadiness(): string | null {
    if (this.#stopping.signal.aborted) return 'the hub stops'
    return this.#running === null ? 'the hub starts' : null
  }

  /** Where the hub stores; nothing when storage.dir is empty. */
  #storage(): Pick<HubOptions, 'storage'> {
    const { storage } = this.#config
    return storage.dir === '' ? {} : { storage: { ...storage, dir: resolve(this.#baseDir, storage.dir) } }
  }

  /** The path of a unix socket is relative to the base directory, as all paths are. */
  #addresses({ listen }: HubConfig): ListenAddress[] {
    return listen.map(url => {
      const address = parseListenUrl(url)
      return address.scheme === 'unix' ? { ...address, path: resolve(this.#baseDir, address.path) } : address
    })
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

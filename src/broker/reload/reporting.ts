import type { Logger } from '../../common/index.ts'
import type { HubConfig } from '../../config/index.ts'
import { portOf } from '../../metrics/index.ts'
import type { Hub } from '../hub.ts'
import { ClientEvents, MetricsServer, Reporter } from '../report/index.ts'
import type { Change } from './change.ts'

type MetricsConfig = HubConfig['metrics']

export interface ReportingOptions {
  readonly config: MetricsConfig
  readonly log: Logger
  /** Of the program. */
  readonly version: string
  /** Why the hub does not take clients; null when it does. */
  readonly isReady: () => string | null
}

/** All that tells of a running hub: its figures on `$SYS` and for Prometheus, the comings and goings of clients. */
export class Reporting {
  readonly #hub: Hub
  readonly #options: ReportingOptions
  readonly #reporter: Reporter
  readonly #events: ClientEvents
  #config: MetricsConfig
  #server: MetricsServer | null = null

  constructor(hub: Hub, options: ReportingOptions) {
    const { config, version } = options
    this.#hub = hub
    this.#options = options
    this.#config = config
    this.#reporter = new Reporter(hub, { intervalMs: config.reportIntervalMs, version })
    this.#events = new ClientEvents(hub)
  }

  /** Where the figures are served, with the real port; null: nowhere. */
  get url(): string | null {
    return this.#server?.url ?? null
  }

  /** Rejects, with nothing running, when metrics.listen can't be bound. */
  async start(signal: AbortSignal): Promise<void> {
    this.#server = await this.#open(this.#config.listen, signal)
    await this.#reporter.start()
    if (this.#config.events) this.#events.start()
  }

  /** The port that would be opened for this configuration, and the one that would be closed; 0: none. */
  portsFor({ listen }: MetricsConfig): { opened: number; closed: number } {
    if (listen === this.#config.listen) return { opened: 0, closed: 0 }
    return { opened: listen === '' ? 0 : portOf(listen), closed: this.#server === null ? 0 : portOf(this.#server.url) }
  }

  /**
   * Opens the endpoint elsewhere when it is to be. It is closed first when its port is among the `coveted`. Rejects, and
   * all is as before, when that can't be done.
   */
  async prepare(config: MetricsConfig, signal: AbortSignal, coveted: readonly number[] = []): Promise<Change> {
    const before = this.#server
    const isSame = config.listen === this.#config.listen
    const { opened: wanted, closed } = this.portsFor(config)
    const mustGoFirst = before !== null && !isSame && [wanted, ...coveted].includes(closed)
    if (mustGoFirst) await this.#close(before, null)
    const restore = async (): Promise<void> => {
      if (mustGoFirst) this.#server = await this.#open(before.url, new AbortController().signal)
    }
    let opened: MetricsServer | null
    try {
      opened = isSame ? before : await this.#open(config.listen, signal)
    } catch (failure) {
      await restore()
      throw failure
    }
    return {
      commit: async () => {
        this.#config = config
        this.#server = opened
        this.#reporter.setInterval(config.reportIntervalMs)
        if (config.events) this.#events.start()
        else this.#events.stop()
        if (opened !== before) await this.#close(before, opened)
      },
      rollBack: async () => {
        if (opened !== before) await this.#close(opened, mustGoFirst ? null : before)
        await restore()
      },
    }
  }

  /** Says nothing more; the endpoint still answers. */
  async silence(): Promise<void> {
    await this.#reporter.stop()
    this.#events.stop()
  }

  async stop(): Promise<void> {
    await this.silence()
    const server = this.#server
    this.#server = null
    await this.#close(server, null)
  }

  async #open(listen: string, signal: AbortSignal): Promise<MetricsServer | null> {
    if (listen === '') return null
    const { log, version, isReady } = this.#options
    const server = new MetricsServer(this.#hub, { listen, log, version, isReady })
    await server.start(signal)
    return server
  }

  /** One that takes its place goes on measuring how long messages take. */
  async #close(server: MetricsServer | null, successor: MetricsServer | null): Promise<void> {
    const { state } = this.#hub
    const { latency } = state
    await server?.stop()
    state.latency = successor === null ? null : latency
  }
}

import type { Logger, Service } from '../../common/index.ts'
import { FiguresServer } from '../../metrics/index.ts'
import type { Hub } from '../hub.ts'
import { Latency } from '../latency.ts'
import { HubFigures } from './hub-figures.ts'

export interface MetricsServerOptions {
  /** `http://HOST:PORT`; port 0: any that is free. */
  readonly listen: string
  readonly log: Logger
  /** Of the program. */
  readonly version: string
  /** Why the hub does not take clients; null when it does. */
  isReady(): string | null
}

/** Serves the figures of a hub. Only meanwhile it is measured how long messages take. */
export class MetricsServer implements Service {
  readonly name = 'metrics'
  readonly #hub: Hub
  readonly #server: FiguresServer
  #latency: Latency | null = null

  constructor(hub: Hub, options: MetricsServerOptions) {
    const { listen, log, version } = options
    this.#hub = hub
    this.#server = new FiguresServer({
      listen,
      log,
      title: 'openedge hub',
      readiness: 'the hub takes connections and messages',
      figures: () => new HubFigures(hub, version),
      isReady: () => options.isReady() ?? unreadiness(hub),
      onScrape: () => this.#measureLatency(),
    })
  }

  /** As bound, with the real port; before that as configured. */
  get url(): string {
    return this.#server.url
  }

  /** Throws ERR_METRICS_BIND. */
  async start(signal?: AbortSignal): Promise<void> {
    await this.#server.start(signal)
    if (this.#server.isOpen) this.#measureLatency()
  }

  async stop(): Promise<void> {
    const stopped = this.#server.stop()
    if (this.#hub.state.latency === this.#latency) this.#hub.state.latency = null
    this.#latency = null
    await stopped
  }

  /** Until stop(). A second server goes on with what the first has begun, and keeps it when the first one stops. */
  #measureLatency(): void {
    const { state } = this.#hub
    this.#latency ??= state.latency ?? new Latency()
    state.latency ??= this.#latency
  }
}

/** Why a hub can't do its job; null when it can. */
function unreadiness(hub: Hub): string | null {
  if (hub.closed) return 'the hub is closed'
  const blocked = hub.state.store?.blocked ?? null
  if (blocked === null) return null
  return blocked === 'full' ? 'the storage is full' : 'the storage can not be written'
}

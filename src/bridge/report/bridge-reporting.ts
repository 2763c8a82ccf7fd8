import { type Logger, messageOf } from '../../common/index.ts'
import { FiguresServer, portOf } from '../../metrics/index.ts'
import type { BridgeFigures } from '../figures.ts'
import { unreadiness } from './readiness.ts'
import { BridgeSeries } from './series.ts'

export interface BridgeReportingOptions {
  readonly figures: () => BridgeFigures
  readonly log: Logger
  /** Of the program. */
  readonly version: string
  readonly isStopping: () => boolean
}

/** The endpoint where a bridge tells Prometheus of itself, and whoever keeps it running whether it is ready. */
export class BridgeReporting {
  readonly #options: BridgeReportingOptions
  #server: FiguresServer | null = null
  /** As it was asked for. */
  #listen = ''
  /** One thing after the other. */
  #busy: Promise<void> = Promise.resolve()

  constructor(options: BridgeReportingOptions) {
    this.#options = options
  }

  /** With the real port; null: there is no endpoint. */
  get url(): string | null {
    return this.#server?.url ?? null
  }

  /**
   * Serves on `http://HOST:PORT`, and nowhere else; empty: nowhere. Rejects with `ERR_METRICS_BIND`, and all is as before,
   * when that address can't be had.
   */
  apply(listen: string): Promise<void> {
    return this.#inTurn(() => this.#move(listen))
  }

  /** Never rejects. */
  stop(): Promise<void> {
    return this.#inTurn(() => this.#move(''))
  }

  #inTurn(step: () => Promise<void>): Promise<void> {
    const done = this.#busy.then(step)
    this.#busy = done.catch(() => {})
    return done
  }

  async #move(listen: string): Promise<void> {
    if (listen === this.#listen) return
    const before = this.#server
    const url = this.url
    // Of two addresses with one port the second may be part of the first.
    const mustGoFirst = url !== null && listen !== '' && portOf(url) === portOf(listen)
    if (mustGoFirst) {
      this.#server = null
      await before?.stop()
    }
    try {
      this.#server = listen === '' ? null : await this.#open(listen)
    } catch (failure) {
      if (mustGoFirst) this.#server = await this.#reopen(url)
      throw failure
    }
    this.#listen = listen
    if (!mustGoFirst) await before?.stop()
  }

  /** Somebody else may have taken the port meanwhile; then there is no endpoint until the next change. */
  async #reopen(url: string): Promise<FiguresServer | null> {
    try {
      return await this.#open(url)
    } catch (error) {
      this.#options.log.warn({ url, error: messageOf(error) }, 'metrics.failed')
      this.#listen = ''
      return null
    }
  }

  async #open(listen: string): Promise<FiguresServer> {
    const { figures, log, version, isStopping } = this.#options
    const server = new FiguresServer({
      listen,
      log,
      title: 'openedge bridge',
      readiness: 'all rules are connected, on both ends',
      figures: () => new BridgeSeries(figures, version),
      isReady: () => (isStopping() ? 'the bridge is stopping' : unreadiness(figures())),
    })
    await server.start()
    return server
  }
}

import type { Service } from '../../common/index.ts'
import { type ControlOptions, ControlServer, LoopWatch, type ReloadAnswer } from '../../control/index.ts'
import type { Hub } from '../hub.ts'
import { ControlRoutes } from './control-routes.ts'

export interface HubControlOptions extends Pick<ControlOptions, 'path' | 'isAutomatic' | 'pointer' | 'log'> {
  readonly version: string
  readonly reload: () => Promise<ReloadAnswer>
}

/** The way in for commands to a hub. start() rejects as that of a ControlServer. */
export class HubControl implements Service {
  readonly name = 'control'
  readonly #server: ControlServer

  constructor(hub: Hub, { version, reload, ...options }: HubControlOptions) {
    const watch = new LoopWatch()
    const routes = new ControlRoutes(hub, watch, version, reload)
    this.#server = new ControlServer({
      ...options,
      kind: 'hub',
      routes: (method, url) => routes.reply(method, url),
      onStop: () => watch.close(),
    })
  }

  start(signal: AbortSignal): Promise<void> {
    return this.#server.start(signal)
  }

  stop(): Promise<void> {
    return this.#server.stop()
  }
}

import type { Logger } from '../common/index.ts'
import type { Client } from './client.ts'
import { Repeats } from './repeats.ts'
import type { HubState } from './state.ts'

/** Debug lines of what a client may cause at will: a few a minute of each kind and address, then only counted. */
export class ClientLog {
  readonly #log: Logger
  readonly #state: HubState
  readonly #repeats = new Repeats()

  constructor(log: Logger, state: HubState) {
    this.#log = log
    this.#state = state
  }

  debug(client: Client, event: string, fields: object): void {
    if (!this.#log.isLevelEnabled('debug')) return
    const { address } = client.peer
    const leftOut = this.#repeats.admit(`${event} ${address}`, this.#state.now)
    if (leftOut === null) return
    this.#log.debug({ clientId: client.id, address, ...fields, ...(leftOut > 0 && { leftOut }) }, event)
  }
}

import type { Logger } from '../common/index.ts'
import type { Client } from './client.ts'
import { ProtocolError } from './protocol-error.ts'
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

/** Tells listeners and the log of what went wrong with a client. */
export function reportClientError(client: Client, error: Error): void {
  const { hub } = client
  hub.state.counters.protocolErrors++
  hub.emit(client.id === null ? 'connectionError' : 'clientError', client, error)
  const reason = error instanceof ProtocolError ? error.problem : error.message
  hub.clientLog.debug(client, 'client.error', { reason })
}

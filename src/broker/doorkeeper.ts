import { setTimeout as sleep } from 'node:timers/promises'
import type { ConnectPacket } from 'aedes'
import { Authenticator, type AuthenticatorConfig, Principal, Throttle } from '../auth/index.ts'
import type { Client } from './client.ts'
import { ConnectRefused } from './protocol-error.ts'

/** The authenticator itself was too busy to look: no sign of a wrong password. */
const BUSY = 3

/** Finds out who CONNECT says to be, slowly for addresses that were wrong often. */
export class Doorkeeper {
  readonly #authenticator: Authenticator | null
  readonly #throttle = new Throttle({ clock: () => performance.now() })
  readonly #everyone = Principal.allowAll('')

  /** Without a configuration everybody is let in and may do everything. */
  constructor(config: AuthenticatorConfig | undefined) {
    this.#authenticator = config === undefined ? null : Authenticator.create(config)
  }

  /** Sets the client's principal; returns why it is refused, or null. */
  async identify(client: Client, packet: ConnectPacket): Promise<ConnectRefused | null> {
    if (this.#authenticator === null) {
      client.principal = this.#everyone
      return null
    }
    const { address, certificate } = client.peer
    // Asked again after every wait: of many that waited together the first to fail makes the others wait on.
    for (let delay = this.#delay(address); delay > 0 && !client.closed; delay = this.#delay(address))
      await sleep(delay, undefined, { ref: false })
    if (client.closed) return null
    const { username, password } = packet
    const verdict = await this.#authenticator.authenticate({ username, password, certificate })
    if ('principal' in verdict) {
      this.#throttle.succeeded(address)
      client.principal = verdict.principal
      return null
    }
    if (verdict.returnCode !== BUSY) this.#throttle.failed(address)
    return new ConnectRefused(verdict.returnCode, verdict.reason)
  }

  #delay(address: string): number {
    return this.#throttle.delayMs(address)
  }
}

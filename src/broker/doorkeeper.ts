import type { ConnectPacket } from 'aedes'
import { Authenticator, type AuthenticatorConfig, addressGroup, Principal, Throttle } from '../auth/index.ts'
import type { Client } from './client.ts'
import { ConnectRefused } from './protocol-error.ts'

/** The authenticator itself was too busy to look: no sign of a wrong password. */
const BUSY = 3
/** Credentials of one address that are looked at together, unless it has failed before: then one by one. */
const AT_ONCE = 4
const ASK_AGAIN_MS = 50

/** Finds out who CONNECT says to be, slowly for addresses that were wrong often. */
export class Doorkeeper {
  #authenticator: Authenticator | null
  readonly #throttle = new Throttle({ clock: () => performance.now() })
  readonly #everyone = Principal.allowAll('')
  /** Address group -> its attempts under way. */
  readonly #underWay = new Map<string, number>()

  /** Without a configuration everybody is let in and may do everything. */
  constructor(config: AuthenticatorConfig | undefined) {
    this.#authenticator = config === undefined ? null : Authenticator.create(config)
  }

  /** Everybody by name. */
  get principals(): ReadonlyMap<string, Principal> {
    return this.#authenticator?.principals ?? new Map()
  }

  /** What `use` takes. Throws an `ERR_AUTH_...` that names the principal which can't be used. */
  prepare(config: AuthenticatorConfig): Authenticator {
    return Authenticator.create(config, this.#authenticator === null ? {} : { previous: this.#authenticator })
  }

  /** Goes by these principals from now on. Who was wrong often is as slow as before. Returns the ones until now. */
  use(authenticator: Authenticator): Authenticator | null {
    const before = this.#authenticator
    this.#authenticator = authenticator
    return before
  }

  /** Sets the client's principal; returns why it is refused, or null. */
  async identify(client: Client, packet: ConnectPacket): Promise<ConnectRefused | null> {
    if (this.#authenticator === null) {
      client.principal = this.#everyone
      return null
    }
    const { address, certificate } = client.peer
    // Asked again after every wait: of many that waited together the first to fail makes the others wait on.
    for (let wait = this.#waitMs(address); wait > 0 && !client.closed; wait = this.#waitMs(address))
      await pause(client, wait)
    if (client.closed) return null
    const { username, password } = packet
    this.#count(address, 1)
    try {
      for (;;) {
        const authenticator: Authenticator = this.#authenticator
        const verdict = await authenticator.authenticate({ username, password, certificate })
        if (authenticator !== this.#authenticator) continue // it was asked of principals of the past
        if ('principal' in verdict) {
          this.#throttle.succeeded(address)
          client.principal = verdict.principal
          return null
        }
        if (verdict.returnCode !== BUSY) this.#throttle.failed(address)
        return new ConnectRefused(verdict.returnCode, verdict.reason)
      }
    } finally {
      this.#count(address, -1)
    }
  }

  #waitMs(address: string): number {
    const underWay = this.#underWay.get(addressGroup(address)) ?? 0
    const isFull = address !== '' && underWay >= (this.#throttle.isSuspect(address) ? 1 : AT_ONCE)
    return Math.max(this.#throttle.delayMs(address), isFull ? ASK_AGAIN_MS : 0)
  }

  #count(address: string, change: number): void {
    const group = addressGroup(address)
    const underWay = (this.#underWay.get(group) ?? 0) + change
    if (underWay === 0) this.#underWay.delete(group)
    else this.#underWay.set(group, underWay)
  }
}

/** Waits, but no longer than the client does. */
function pause(client: Client, ms: number): Promise<void> {
  return new Promise(resolve => {
    const done = (): void => {
      clearTimeout(timer)
      client.onEnd = null
      resolve()
    }
    const timer = setTimeout(done, ms)
    timer.unref()
    client.onEnd = done
  })
}

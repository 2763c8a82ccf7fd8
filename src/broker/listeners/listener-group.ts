import { GatewayError, messageOf, type Service } from '../../common/index.ts'
import type { ListenAddress } from '../../config/index.ts'
import type { Listener, ListenerOptions, TlsMaterial } from './listener.ts'
import { type CreateListener, Opening } from './opening.ts'
import { requireMaterial } from './socket-listener.ts'
import { isSameMaterial } from './tls-material.ts'

/**
 * Other listeners that are open already, beside those that were: who comes to them waits. One of its methods is called,
 * once.
 */
export interface ListenerChange {
  /**
   * The new ones stay, and serve from the turn of the call on; those that are no longer wanted are closed, without the
   * connections that came in by them.
   */
  commit(): Promise<void>
  /** The new ones are closed, with who waits there; all is as before. Rejects when it can't be. */
  rollBack(): Promise<void>
}

/** Several listeners that are opened as a whole: all of them, or none. */
export class ListenerGroup implements Service {
  readonly name = 'listeners'
  readonly #options: ListenerOptions
  readonly #create: CreateListener
  readonly #opening: Opening
  #listeners: readonly Listener[]
  #material: TlsMaterial | undefined
  /** Connections turned away by listeners that are closed now. */
  #refused = 0

  constructor(addresses: readonly ListenAddress[], options: ListenerOptions, create: CreateListener) {
    this.#options = options
    this.#create = create
    this.#opening = new Opening(addresses, options, create)
    this.#listeners = this.#opening.listeners
    this.#material = options.tls
  }

  /** The addresses as bound, in the order of the configuration. */
  get urls(): string[] {
    return this.#listeners.map(listener => listener.url)
  }

  /** Connections turned away because of a limit, since the start. */
  get refused(): number {
    return this.#listeners.reduce((sum, listener) => sum + listener.refused, this.#refused)
  }

  /** Rejects with a GatewayError that names the address which could not be bound. Nothing is open then. */
  async start(signal: AbortSignal): Promise<void> {
    await this.#opening.start(signal)
    this.#opening.keep()
  }

  /** Closes the ports. Connections that were handed over stay. */
  async stop(): Promise<void> {
    for (const listener of this.#listeners.toReversed()) await listener.stop()
  }

  /** Uses other key and certificates for new TLS connections. */
  setMaterial(material: TlsMaterial): void {
    this.#material = material
    for (const listener of this.#listeners) listener.setMaterial(material)
  }

  /**
   * Opens what is new among `addresses`. Those that are there already are left alone, but for new connections get other
   * key and certificates once the change is committed. What has to make room for a new one
   * is closed first, and opened again when it was in vain; so is what has one of the `coveted` ports and is not wanted
   * any more. Rejects with a GatewayError that names the address at fault.
   */
  async prepare(
    addresses: readonly ListenAddress[],
    material: TlsMaterial | undefined,
    signal: AbortSignal,
    coveted: readonly number[] = [],
  ): Promise<ListenerChange> {
    for (const address of addresses) if (isSecure(address)) requireMaterial(address, material)
    const { kept, added, removed } = this.#compare(addresses)
    const options = { ...this.#options, ...(material !== undefined && { tls: material }) }
    const opening = new Opening(added, options, this.#create)
    const wanted = [...coveted, ...added.map(({ port }) => port)]
    const inTheWay = removed.filter(({ port }) => port > 0 && wanted.includes(port))
    for (const listener of inTheWay) await listener.stop()
    try {
      await opening.start(signal)
    } catch (failure) {
      await this.#openAgain(inTheWay, failure)
      throw failure
    }
    return {
      commit: async () => {
        const opened = new Map(added.map((address, i) => [address, opening.listeners[i] as Listener]))
        this.#listeners = addresses.map(address => kept.get(address) ?? (opened.get(address) as Listener))
        const isOther = material !== undefined && !isSameMaterial(material, this.#material)
        this.#material = material
        opening.keep()
        for (const { refused } of removed) this.#refused += refused
        try {
          if (isOther) for (const listener of kept.values()) listener.setMaterial(material)
        } finally {
          for (const listener of removed) await listener.stop()
        }
      },
      rollBack: async () => {
        await opening.undo()
        await this.#openAgain(inTheWay, null)
      },
    }
  }

  /** The ports, known beforehand, that would be opened, and those that would be closed, for these addresses. */
  portsFor(addresses: readonly ListenAddress[]): { opened: number[]; closed: number[] } {
    const { added, removed } = this.#compare(addresses)
    const known = (ports: number[]): number[] => ports.filter(port => port > 0)
    return { opened: known(added.map(({ port }) => port)), closed: known(removed.map(({ port }) => port)) }
  }

  /** Which addresses have a listener, which need one, and which listeners have no address any more. */
  #compare(addresses: readonly ListenAddress[]): {
    kept: Map<ListenAddress, Listener>
    added: ListenAddress[]
    removed: Listener[]
  } {
    const removed = [...this.#listeners]
    const kept = new Map<ListenAddress, Listener>()
    const added: ListenAddress[] = []
    for (const address of addresses) {
      const at = removed.findIndex(listener => isSame(listener.address, address))
      const [listener] = at < 0 ? [] : removed.splice(at, 1)
      if (listener === undefined) added.push(address)
      else kept.set(address, listener)
    }
    return { kept, added, removed }
  }

  /** What can't be opened again is no longer ours. */
  async #openAgain(listeners: readonly Listener[], cause: unknown): Promise<void> {
    const lost: string[] = []
    for (const listener of listeners) {
      try {
        await listener.start(new AbortController().signal)
      } catch (failure) {
        lost.push(messageOf(failure))
        this.#refused += listener.refused
        this.#listeners = this.#listeners.filter(each => each !== listener)
        this.#options.log.error({ listener: listener.url, err: failure }, 'listener.lost')
      }
    }
    if (lost.length === 0) return
    const reason = cause === null ? '' : `${messageOf(cause)}; `
    throw new GatewayError('ERR_LISTEN_LOST', `${reason}a listener that made room is closed now: ${lost.join('; ')}`, {
      cause,
    })
  }
}

function isSame(one: ListenAddress, other: ListenAddress): boolean {
  return one.scheme === other.scheme && one.host === other.host && one.port === other.port && one.path === other.path
}

function isSecure({ scheme }: ListenAddress): boolean {
  return scheme === 'tls' || scheme === 'wss'
}

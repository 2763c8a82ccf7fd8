import type { Duplex } from 'node:stream'
import { type Service, ServiceGroup } from '../../common/index.ts'
import type { ListenAddress } from '../../config/index.ts'
import type { Accept } from '../transport.ts'
import type { Listener, ListenerOptions, TlsMaterial } from './listener.ts'

/** Several listeners that are opened as a whole: all of them, or none. */
export class ListenerGroup implements Service {
  readonly name = 'listeners'
  readonly listeners: readonly Listener[]
  readonly #group: ServiceGroup
  /** What came in before all listeners were open. Null when there is nothing to take back any more. */
  #early: Set<Duplex> | null = new Set()

  constructor(
    addresses: readonly ListenAddress[],
    options: ListenerOptions,
    create: (address: ListenAddress, options: ListenerOptions) => Listener,
  ) {
    const accept: Accept = (stream, peer, request) => {
      this.#early?.add(stream)
      options.accept(stream, peer, request)
    }
    this.listeners = addresses.map(address => create(address, { ...options, accept }))
    this.#group = new ServiceGroup(this.name, this.listeners)
  }

  /** The addresses as bound, in the order of the configuration. */
  get urls(): string[] {
    return this.listeners.map(listener => listener.url)
  }

  /** Connections turned away because of a limit, since the start. */
  get refused(): number {
    return this.listeners.reduce((sum, listener) => sum + listener.refused, 0)
  }

  /** Rejects with a GatewayError that names the address which could not be bound. Nothing is open then. */
  async start(signal: AbortSignal): Promise<void> {
    try {
      await this.#group.start(signal)
    } catch (failure) {
      for (const stream of this.#early ?? []) stream.destroy()
      throw failure
    } finally {
      this.#early = null
    }
  }

  /** Closes the ports. Connections that were handed over stay. */
  async stop(): Promise<void> {
    await this.#group.stop()
  }

  /** Uses other key and certificates for new TLS connections. */
  setMaterial(material: TlsMaterial): void {
    for (const listener of this.listeners) listener.setMaterial(material)
  }
}

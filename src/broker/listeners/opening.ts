import type { Duplex } from 'node:stream'
import { ServiceGroup } from '../../common/index.ts'
import type { ListenAddress } from '../../config/index.ts'
import type { Accept } from '../transport.ts'
import type { Listener, ListenerOptions } from './listener.ts'

export type CreateListener = (address: ListenAddress, options: ListenerOptions) => Listener

/** Listeners that are opened as a whole. Until they are kept, what they have accepted can be taken back. */
export class Opening {
  /** One for each address, in their order. */
  readonly listeners: readonly Listener[]
  readonly #group: ServiceGroup
  /** What came in so far. Null when there is nothing to take back any more. */
  #early: Set<Duplex> | null = new Set()

  /** Throws, with nothing open, when an address can't be served whatever happens. */
  constructor(addresses: readonly ListenAddress[], options: ListenerOptions, create: CreateListener) {
    const accept: Accept = (stream, peer, request) => {
      this.#early?.add(stream)
      options.accept(stream, peer, request)
    }
    this.listeners = addresses.map(address => create(address, { ...options, accept }))
    this.#group = new ServiceGroup('listeners', this.listeners)
  }

  /** Rejects with a GatewayError that names the address which could not be bound. Nothing is open then. */
  async start(signal: AbortSignal): Promise<void> {
    try {
      await this.#group.start(signal)
    } catch (failure) {
      this.#takeBack()
      throw failure
    }
  }

  /** All of them stay. */
  keep(): void {
    this.#early = null
  }

  /** Closes them and all connections that came in by them. */
  async undo(): Promise<void> {
    await this.#group.stop()
    this.#takeBack()
  }

  #takeBack(): void {
    for (const stream of this.#early ?? []) stream.destroy()
    this.#early = null
  }
}

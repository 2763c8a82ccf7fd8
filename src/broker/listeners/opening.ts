import type { Socket } from 'node:net'
import { type Logger, ServiceGroup } from '../../common/index.ts'
import type { ListenAddress } from '../../config/index.ts'
import type { Gate, Listener, ListenerOptions } from './listener.ts'

export type CreateListener = (address: ListenAddress, options: ListenerOptions) => Listener

/** Sockets that may wait; more are refused. */
const MOST_HELD = 1024

/** Listeners that are opened as a whole. Until they are kept, what comes to them waits: it may have come in vain. */
export class Opening {
  /** One for each address, in their order. */
  readonly listeners: readonly Listener[]
  readonly #group: ServiceGroup
  readonly #log: Logger
  /** What came so far, and where it goes on. Null when nothing has to wait any more. */
  #held: Map<Socket, () => void> | null = new Map()

  /** Throws, with nothing open, when an address can't be served whatever happens. */
  constructor(addresses: readonly ListenAddress[], options: ListenerOptions, create: CreateListener) {
    this.#log = options.log
    const gate: Gate = { hold: (socket, enter) => this.#hold(socket, enter) }
    this.listeners = addresses.map(address => create(address, { ...options, gate }))
    this.#group = new ServiceGroup('listeners', this.listeners)
  }

  /** Rejects with a GatewayError that names the address which could not be bound. Nothing is open then. */
  async start(signal: AbortSignal): Promise<void> {
    try {
      await this.#group.start(signal)
    } catch (failure) {
      this.#turnAway()
      throw failure
    }
  }

  /** All of them stay, and who waits comes in. */
  keep(): void {
    const held = this.#held ?? new Map<Socket, () => void>()
    this.#held = null
    for (const [socket, enter] of held) {
      try {
        enter()
      } catch (error) {
        this.#log.error({ error }, 'listener.accept_threw')
        socket.destroy()
      }
    }
  }

  /** Closes them and all connections that came to them. */
  async undo(): Promise<void> {
    await this.#group.stop()
    this.#turnAway()
  }

  #hold(socket: Socket, enter: (socket: Socket) => void): 'held' | 'open' | 'full' {
    const held = this.#held
    if (held === null) return 'open'
    if (held.size >= MOST_HELD) return 'full'
    const forget = (): void => void held.delete(socket)
    socket.once('close', forget)
    held.set(socket, () => {
      socket.off('close', forget)
      enter(socket)
    })
    return 'held'
  }

  #turnAway(): void {
    const held = this.#held ?? new Map<Socket, () => void>()
    this.#held = null
    for (const socket of held.keys()) socket.destroy()
  }
}

import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/**
 * The connections of a small server, up to a limit. Whoever keeps them open without asking anything does not lock others
 * out: one that is idle makes way for a new one, that which was so for longest.
 */
export class HttpConnections {
  readonly #limit: number
  /** Those that had something to do last come last. */
  readonly #sockets = new Set<Socket>()
  /** Requests under way. */
  readonly #asking = new Map<Socket, number>()

  constructor(server: Server, limit: number) {
    this.#limit = limit
    server.on('connection', socket => this.#admit(socket))
  }

  /** A request has come; whoever answers says when the answer is on its way, however slowly it is read. */
  asked(socket: Socket): void {
    this.#asking.set(socket, (this.#asking.get(socket) ?? 0) + 1)
  }

  answered(socket: Socket): void {
    const left = (this.#asking.get(socket) ?? 0) - 1
    if (left > 0) this.#asking.set(socket, left)
    else this.#asking.delete(socket)
    if (this.#sockets.delete(socket)) this.#sockets.add(socket)
  }

  #admit(socket: Socket): void {
    if (this.#sockets.size >= this.#limit && !this.#dropIdle()) {
      socket.destroy()
      return
    }
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#asking.delete(socket)
    })
  }

  #dropIdle(): boolean {
    for (const socket of this.#sockets) {
      if (this.#asking.has(socket)) continue
      this.#sockets.delete(socket)
      socket.destroy()
      return true
    }
    return false
  }
}

import type { Socket } from 'node:net'

interface Handshake {
  readonly socket: Socket
  readonly address: string
  readonly deadline: number
  readonly onClose: () => void
  problem: string | null
}

/**
 * Sockets between arrival and hand-over. All have the same time for everything; who is late is cut off. They are known
 * by their end points, because a TLS socket does not tell which socket it was made of.
 */
export class Handshakes {
  /** In the order of arrival, and so of deadlines. */
  readonly #open = new Map<string, Handshake>()
  readonly #timeoutMs: number
  readonly #onFailed: (address: string, problem: string) => void
  #timer: NodeJS.Timeout | null = null

  /** `onFailed` is called once for each socket that closes before it is taken. */
  constructor(timeoutMs: number, onFailed: (address: string, problem: string) => void) {
    this.#timeoutMs = timeoutMs
    this.#onFailed = onFailed
  }

  get size(): number {
    return this.#open.size
  }

  /** False when the socket is closed already. */
  add(socket: Socket): boolean {
    const key = keyOf(socket)
    const address = socket.remoteAddress
    if (key === null || address === undefined || socket.destroyed) return false
    const deadline = performance.now() + this.#timeoutMs
    const handshake: Handshake = {
      socket,
      address,
      deadline,
      onClose: () => this.#onClose(key, handshake),
      problem: null,
    }
    this.#open.delete(key)
    this.#open.set(key, handshake)
    socket.once('close', handshake.onClose)
    this.#timer ??= setTimeout(this.#sweep, this.#timeoutMs).unref()
    return true
  }

  /** Says why a socket, or what was made of it, is about to be closed. The first reason counts. */
  report(socket: Socket, problem: string): void {
    const handshake = this.#open.get(keyOf(socket) ?? '')
    if (handshake !== undefined) handshake.problem ??= problem
  }

  /** Ends the wait of a socket, or of what was made of it. False when its time was up or it is closed. */
  take(socket: Socket): boolean {
    const key = keyOf(socket)
    const handshake = key === null ? undefined : this.#open.get(key)
    if (key === null || handshake === undefined || handshake.socket.destroyed) return false
    this.#open.delete(key)
    handshake.socket.off('close', handshake.onClose)
    return true
  }

  /** Cuts all off. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    for (const { socket, onClose } of this.#open.values()) socket.off('close', onClose).destroy()
    this.#open.clear()
  }

  readonly #sweep = (): void => {
    this.#timer = null
    const now = performance.now()
    for (const handshake of this.#open.values()) {
      if (handshake.deadline > now) {
        this.#timer = setTimeout(this.#sweep, handshake.deadline - now).unref()
        return
      }
      handshake.problem ??= 'it took too long'
      handshake.socket.destroy()
    }
  }

  #onClose(key: string, handshake: Handshake): void {
    if (this.#open.get(key) === handshake) this.#open.delete(key)
    this.#onFailed(handshake.address, handshake.problem ?? 'the peer left')
  }
}

/** A connection's end points, null once it is closed. */
function keyOf(socket: Socket): string | null {
  const { remoteAddress, remotePort, localAddress } = socket
  return remoteAddress === undefined ? null : `${remoteAddress} ${remotePort} ${localAddress}`
}

import { once } from 'node:events'
import net from 'node:net'

interface Chunk {
  dueAt: number
  /** Null: the end of the stream. */
  bytes: Buffer | null
}

/** A TCP proxy that holds back every byte for some time, in each direction, and keeps their order. */
export class DelayLine {
  readonly #server: net.Server
  readonly #sockets = new Set<net.Socket>()

  private constructor(targetPort: number, delayMs: number, port: number) {
    this.#server = net.createServer({ noDelay: true, allowHalfOpen: true }, near => {
      const far = net.connect({ host: '127.0.0.1', port: targetPort, noDelay: true, allowHalfOpen: true })
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(socket)
        // An end without a goodbye is passed on as one.
        socket.on('error', () => other.destroy())
        socket.on('close', () => this.#sockets.delete(socket))
      }
      delay(near, far, delayMs)
      delay(far, near, delayMs)
    })
    this.#server.listen(port, '127.0.0.1')
  }

  /** Leads from this port, or a free one, to the target. */
  static async open(targetPort: number, delayMs: number, port = 0): Promise<DelayLine> {
    const line = new DelayLine(targetPort, delayMs, port)
    await once(line.#server, 'listening')
    return line
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

function delay(from: net.Socket, to: net.Socket, delayMs: number): void {
  const held: Chunk[] = []
  let timer: NodeJS.Timeout | null = null
  const release = (): void => {
    timer = null
    const now = performance.now()
    while (held[0] !== undefined && held[0].dueAt <= now) {
      const { bytes } = held.shift() as Chunk
      if (bytes === null) to.end()
      else to.write(bytes)
    }
    if (held[0] !== undefined) timer = setTimeout(release, held[0].dueAt - now)
  }
  const hold = (bytes: Buffer | null): void => {
    held.push({ dueAt: performance.now() + delayMs, bytes })
    timer ??= setTimeout(release, delayMs)
  }
  from.on('data', hold)
  from.on('end', () => hold(null))
  to.on('close', () => {
    if (timer !== null) clearTimeout(timer)
  })
}

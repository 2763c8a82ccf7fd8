/** A network that can fail, between a client and a server on loopback. */
import { once } from 'node:events'
import net from 'node:net'

/**
 * `pass`: bytes go through. `cut`: connections are reset, new ones are refused. `half-open`: nothing goes through in either
 * direction, and nobody is told; new connections are accepted and hear nothing. When it passes again, what was held goes on.
 */
export type NetworkMode = 'pass' | 'cut' | 'half-open'

export interface TcpProxyOptions {
  /** The port of the server on 127.0.0.1 as it is when a connection comes; null: there is none now, connections are reset. */
  readonly target: () => number | null
  /** Where the proxy listens. Default: a free port. */
  readonly port?: number
  /** Milliseconds that bytes take each way. Default 0. */
  readonly delayMs?: number
}

/** What one direction holds at most before it stops to read. */
const MAX_HELD = 32 * 1024 * 1024

/** One direction of one connection: bytes come out in order, each `delay` after it went in. */
class OneWay {
  readonly #from: net.Socket
  readonly #to: net.Socket
  readonly #delay: () => number
  /** A chunk, or null for the end, and when it is due. */
  readonly #held: { readonly chunk: Buffer | null; readonly at: number }[] = []
  #bytes = 0
  #timer: NodeJS.Timeout | null = null
  #isFrozen = false

  constructor(from: net.Socket, to: net.Socket, delay: () => number) {
    this.#from = from
    this.#to = to
    this.#delay = delay
    from.on('data', chunk => this.#take(chunk))
    from.on('end', () => this.#take(null))
    to.on('drain', () => this.#pump())
  }

  freeze(): void {
    this.#isFrozen = true
    this.#from.pause()
    this.stop()
  }

  thaw(): void {
    this.#isFrozen = false
    this.#from.resume()
    this.#pump()
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #take(chunk: Buffer | null): void {
    this.#held.push({ chunk, at: performance.now() + this.#delay() })
    this.#bytes += chunk?.length ?? 0
    if (this.#bytes > MAX_HELD) this.#from.pause()
    this.#pump()
  }

  #pump(): void {
    if (this.#isFrozen || this.#timer !== null) return
    const now = performance.now()
    let count = 0
    for (const { chunk, at } of this.#held) {
      if (this.#to.destroyed || this.#to.writableNeedDrain) break
      if (at > now) {
        this.#timer = setTimeout(
          () => {
            this.#timer = null
            this.#pump()
          },
          Math.ceil(at - now),
        )
        break
      }
      count++
      this.#bytes -= chunk?.length ?? 0
      if (chunk === null) this.#to.end()
      else this.#to.write(chunk)
    }
    this.#held.splice(0, count)
    if (count > 0 && this.#bytes <= MAX_HELD) this.#from.resume()
  }
}

/** A connection of the client and the one to the server that belongs to it. */
class Pair {
  readonly #near: net.Socket
  readonly #far = new net.Socket({ allowHalfOpen: true })
  readonly #ways: readonly [OneWay, OneWay]
  readonly #target: () => number | null
  #isDialled = false

  constructor(near: net.Socket, target: () => number | null, delay: () => number, onGone: (pair: Pair) => void) {
    this.#near = near
    this.#target = target
    this.#ways = [new OneWay(near, this.#far, delay), new OneWay(this.#far, near, delay)]
    let open = 2
    for (const [socket, other] of [
      [near, this.#far],
      [this.#far, near],
    ] as const) {
      socket.setNoDelay(true)
      socket.on('error', () => cut(other))
      socket.on('close', hadError => {
        // After an end the other side may still have to say something.
        if (hadError && !other.destroyed) cut(other)
        if (--open > 0 && this.#isDialled) return
        for (const way of this.#ways) way.stop()
        onGone(this)
      })
    }
  }

  freeze(): void {
    for (const way of this.#ways) way.freeze()
  }

  /** Goes on, or begins. */
  thaw(): void {
    if (this.#near.destroyed) return // reset a moment ago
    if (!this.#isDialled) {
      const port = this.#target()
      if (port === null) {
        this.reset()
        return
      }
      this.#isDialled = true
      this.#far.connect({ host: '127.0.0.1', port })
    }
    for (const way of this.#ways) way.thaw()
  }

  reset(): void {
    cut(this.#near)
    cut(this.#far)
  }
}

/** Listens on loopback and passes connections on, as long as it is told to. */
export class TcpProxy {
  readonly port: number
  /** Milliseconds that bytes take each way. A change holds for what comes from now on. */
  delayMs: number
  /** Connections that were accepted so far. */
  accepted = 0
  readonly #target: () => number | null
  readonly #pairs = new Set<Pair>()
  #server: net.Server
  #mode: NetworkMode = 'pass'

  private constructor(server: net.Server, { target, delayMs = 0 }: TcpProxyOptions) {
    this.#server = server
    this.#target = target
    this.delayMs = delayMs
    this.port = (server.address() as net.AddressInfo).port
    server.on('connection', socket => this.#accept(socket))
  }

  /** Begins in the mode `pass`. Who calls closes it. */
  static async listen(options: TcpProxyOptions): Promise<TcpProxy> {
    return new TcpProxy(await listening(options.port ?? 0), options)
  }

  get mode(): NetworkMode {
    return this.#mode
  }

  /** Connections that stand. */
  get connections(): number {
    return this.#pairs.size
  }

  async setMode(mode: NetworkMode): Promise<void> {
    const before = this.#mode
    if (mode === before) return
    this.#mode = mode
    if (mode === 'cut') {
      await this.close()
      return
    }
    if (before === 'cut') {
      this.#server = await listening(this.port)
      this.#server.on('connection', socket => this.#accept(socket))
    }
    for (const pair of this.#pairs) {
      if (mode === 'pass') pair.thaw()
      else pair.freeze()
    }
  }

  /** Resets all connections that stand; new ones are accepted. */
  resetAll(): void {
    for (const pair of this.#pairs) pair.reset()
  }

  /** Ends everything; a later setMode('pass') listens again. */
  async close(): Promise<void> {
    this.#mode = 'cut'
    this.resetAll()
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }

  #accept(socket: net.Socket): void {
    if (this.#mode === 'cut') {
      cut(socket)
      return
    }
    this.accepted++
    const pair = new Pair(
      socket,
      this.#target,
      () => this.delayMs,
      gone => this.#pairs.delete(gone),
    )
    this.#pairs.add(pair)
    if (this.#mode === 'pass') pair.thaw()
    else pair.freeze()
  }
}

async function listening(port: number): Promise<net.Server> {
  const server = net.createServer({ allowHalfOpen: true }).listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}

const FIXED_FROM = 20_000
const FIXED_TO = 30_000

/**
 * A port for a server that goes away and comes back: below those that systems give to outgoing connections, so that
 * nobody gets it in between.
 */
export async function fixedPort(): Promise<number> {
  for (let tries = 0; tries < 50; tries++) {
    const port = FIXED_FROM + Math.floor(Math.random() * (FIXED_TO - FIXED_FROM))
    try {
      const server = await listening(port)
      server.close()
      await once(server, 'close')
      return port
    } catch {
      // taken: another one
    }
  }
  throw new Error(`no free port from ${FIXED_FROM} to ${FIXED_TO}`)
}

/**
 * Ends a connection with RST. Not where FIN is on its way: Node.js marks such a socket as closed without closing it, and the
 * process waits for it for ever when it ends.
 */
function cut(socket: net.Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

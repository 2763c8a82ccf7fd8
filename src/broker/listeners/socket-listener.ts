import type { IncomingMessage } from 'node:http'
import { createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { addressGroup } from '../../auth/index.ts'
import { GatewayError, type Logger, messageOf } from '../../common/index.ts'
import type { ListenAddress } from '../../config/index.ts'
import { Repeats } from '../repeats.ts'
import { bind } from './bind.ts'
import { Burst } from './burst.ts'
import { Handshakes } from './handshakes.ts'
import type { Deliver, Listener, ListenerOptions, Report, Stage, TlsMaterial } from './listener.ts'
import { SocketPeer } from './peer.ts'

const HANDSHAKE_TIMEOUT_MS = 10_000
const MAX_HANDSHAKES = 1024
/** Silence after which the kernel asks whether the other end still exists: it may have chosen no keep alive of MQTT. */
const TCP_KEEP_ALIVE_MS = 60_000

/** Makes the stage of a listener, or none when a socket can be handed over as it comes. */
export type CreateStage = (deliver: Deliver, report: Report) => Stage

/** A bound socket, its limits, and the stage that new connections go through. */
export class SocketListener implements Listener {
  readonly name: string
  readonly address: ListenAddress
  readonly #options: ListenerOptions
  readonly #log: Logger
  readonly #stage: Stage | null
  readonly #handshakes: Handshakes
  readonly #maxHandshakes: number
  readonly #refusals = new Burst()
  readonly #acceptFailures = new Burst()
  readonly #failedHandshakes = new Repeats()
  #server: Server | null = null
  /** With the port that it had when it was started before. */
  #place: ListenAddress
  #url: string
  #refused = 0

  constructor(address: ListenAddress, options: ListenerOptions, createStage: CreateStage | null) {
    this.name = `listener ${address.url}`
    this.address = address
    this.#place = address
    this.#url = address.url
    this.#options = options
    this.#log = options.log
    this.#maxHandshakes = options.maxHandshakes ?? MAX_HANDSHAKES
    this.#handshakes = new Handshakes(options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS, this.#onHandshakeFailed)
    const report: Report = (socket, problem) => this.#handshakes.report(socket, problem)
    this.#stage = createStage === null ? null : createStage(this.#deliverStaged, report)
  }

  get url(): string {
    return this.#url
  }

  get port(): number {
    return this.#place.port
  }

  get refused(): number {
    return this.#refused
  }

  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const options = { noDelay: true, keepAlive: true, keepAliveInitialDelay: TCP_KEEP_ALIVE_MS }
    const server = createServer(options, this.#onSocket)
    this.#url = await bind(server, this.#place)
    const bound = server.address()
    if (bound !== null && typeof bound === 'object') this.#place = { ...this.address, port: bound.port }
    server.on('error', this.#onAcceptFailure)
    this.#server = server
    if (signal.aborted) {
      await this.stop()
      signal.throwIfAborted()
    }
    this.#log.info({ listener: this.#url }, 'listener.started')
  }

  async stop(): Promise<void> {
    const server = this.#server
    if (server === null) return
    this.#server = null
    // The port is free when this returns. The callback would wait for all connections, which others own.
    server.close()
    this.#handshakes.close()
    this.#stage?.close?.()
    await new Promise(resolve => setImmediate(resolve))
    this.#log.info({ listener: this.#url }, 'listener.stopped')
  }

  setMaterial(material: TlsMaterial): void {
    this.#stage?.setMaterial?.(material)
  }

  readonly #onSocket = (socket: Socket): void => {
    socket.on('error', ignore)
    if (this.#server === null) {
      socket.destroy()
      return
    }
    const answer = this.#options.gate?.hold(socket, this.#enter) ?? 'open'
    if (answer === 'open') this.#enter(socket)
    else if (answer === 'full') this.#refuse(socket)
  }

  readonly #enter = (socket: Socket): void => {
    if (this.#server === null) {
      socket.destroy()
    } else if (!this.#options.maxConnections() || this.#handshakes.size >= this.#maxHandshakes) {
      this.#refuse(socket)
    } else if (this.#stage === null) {
      this.#deliver(socket, socket)
    } else if (this.#handshakes.add(socket)) {
      this.#stage.open(socket)
    } else {
      socket.destroy()
    }
  }

  readonly #deliverStaged: Deliver = (stream, socket, request) => {
    if (stream !== socket) stream.on('error', ignore)
    if (!this.#handshakes.take(socket)) stream.destroy()
    else if (this.#options.maxConnections()) this.#deliver(stream, socket, request)
    else this.#refuse(stream)
  }

  #deliver(stream: Duplex, socket: Socket, request?: IncomingMessage): void {
    const peer = new SocketPeer(this.address.scheme, this.#url, socket)
    try {
      if (request === undefined) this.#options.accept(stream, peer)
      else this.#options.accept(stream, peer, request)
    } catch (failure) {
      this.#log.error({ listener: this.#url, address: peer.address, error: failure }, 'listener.accept_threw')
      stream.destroy()
    }
  }

  #refuse(stream: Duplex): void {
    stream.destroy()
    this.#refused++
    const count = this.#refusals.hit()
    if (count > 0) this.#log.warn({ listener: this.#url, count, refused: this.#refused }, 'listener.refused')
  }

  /**
   * The kernel could not give us a connection; listening goes on. Out of file descriptors Node.js mostly spares us
   * this and turns connections away itself.
   */
  readonly #onAcceptFailure = (failure: Error): void => {
    const count = this.#acceptFailures.hit()
    if (count > 0) this.#log.error({ listener: this.#url, count, error: messageOf(failure) }, 'listener.accept_failed')
  }

  readonly #onHandshakeFailed = (address: string, error: string): void => {
    if (!this.#log.isLevelEnabled('debug')) return
    // By group: whoever has an IPv6 network would else have an address for each line.
    const leftOut = this.#failedHandshakes.admit(addressGroup(address), performance.now())
    if (leftOut === null) return
    const fields = { listener: this.#url, address, error, ...(leftOut > 0 && { leftOut }) }
    this.#log.debug(fields, 'listener.handshake_failed')
  }
}

/** For streams: an error closes them, and 'close' is what everybody waits for. Unheard it would end the process. */
function ignore(): void {}

/** For schemes that can't be used without key and certificate. */
export function requireMaterial(address: ListenAddress, material: TlsMaterial | undefined): TlsMaterial {
  if (material !== undefined) return material
  throw new GatewayError(
    'ERR_LISTEN_CERTIFICATE_MISSING',
    `can't listen on ${address.url}: TLS needs certificate.key and certificate.cert in the configuration`,
  )
}

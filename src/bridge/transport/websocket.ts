import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import { GatewayError, messageOf } from '../../common/index.ts'
import type { Attempt } from './attempt.ts'
import { UpgradeRefused, WebSocketClosed } from './problems.ts'

/** What MQTT calls itself [MQTT-6.0.0-3]. */
const SUBPROTOCOL = 'mqtt'
/** How long the peer has for its part of the closing handshake. */
const CLOSE_TIMEOUT_MS = 5000
const BINARY = { binary: true, compress: false, fin: true }
/** Closing codes without a complaint: done, going away, none given, cut off. */
const PLAIN_CLOSES: ReadonlySet<number> = new Set([1000, 1001, 1005, 1006])

/** A WebSocket over a connection that stands. `url`: `ws:` or `wss:`, for its host and path. */
export function openWebSocket(attempt: Attempt, socket: Socket, url: string, maxFrameBytes: number): Promise<Duplex> {
  attempt.enter('websocket')
  return new Promise((resolve, reject) => {
    const options = {
      createConnection: () => socket,
      perMessageDeflate: false,
      followRedirects: false,
      maxPayload: maxFrameBytes,
      closeTimeout: CLOSE_TIMEOUT_MS,
    }
    const ws = new WebSocket(url, [SUBPROTOCOL], options)
    ws.on('error', reject)
    ws.on('close', () => reject(new Error('it was closed')))
    ws.on('unexpected-response', (_request: ClientRequest, { statusCode, statusMessage, headers }: IncomingMessage) => {
      reject(new UpgradeRefused(statusCode ?? 0, statusMessage ?? '', headers.location ?? ''))
    })
    ws.on('open', () => resolve(attempt.own(new WebSocketStream(ws, socket))))
  })
}

/**
 * A WebSocket as a stream of bytes: how these are cut into messages means nothing [MQTT-6.0.0-2]. A write is done when
 * the socket below has passed it on. `end` says goodbye, `destroy` cuts at once.
 */
class WebSocketStream extends Duplex {
  readonly #ws: WebSocket
  readonly #socket: Socket
  /** Messages given to the socket that it has not reported as sent. */
  #unsent = 0
  /** Of the write that waits for them. */
  #written: ((failure?: Error | null) => void) | null = null
  /** The peer is being told what it did wrong; the library cuts after that. */
  #isExplaining = false

  constructor(ws: WebSocket, socket: Socket) {
    super({ allowHalfOpen: false })
    this.#ws = ws
    this.#socket = socket
    ws.on('message', (data, isBinary) => this.#onMessage(data as Buffer, isBinary))
    ws.on('error', failure => this.#onViolation(messageOf(failure), failure))
    ws.on('close', (code, reason) => this.#onClose(code, reason))
    // The library keeps these to itself.
    socket.on('error', failure => this.destroy(failure))
  }

  override _read(): void {
    if (this.#ws.isPaused) this.#ws.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (failure?: Error | null) => void): void {
    if (!this.#isOpen(callback)) return
    this.#send(chunk)
    this.#await(callback)
  }

  override _writev(
    chunks: { chunk: Buffer; encoding: BufferEncoding }[],
    callback: (failure?: Error | null) => void,
  ): void {
    if (!this.#isOpen(callback)) return
    this.#socket.cork()
    for (const { chunk } of chunks) this.#send(chunk)
    this.#socket.uncork()
    this.#await(callback)
  }

  override _final(callback: () => void): void {
    this.#ws.close(1000)
    callback()
  }

  override _destroy(failure: Error | null, callback: (failure: Error | null) => void): void {
    if (!this.#isExplaining) this.#ws.terminate()
    callback(failure)
  }

  #isOpen(callback: (failure: Error) => void): boolean {
    if (this.#ws.readyState === WebSocket.OPEN) return true
    callback(Object.assign(new Error('the peer has closed the WebSocket'), { code: 'EPIPE' }))
    return false
  }

  #send(chunk: Buffer): void {
    this.#unsent++
    this.#ws.send(chunk, BINARY, this.#onSent)
  }

  /** Most often the kernel has taken everything by now, and the write is done without another turn. */
  #await(callback: (failure?: Error | null) => void): void {
    if (this.#socket.writableLength === 0) callback()
    else this.#written = callback
  }

  readonly #onSent = (failure?: Error | null): void => {
    this.#unsent--
    const written = this.#written
    if (written === null || (this.#unsent > 0 && !failure)) return
    this.#written = null
    written(failure)
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    if (this.destroyed) return
    if (!isBinary) {
      this.#ws.close(1003, 'MQTT needs binary frames') // [MQTT-6.0.0-1]
      this.#onViolation('it sent a text frame [MQTT-6.0.0-1]')
    } else if (data.length > 0 && !this.push(data)) {
      this.#ws.pause()
    }
  }

  #onViolation(problem: string, cause?: Error): void {
    this.#isExplaining = this.#ws.readyState === WebSocket.CLOSING
    const message = `it broke the WebSocket protocol: ${problem}`
    this.destroy(new GatewayError('ERR_BRIDGE_PROTOCOL', message, { cause }))
  }

  #onClose(code: number, reason: Buffer): void {
    if (this.destroyed) return
    if (!PLAIN_CLOSES.has(code)) {
      this.destroy(new WebSocketClosed(code, reason.toString()))
      return
    }
    this.push(null)
    // Also for an owner that does not read at the moment; what it has not read yet stays for it.
    if (this.readableLength === 0) this.read(0)
  }
}

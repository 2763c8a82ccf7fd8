import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { WebSocket, WebSocketServer } from 'ws'
import { GatewayError, messageOf } from '../../common/index.ts'
import type { Deliver } from './listener.ts'

const MAX_FRAME_BYTES = 1024 * 1024
/** Pieces that a message may be split into, and chunks it may arrive in, so that memory goes by its bytes. */
const MAX_PIECES = 4096
/** How long the other end has for its part of the closing handshake. */
const CLOSE_TIMEOUT_MS = 5000
/** What MQTT calls itself, in the order of our choice [MQTT-6.0.0-4]. */
const SUBPROTOCOLS = ['mqtt', 'mqttv3.1']
const BINARY = { binary: true, compress: false, fin: true }

/** Turns upgrade requests into WebSockets and these into streams. */
export class WebSocketUpgrade {
  readonly #server: WebSocketServer
  readonly #deliver: Deliver
  readonly #maxFrameBytes: () => number
  /** Sockets of streams that are destroyed already, but still owe their peer the reason or wait for its answer. */
  readonly #closing = new Set<Socket>()

  constructor(deliver: Deliver, maxFrameBytes: () => number = () => MAX_FRAME_BYTES) {
    this.#deliver = deliver
    this.#maxFrameBytes = maxFrameBytes
    const options = {
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxFragments: MAX_PIECES,
      maxBufferedChunks: MAX_PIECES,
      closeTimeout: CLOSE_TIMEOUT_MS,
      handleProtocols: chooseSubprotocol,
    }
    this.#server = new WebSocketServer(options)
  }

  handle(request: IncomingMessage, socket: Socket, head: Buffer): void {
    this.#server.options.maxPayload = this.#maxFrameBytes()
    this.#server.handleUpgrade(request, socket, head, ws => {
      this.#deliver(new WebSocketStream(ws, socket, this.#closing), socket, request)
    })
  }

  /** Cuts off the closing handshakes that nobody else waits for. */
  close(): void {
    for (const socket of this.#closing) socket.destroy()
  }
}

/** Clients that ask for none of ours are taken all the same, without a subprotocol: old ones do that. */
function chooseSubprotocol(offered: Set<string>): string | false {
  return SUBPROTOCOLS.find(name => offered.has(name)) ?? false
}

/**
 * A WebSocket as a stream of bytes: how these are cut into messages means nothing [MQTT-6.0.0-2]. A write becomes one
 * message and is done when the socket below has passed it on. `end` says goodbye, `destroy` cuts at once.
 */
class WebSocketStream extends Duplex {
  readonly #ws: WebSocket
  readonly #socket: Socket
  readonly #closing: Set<Socket>
  /** Messages given to the socket that it has not reported as sent. */
  #unsent = 0
  /** Of the write that waits for them. */
  #written: ((failure?: Error | null) => void) | null = null

  constructor(ws: WebSocket, socket: Socket, closing: Set<Socket>) {
    super({ allowHalfOpen: false })
    this.#ws = ws
    this.#socket = socket
    this.#closing = closing
    ws.on('message', (data, isBinary) => this.#onMessage(data as Buffer, isBinary))
    ws.on('error', failure => this.#onViolation(messageOf(failure), failure))
    ws.on('close', () => this.#onClose())
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
    if (!this.#closing.has(this.#socket)) this.#ws.terminate()
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

  /** For the owner the connection ends here; the peer is still to be told why. */
  #onViolation(problem: string, cause?: Error): void {
    if (this.destroyed) return
    const socket = this.#socket
    if (!socket.destroyed) {
      this.#closing.add(socket)
      socket.once('close', () => this.#closing.delete(socket))
    }
    this.destroy(
      new GatewayError('ERR_PROTOCOL_WEBSOCKET', `the peer broke the WebSocket protocol: ${problem}`, { cause }),
    )
  }

  #onClose(): void {
    if (this.destroyed) return
    this.push(null)
    // Also for an owner that does not read at the moment; what it has not read yet stays for it.
    if (this.readableLength === 0) this.read(0)
  }
}

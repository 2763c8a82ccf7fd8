import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { GatewayError } from '../../common/index.ts'
import { WebSocketStream } from '../../wire/index.ts'
import type { Deliver } from './listener.ts'

const MAX_FRAME_BYTES = 1024 * 1024
/** Pieces that a message may be split into, and chunks it may arrive in, so that memory goes by its bytes. */
const MAX_PIECES = 4096
/** How long the other end has for its part of the closing handshake. */
const CLOSE_TIMEOUT_MS = 5000
/** What MQTT calls itself, in the order of our choice [MQTT-6.0.0-4]. */
const SUBPROTOCOLS = ['mqtt', 'mqttv3.1']

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
      this.#deliver(new ClientStream(ws, socket, this.#closing), socket, request)
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

/** The WebSocket of a client. */
class ClientStream extends WebSocketStream {
  readonly #closing: Set<Socket>

  constructor(ws: WebSocket, socket: Socket, closing: Set<Socket>) {
    super(ws, socket)
    this.#closing = closing
  }

  /** For the owner the connection ends here; the peer is still to be told why. */
  protected violated(problem: string, cause?: Error): Error {
    const { socket } = this
    if (!socket.destroyed) {
      this.#closing.add(socket)
      socket.once('close', () => this.#closing.delete(socket))
    }
    const message = `the peer broke the WebSocket protocol: ${problem}`
    return new GatewayError('ERR_PROTOCOL_WEBSOCKET', message, { cause })
  }

  protected complaint(): null {
    return null
  }

  protected get isExplaining(): boolean {
    return this.#closing.has(this.socket)
  }
}

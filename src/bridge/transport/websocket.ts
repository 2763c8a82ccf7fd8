import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocket } from 'ws'
import { GatewayError } from '../../common/index.ts'
import { WebSocketStream } from '../../wire/index.ts'
import type { Attempt } from './attempt.ts'
import { UpgradeRefused, WebSocketClosed } from './problems.ts'

/** What MQTT calls itself [MQTT-6.0.0-3]. */
const SUBPROTOCOL = 'mqtt'
/** How long the peer has for its part of the closing handshake. */
const CLOSE_TIMEOUT_MS = 5000
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
    ws.on('open', () => resolve(attempt.own(new BrokerStream(ws, socket))))
  })
}

/** The WebSocket of a broker. */
class BrokerStream extends WebSocketStream {
  #isExplaining = false

  constructor(ws: WebSocket, socket: Socket) {
    super(ws, socket)
    // The library keeps these to itself.
    socket.on('error', failure => this.destroy(failure))
  }

  protected violated(problem: string, cause?: Error): Error {
    // The library cuts when the broker was told.
    this.#isExplaining = this.ws.readyState === WebSocket.CLOSING
    return new GatewayError('ERR_BRIDGE_PROTOCOL', `it broke the WebSocket protocol: ${problem}`, { cause })
  }

  protected complaint(code: number, reason: Buffer): Error | null {
    return PLAIN_CLOSES.has(code) ? null : new WebSocketClosed(code, reason.toString())
  }

  protected get isExplaining(): boolean {
    return this.#isExplaining
  }
}

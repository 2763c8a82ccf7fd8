import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { messageOf, systemCodeOf } from '../../common/index.ts'
import type { Report, Stage } from './listener.ts'
import type { JudgeOrigin } from './origin.ts'

const MAX_HEADER_BYTES = 8192
const ANSWER = 'This port speaks MQTT over WebSocket: an upgrade request is required.\n'
const REFUSAL = 'Of web pages only those of this host may connect to this port.\n'
const FORBIDDEN = [
  'HTTP/1.1 403 Forbidden',
  'Connection: close',
  'Content-Type: text/plain; charset=utf-8',
  `Content-Length: ${REFUSAL.length}`,
  '',
  REFUSAL,
].join('\r\n')
const BAD_REQUEST = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'

export type Upgrade = (request: IncomingMessage, socket: Socket, head: Buffer) => void

/** The HTTP request that asks for a WebSocket, on whatever path. Any other request is told so. */
export class HttpUpgradeStage implements Stage {
  readonly #report: Report
  readonly #judge: JudgeOrigin
  readonly #upgrade: Upgrade
  /** Never listens: it is given sockets. How long they may take is watched over by who gives them. */
  readonly #server: Server

  constructor(report: Report, judge: JudgeOrigin, upgrade: Upgrade) {
    this.#report = report
    this.#judge = judge
    this.#upgrade = upgrade
    this.#server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, this.#refuse)
    this.#server.on('upgrade', this.#onUpgrade)
    this.#server.on('clientError', this.#onFailure)
  }

  open(socket: Socket): void {
    this.#server.emit('connection', socket)
  }

  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const { origin, host, 'sec-websocket-origin': oldOrigin } = request.headers
    // The version of WebSocket before the last, which is taken too, had another name for it.
    const problem = this.#judge({
      origin: origin ?? oldOrigin?.toString(),
      host,
      localAddress: request.socket.localAddress,
    })
    if (problem === null) {
      this.#upgrade(request, socket as Socket, head)
      return
    }
    this.#report(socket as Socket, problem)
    socket.end(FORBIDDEN, () => socket.destroy())
  }

  readonly #refuse = (request: IncomingMessage, response: ServerResponse): void => {
    this.#report(request.socket, 'its HTTP request is no upgrade')
    response.writeHead(426, {
      Connection: 'Upgrade, close',
      Upgrade: 'websocket',
      'Content-Type': 'text/plain; charset=utf-8',
      'Content-Length': Buffer.byteLength(ANSWER),
    })
    response.end(ANSWER)
  }

  readonly #onFailure = (failure: Error, socket: Duplex): void => {
    this.#report(socket as Socket, systemCodeOf(failure) ?? messageOf(failure))
    if (socket.writable) socket.end(BAD_REQUEST, () => socket.destroy())
    else socket.destroy()
  }
}

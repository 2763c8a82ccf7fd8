import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { messageOf, systemCodeOf } from '../../common/index.ts'
import type { Report, Stage } from './listener.ts'

const MAX_HEADER_BYTES = 8192
const ANSWER = 'This port speaks MQTT over WebSocket: an upgrade request is required.\n'
const BAD_REQUEST = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'

export type Upgrade = (request: IncomingMessage, socket: Socket, head: Buffer) => void

/** The HTTP request that asks for a WebSocket, on whatever path. Any other request is told so. */
export class HttpUpgradeStage implements Stage {
  readonly #report: Report
  /** Never listens: it is given sockets. How long they may take is watched over by who gives them. */
  readonly #server: Server

  constructor(report: Report, upgrade: Upgrade) {
    this.#report = report
    this.#server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, this.#refuse)
    this.#server.on('upgrade', (request, socket, head) => upgrade(request, socket as Socket, head))
    this.#server.on('clientError', this.#onFailure)
  }

  open(socket: Socket): void {
    this.#server.emit('connection', socket)
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

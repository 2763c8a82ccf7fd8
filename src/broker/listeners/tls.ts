import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { messageOf, systemCodeOf } from '../../common/index.ts'
import type { Report, Stage, TlsMaterial } from './listener.ts'

/** The least version of the protocol that is spoken. */
export const TLS_MIN_VERSION = 'TLSv1.2'

/**
 * The TLS handshake. With a `ca` clients are asked for a certificate: they may have none, but one that does not verify
 * ends the connection.
 */
export class TlsStage implements Stage {
  readonly #report: Report
  readonly #next: (socket: TLSSocket) => void
  /** Never listens: it is given sockets. */
  #server: Server

  constructor(material: TlsMaterial, report: Report, next: (socket: TLSSocket) => void) {
    this.#report = report
    this.#next = next
    this.#server = this.#createServer(material)
  }

  open(socket: Socket): void {
    this.#server.emit('connection', socket)
  }

  /** A server of its own per material: sessions that an older one granted are not resumed. */
  setMaterial(material: TlsMaterial): void {
    this.#server = this.#createServer(material)
  }

  #createServer(material: TlsMaterial): Server {
    const server = createServer({
      ...material,
      minVersion: TLS_MIN_VERSION,
      requestCert: material.ca !== undefined,
      // Would also turn away clients without a certificate.
      rejectUnauthorized: false,
    })
    server.on('secureConnection', this.#onSecure)
    server.on('tlsClientError', this.#onFailure)
    return server
  }

  readonly #onSecure = (socket: TLSSocket): void => {
    socket.on('error', ignore)
    if (!socket.authorized && socket.getPeerX509Certificate() !== undefined) {
      this.#onFailure(socket.authorizationError, socket)
    } else {
      this.#next(socket)
    }
  }

  readonly #onFailure = (failure: unknown, socket: TLSSocket): void => {
    this.#report(socket, systemCodeOf(failure) ?? messageOf(failure))
    socket.destroy()
  }
}

function ignore(): void {}

import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Logger, Service } from '../../common/index.ts'
import type { ListenAddress } from '../../config/index.ts'
import type { Accept } from '../transport.ts'

/** Key and certificates of a TLS listener as PEM. */
export interface TlsMaterial {
  readonly key: Buffer
  /** The server's certificate, followed by the intermediate ones if there are any. */
  readonly cert: Buffer
  /** What client certificates are verified against. Clients are not asked for one without it. */
  readonly ca?: Buffer
}

/** Keeps new sockets waiting, so that nothing is read from them for the time being. */
export interface Gate {
  /** `enter` is called when a socket that is held may go on. `open`: it need not wait; `full`: it is to be refused. */
  hold(socket: Socket, enter: (socket: Socket) => void): 'held' | 'open' | 'full'
}

export interface ListenerOptions {
  /** Takes over each connection, once its handshakes are done. What it throws is logged and ends that connection. */
  readonly accept: Accept
  /** Needed by `tls` and `wss`. */
  readonly tls?: TlsMaterial
  /** True when one more connection may be accepted. Asked when a socket arrives and again when it is handed over. */
  readonly maxConnections: () => boolean
  readonly log: Logger
  /**
   * The largest message of a new WebSocket, in bytes. A message may carry many packets or a part of one. Default 1 MiB.
   */
  readonly maxFrameBytes?: () => number
  /** Milliseconds from the arrival of a socket to the end of its TLS and WebSocket handshakes. Default 10,000. */
  readonly handshakeTimeoutMs?: number
  /** How many sockets may be in their handshakes at once; more are refused. Default 1024. */
  readonly maxHandshakes?: number
  /**
   * Refuses WebSockets that a browser opens for a web page of another host, by 403: for a hub where being able to
   * connect, or the certificate in the browser, is all that it takes. Devices, which send no `Origin`, are accepted
   * either way. Asked for each request. Default false.
   */
  readonly checkOrigin?: () => boolean
  /** Asked about each socket before its handshakes. */
  readonly gate?: Gate
}

/**
 * Accepts connections on one address. Started again after a stop it takes the port it had. `stop` closes the port, ends the sockets that are still in their handshakes and
 * leaves those that were handed over alone: they are their owner's to end.
 */
export interface Listener extends Service {
  readonly address: ListenAddress
  /** The address as bound, with the real port. The configured one before `start`. */
  readonly url: string
  /** The real port; 0 before `start` where any is taken, and for a unix socket. */
  readonly port: number
  /** Connections turned away because of a limit, since the start. */
  readonly refused: number
  /** Uses other key and certificates for new connections. Throws, and changes nothing, when they don't fit. */
  setMaterial(material: TlsMaterial): void
}

/** Hands a connection over that is through with its handshakes. `socket` is what lies below `stream`. */
export type Deliver = (stream: Duplex, socket: Socket, request?: IncomingMessage) => void

/** Says why a socket that is in its handshake is about to be closed. */
export type Report = (socket: Socket, problem: string) => void

/** What stands between a new socket and its hand-over: a handshake. */
export interface Stage {
  open(socket: Socket): void
  /** Ends what the stage holds besides the sockets in their handshakes. */
  close?(): void
  setMaterial?(material: TlsMaterial): void
}

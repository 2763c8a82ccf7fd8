import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { PeerIdentity } from '../../auth/index.ts'
import type { Peer, TransportKind } from '../transport.ts'
import { identityOf } from './certificate-names.ts'

const MAPPED_IPV4 = '::ffff:'

/**
 * The other end of a socket. The kernel and the TLS layer are asked when a field is first read, which has to be while
 * the socket is open: most connections never need to know.
 */
export class SocketPeer implements Peer {
  readonly transport: TransportKind
  readonly listener: string
  readonly #socket: Socket
  #address: string | undefined
  #port: number | undefined
  #certificate: PeerIdentity | null | undefined

  constructor(transport: TransportKind, listener: string, socket: Socket) {
    this.transport = transport
    this.listener = listener
    this.#socket = socket
  }

  get address(): string {
    // Nothing is kept of a failed look-up, so that one made too late leaves no wrong answer behind.
    this.#address ??= plainAddress(this.#socket.remoteAddress)
    return this.#address ?? ''
  }

  get port(): number {
    this.#port ??= this.#socket.remotePort
    return this.#port ?? 0
  }

  get certificate(): PeerIdentity | null {
    if (this.#certificate === undefined) this.#certificate = verifiedIdentity(this.#socket)
    return this.#certificate
  }
}

/** Writes an IPv4 address that came in by a dual-stack socket as what it is. */
function plainAddress(address: string | undefined): string | undefined {
  return address?.startsWith(MAPPED_IPV4) && address.includes('.') ? address.slice(MAPPED_IPV4.length) : address
}

function verifiedIdentity(socket: Socket): PeerIdentity | null {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return null
  const certificate = socket.getPeerX509Certificate()
  return certificate === undefined ? null : identityOf(certificate)
}

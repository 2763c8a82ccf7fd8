import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { PeerIdentity } from '../auth/index.ts'
import { SocketPeer } from './listeners/peer.ts'
import type { Peer, TransportKind } from './transport.ts'

/** The other end of a stream that an embedder handed over, of which nothing is known. */
class StreamPeer implements Peer {
  readonly transport: TransportKind = 'stream'
  readonly listener = ''
  readonly address = ''
  readonly port = 0
  readonly certificate: PeerIdentity | null = null
}

/** Who is at the other end of a stream given to `hub.handle`. */
export function peerOf(stream: Duplex): Peer {
  if (!(stream instanceof Socket)) return new StreamPeer()
  return new SocketPeer('encrypted' in stream ? 'tls' : 'tcp', '', stream)
}

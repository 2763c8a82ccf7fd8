import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { PeerIdentity } from '../auth/index.ts'

/** How the bytes of a connection travel. `stream` is a Duplex that an embedder handed over. */
export type TransportKind = 'tcp' | 'tls' | 'ws' | 'wss' | 'unix' | 'stream'

/** What is known of the other end of a connection, independent of MQTT. */
export interface Peer {
  readonly transport: TransportKind
  /** The address of the listener it came in by, `tcp://127.0.0.1:1883`; empty for a stream. */
  readonly listener: string
  /** Remote IP address; empty for unix sockets and streams. Looked up when read. */
  readonly address: string
  /** Remote port; 0 when there is none. */
  readonly port: number
  /** The client certificate, only when the TLS layer verified it against `ca`. Null otherwise. Looked up when read. */
  readonly certificate: PeerIdentity | null
}

/** Takes over an accepted connection. `request` is the upgrade request of a WebSocket. */
export type Accept = (stream: Duplex, peer: Peer, request?: IncomingMessage) => void

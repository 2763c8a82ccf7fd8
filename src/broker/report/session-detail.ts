import type { Client } from '../client.ts'
import type { Hub } from '../hub.ts'
import { blockedMs, clientOf, outputBytes } from './slow-consumers.ts'

/** How many subscriptions of a session are listed. */
const MOST_LISTED = 1000

/** All about one session. Times are milliseconds since 1970. */
export interface SessionDetail {
  readonly id: string
  /** It ends with the connection. */
  readonly clean: boolean
  /** `anonymous` for who needs no name; empty: nobody is asked for one. */
  readonly principal: string
  /** Null while the client is away. */
  readonly connection: ConnectionDetail | null
  /** When the client went away; null while it is connected. */
  readonly leftAt: number | null
  readonly subscriptionCount: number
  /** The first thousand. */
  readonly subscriptions: readonly { readonly filter: string; readonly qos: number }[]
  /** Messages that wait for the client. */
  readonly queued: number
  /** Those of them that lie on disk only. */
  readonly queuedOnDisk: number
  /** Messages sent and not acknowledged. */
  readonly unacknowledged: number
  /** What it sent with QoS 2 and has not released. */
  readonly unreleased: number
}

export interface ConnectionDetail {
  readonly since: number
  readonly transport: string
  /** Remote IP address; empty where there is none. */
  readonly address: string
  readonly port: number
  /** The listener it came in by. */
  readonly listener: string
  readonly username: string
  /** `3.1` or `3.1.1`. */
  readonly protocol: string
  /** It ends after so long without a packet; 0: never. */
  readonly keepAliveTimeoutMs: number
  /** Application messages since it connected. */
  readonly received: number
  readonly sent: number
  /** How long it has taken nothing; 0: it does. */
  readonly blockedMs: number
  /** Bytes that wait to be written to it. */
  readonly outputBytes: number
}

/** Everything about the session of a client; null when there is none. */
export function sessionDetail(hub: Hub, clientId: string): SessionDetail | null {
  const session = hub.sessions.get(clientId)
  if (session === undefined) return null
  const client = clientOf(hub, session)
  const { clean, leftAt, log, queued, unacknowledged, subscriptions } = session
  const listed: { filter: string; qos: number }[] = []
  for (const [filter, qos] of subscriptions) {
    if (listed.length >= MOST_LISTED) break
    listed.push({ filter, qos })
  }
  return {
    id: clientId,
    clean,
    principal: client?.principal.name ?? session.principal?.name ?? log?.principal ?? '',
    connection: client === null ? null : connectionOf(client),
    leftAt: client !== null || leftAt === 0 ? null : leftAt,
    subscriptionCount: subscriptions.size,
    subscriptions: listed,
    queued,
    queuedOnDisk: log?.disk.count ?? 0,
    unacknowledged,
    unreleased: session.receipts.size,
  }
}

function connectionOf(client: Client): ConnectionDetail {
  const { connectedAt, peer, username = '', version, keepAliveMs, received, sent, blocked } = client
  return {
    since: connectedAt,
    transport: peer.transport,
    address: peer.address,
    port: peer.port,
    listener: peer.listener,
    username,
    protocol: version === 3 ? '3.1' : '3.1.1',
    keepAliveTimeoutMs: keepAliveMs,
    received,
    sent,
    blockedMs: blocked ? blockedMs(client) : 0,
    outputBytes: outputBytes(client),
  }
}

import type { Client } from '../client.ts'
import type { Hub } from '../hub.ts'
import type { Session } from '../session.ts'
import { mostOf } from './most.ts'

/** A client that takes less than it is sent, or is not there to take it. */
export interface SlowConsumer {
  readonly id: string
  readonly connected: boolean
  /** Messages that wait for it. */
  readonly queued: number
  /** Messages sent and not acknowledged. */
  readonly unacknowledged: number
  /** How long its connection has taken nothing; 0: it does. */
  readonly blockedMs: number
  /** Bytes that wait to be written to its connection. */
  readonly outputBytes: number
}

/** Clients whose connections take nothing, the longest first; then those for which most messages wait. */
export function slowConsumers(hub: Hub, limit: number): SlowConsumer[] {
  return mostOf(slow(hub), limit, bySlowness)
}

function* slow(hub: Hub): Generator<SlowConsumer, void, undefined> {
  for (const session of hub.sessions.all()) {
    const client = clientOf(hub, session)
    const isBlocked = client?.blocked === true
    if (isBlocked || session.queued > 0) yield consumerOf(session, client)
  }
}

function bySlowness(a: SlowConsumer, b: SlowConsumer): number {
  return b.blockedMs - a.blockedMs || b.queued - a.queued
}

function consumerOf(session: Session, client: Client | null): SlowConsumer {
  const isBlocked = client?.blocked === true
  return {
    id: session.clientId,
    connected: client !== null,
    queued: session.queued,
    unacknowledged: session.unacknowledged,
    blockedMs: isBlocked ? blockedMs(client) : 0,
    outputBytes: client === null ? 0 : outputBytes(client),
  }
}

/** The client that has a session now. */
export function clientOf(hub: Hub, session: Session): Client | null {
  const client = hub.clients[session.clientId]
  return client !== undefined && client.session === session && session.receiver === client ? client : null
}

/** How long a blocked connection has taken nothing; at least a millisecond. */
export function blockedMs({ blockedSince }: Client): number {
  return Math.max(Math.round(performance.now() - blockedSince), 1)
}

export function outputBytes({ output, conn }: Client): number {
  return output.size + conn.writableLength
}

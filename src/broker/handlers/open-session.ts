import { messageOf } from '../aedes-packets.ts'
import type { Client } from '../client.ts'
import type { Session } from '../session.ts'
import type { Store } from '../store/index.ts'
import { ownerOf } from '../wills.ts'

export interface OpenedSession {
  readonly session: Session
  /** It was there before (Session Present of CONNACK). */
  readonly present: boolean
}

/** Why CONNECT is refused with return code 3, server unavailable: CONNACK would promise what can't be kept. */
export type Unavailable = string

/** The session of a client that may come in, and its Will, stored; null when the client has gone meanwhile. */
export async function openSession(client: Client, id: string): Promise<OpenedSession | Unavailable | null> {
  const { hub } = client
  const { link, sessions, state } = hub
  const { store } = state
  if (link !== null) return openLinked(client, id)
  const kept = sessions.get(id)
  const isStored = kept !== undefined && kept.log !== null
  const isFailing = store !== null && store.commit.failure !== null
  if (isFailing && (isStored === client.clean || (client.will !== null && store.isChoked)))
    return 'sessions can not be stored now'
  const opened = client.clean ? { session: sessions.create(id, true), present: false } : await resume(client, id, kept)
  if (opened === null || typeof opened === 'string') return opened
  if (store === null) return opened
  if (client.will !== null) store.wills.save(id, messageOf(client.will, client.will.retain ?? false), ownerOf(client))
  else if (!hub.heldWills.has(id)) store.wills.drop(id) // of a CONNECT that was not answered
  // CONNACK promises the Will, and that a session begins or has ended.
  const isChange = client.clean ? isStored : !opened.present
  if ((isChange || client.will !== null) && !(await store.commit.settled()) && isChange) {
    sessions.drop(opened.session)
    return 'sessions can not be stored now'
  }
  if (!client.closed) return opened
  abandon(client, id, opened.session)
  return null
}

/** What is plugged in is the truth: another hub may have served this client meanwhile. */
async function openLinked(client: Client, id: string): Promise<OpenedSession | null> {
  const { link, sessions } = client.hub
  if (link === null) return null
  if (client.clean) await link.forget({ id })
  if (client.closed) return null
  const session = sessions.create(id, client.clean)
  const present =
    !client.clean && (await link.restore({ id }, session, (filter, qos) => sessions.subscribe(session, filter, qos)))
  if (client.will !== null && !client.closed) await link.putWill(client, client.will)
  if (!client.closed) return { session, present }
  abandon(client, id, session)
  return null
}

/** The kept session of a client [MQTT-3.1.2-4], with what it needs first in memory; or a new one. */
async function resume(client: Client, id: string, kept: Session | undefined): Promise<OpenedSession | string | null> {
  const { hub } = client
  const { sessions, state } = hub
  if (kept === undefined || kept.clean) return { session: sessions.create(id, false), present: false }
  kept.leftAt = 0 // it must not expire while it is made ready
  if (kept.log === null) return { session: kept, present: true }
  try {
    await kept.log.unpark()
    // What its last connection did is stored, so that it can go on: packet identifiers of QoS 2, and what PUBREC said.
    if (kept.log.held > 0 || kept.waitsForPubcomp) await (state.store as Store).commit.settled()
  } catch (error) {
    hub.log.error({ clientId: id, err: error as Error }, 'session.unreadable')
    kept.leftAt = Date.now()
    kept.log.leave()
    return 'the session can not be read'
  }
  if (sessions.get(id) === kept && !client.closed) return { session: kept, present: true }
  abandon(client, id, kept)
  return client.closed ? null : { session: sessions.create(id, false), present: false }
}

/** The client has gone before it was let in. */
function abandon(client: Client, id: string, session: Session): void {
  const { hub } = client
  if (session.receiver !== null || hub.clients[id] !== undefined) return // another one has it, or is about to
  // Nobody will come for what does not outlive its connection.
  if (session.clean || hub.link !== null) hub.sessions.drop(session)
  else {
    session.leftAt = Date.now()
    session.log?.leave()
  }
}

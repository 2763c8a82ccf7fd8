import type { Authenticator, Principal } from '../../auth/index.ts'
import type { Client } from '../client.ts'
import type { Hub } from '../hub.ts'
import type { Session } from '../session.ts'
import { forgetWill } from '../wills.ts'
import { forEachClient } from './for-each-client.ts'

/**
 * Has a running hub go by other principals. Who is no longer known in the same way is disconnected; from the others, and
 * from kept sessions whose clients are absent, goes what is no longer permitted.
 */
export function applyAccess(hub: Hub, authenticator: Authenticator): void {
  const before = hub.door.use(authenticator)
  hub.state.spokesmen = hub.door.principals
  if (before?.hasThoseOf(authenticator) !== true) hub.forgetRoutes() // they remember principals
  const strangers = new Set<Client>()
  forEachClient(hub, client => {
    if (!recheckClient(hub, client, authenticator)) strangers.add(client)
  })
  // Last, for others hear of it: those who still may.
  forEachClient(hub, client => {
    if (strangers.has(client)) client.terminate('principal removed', true)
  })
  for (const session of hub.sessions.all()) recheckSession(hub, session, authenticator, before)
}

/** Takes from a client what it may no longer do. False: it is nobody we know. */
function recheckClient(hub: Hub, client: Client, authenticator: Authenticator): boolean {
  const { principal, username, session, will } = client
  if (principal === hub.nobody) return true // it has not come so far
  const now = authenticator.recognize({ principal, username, certificate: client.peer.certificate })
  if (now === null) {
    dropWill(hub, client) // it has no say any more
    return false
  }
  if (now === principal) return true
  client.principal = now
  if (will !== null && !now.mayPublish(will.topic)) {
    hub.log.info({ clientId: client.id, topic: will.topic }, 'will.revoked')
    dropWill(hub, client)
  }
  if (session === null) return true
  const revoked = revoke(hub, session, [now])
  if (revoked.length > 0) session.keepHeard()
  if (revoked.length > 0 && client.isRegistered) hub.announceUnsubscribe(client, revoked)
  return true
}

/** Of a session that nobody is connected to, or somebody who is about to take it up. */
function recheckSession(hub: Hub, session: Session, authenticator: Authenticator, before: Authenticator | null): void {
  const { principal } = session
  const heirs = heirsOf(session, authenticator)
  // Of the one who had it before the hub started only the name is known.
  const known = principal === null ? before?.named(session.log?.principal ?? '') : [principal]
  if (known?.length === heirs.length && heirs.every((heir, i) => heir === known[i])) return
  if (principal !== null) session.principal = heirs[0] ?? null
  if (session.receiver !== null) return
  if (revoke(hub, session, heirs).length > 0 || heirs.length === 0) session.keepHeard()
}

/** Who may be the last one who had a session. */
function heirsOf({ principal, log }: Session, authenticator: Authenticator): Principal[] {
  if (principal === null) return authenticator.named(log?.principal ?? '')
  const now = authenticator.current(principal)
  return now === null ? [] : [now]
}

/** Takes away the filters that none of these may subscribe to. */
function revoke(hub: Hub, session: Session, principals: readonly Principal[]): string[] {
  const revoked = [...session.subscriptions.keys()].filter(
    filter => !principals.some(principal => principal.maySubscribe(filter)),
  )
  for (const filter of revoked) {
    hub.sessions.unsubscribe(session, filter)
    hub.log.info({ clientId: session.clientId, filter }, 'subscription.revoked')
  }
  return revoked
}

function dropWill(hub: Hub, client: Client): void {
  if (client.will === null) return
  client.will = null
  if (client.id !== null) forgetWill(hub, client.id)
}

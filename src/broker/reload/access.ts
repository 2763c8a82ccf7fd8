import type { Authenticator, Principal } from '../../auth/index.ts'
import type { Client } from '../client.ts'
import type { Hub } from '../hub.ts'
import type { Session } from '../session.ts'
import { forgetWill } from '../wills.ts'
import { forEachClient } from './for-each-client.ts'
import { Revocations } from './revocations.ts'

/**
 * Has a running hub go by other principals. Who is no longer known in the same way is disconnected; from the others, and
 * from kept sessions whose clients are absent, goes what is no longer permitted.
 */
export function applyAccess(hub: Hub, authenticator: Authenticator): void {
  const before = hub.door.use(authenticator)
  hub.state.spokesmen = hub.door.principals
  if (before?.hasThoseOf(authenticator) !== true) hub.forgetRoutes() // they remember principals
  const strangers = new Set<Client>()
  const revocations = new Revocations(hub)
  forEachClient(hub, client => {
    if (!recheckClient(hub, client, authenticator, revocations)) strangers.add(client)
  })
  // Last, for others hear of it: those who still may.
  forEachClient(hub, client => {
    if (strangers.has(client)) client.terminate('principal removed', true)
  })
  const takers = takersOf(hub)
  for (const session of hub.sessions.all()) {
    try {
      recheckSession({ hub, session, taker: takers.get(session) ?? null, authenticator, before, revocations })
    } catch (error) {
      hub.log.error({ clientId: session.clientId, error }, 'config.reload.partly_failed')
    }
  }
  revocations.end()
}

/** Who is about to take up which session, or has it. */
function takersOf(hub: Hub): Map<Session, Principal> {
  const takers = new Map<Session, Principal>()
  for (const { closed, session, principal } of hub.connectionSet)
    if (!closed && session !== null) takers.set(session, principal)
  return takers
}

/** Takes from a client what it may no longer do. False: it is nobody we know. */
function recheckClient(hub: Hub, client: Client, authenticator: Authenticator, revocations: Revocations): boolean {
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
    revocations.addWill(client.id ?? '', will.topic)
    dropWill(hub, client)
  }
  if (session === null) return true
  // The session may be another's up to now: what that one loses is not lost for this one.
  if (session.principal === principal) session.principal = now
  const revoked = revoke(hub, session, [now], revocations)
  if (revoked.length > 0) session.keepHeard()
  if (revoked.length > 0 && client.isRegistered) hub.announceUnsubscribe(client, revoked)
  return true
}

interface Recheck {
  readonly hub: Hub
  readonly session: Session
  /** Who has it now, or is about to take it up; null: nobody. */
  readonly taker: Principal | null
  readonly authenticator: Authenticator
  readonly before: Authenticator | null
  readonly revocations: Revocations
}

/** Of a session that nobody is connected to, or somebody who is about to take it up. */
function recheckSession({ hub, session, taker, authenticator, before, revocations }: Recheck): void {
  const { principal } = session
  const heirs = heirsOf(session, authenticator)
  // Of the one who had it before the hub started only the name is known.
  const known = principal === null ? before?.named(session.log?.principal ?? '') : [principal]
  if (known?.length === heirs.length && heirs.every((heir, i) => heir === known[i])) return
  // Whoever takes it up must see that it was another's, even one who is gone.
  if (principal !== null && (taker === null || heirs.length > 0)) session.principal = heirs[0] ?? null
  if (session.receiver !== null) return
  const may = taker === null ? heirs : [...heirs, taker]
  if (revoke(hub, session, may, revocations).length > 0 || heirs.length === 0) session.keepHeard()
}

/** Who may be the last one who had a session. */
function heirsOf({ principal, log }: Session, authenticator: Authenticator): Principal[] {
  if (principal === null) return authenticator.named(log?.principal ?? '')
  const now = authenticator.current(principal)
  return now === null ? [] : [now]
}

/** Takes away the filters that none of these may subscribe to. */
function revoke(hub: Hub, session: Session, principals: readonly Principal[], revocations: Revocations): string[] {
  const revoked = [...session.subscriptions.keys()].filter(
    filter => !principals.some(principal => principal.maySubscribe(filter)),
  )
  for (const filter of revoked) hub.sessions.unsubscribe(session, filter)
  if (revoked.length > 0) revocations.add(session.clientId, revoked)
  return revoked
}

function dropWill(hub: Hub, client: Client): void {
  if (client.will === null) return
  client.will = null
  if (client.id !== null) forgetWill(hub, client.id)
}

import type { Client } from '../client.ts'
import { openSession } from './open-session.ts'
import { refuseConnect } from './refuse-connect.ts'
import { recheckSubscriptions } from './subscribe.ts'

/** A client that may come in: take-over, session, CONNACK 0, and what waited for it. */
export async function admit(client: Client): Promise<void> {
  const hub = client.hub
  const id = client.id as string
  // From here on the identifier is this client's; whoever claims it next ends this connection, at any await below.
  hub.claim(client)
  const opened = await openSession(client, id)
  if (opened === null) return
  if (typeof opened === 'string') return refuseConnect(client, 3, opened)
  const { session, present } = opened
  client.session = session
  if (present) await recheckSubscriptions(client, session)
  if (client.closed || hub.closed) return
  session.principal = client.principal
  if (session.isBridge !== client.isBridge) {
    session.isBridge = client.isBridge
    hub.state.epoch++ // routes know which of their receivers are bridges
  }
  if (session.log !== null) {
    session.log.principal = client.principal.name
    hub.state.store?.saveSession(session.log)
  }
  hub.clientLog.connected(client) // in front of what listeners may do to it
  hub.register(client)
  if (client.closed) return // a listener ended it
  client.welcome(session, present)
}

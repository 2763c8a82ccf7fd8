import { messageOf } from '../aedes-packets.ts'
import type { Client } from '../client.ts'
import type { Session } from '../session.ts'
import type { Store } from '../store/index.ts'
import { refuseConnect } from './refuse-connect.ts'
import { recheckSubscriptions } from './subscribe.ts'

/** A client that may come in: take-over, session, CONNACK 0, and what waited for it. */
export async function admit(client: Client): Promise<void> {
  const hub = client.hub
  const id = client.id as string
  // From here on the identifier is this client's; whoever claims it next ends this connection, at any await below.
  hub.claim(client)
  if (isUnpromisable(client, id)) return refuseConnect(client, 3, 'sessions can not be stored now')
  const { session, present } = await openSession(client, id)
  if (client.closed) {
    // Nobody will come for what does not outlive its connection.
    if ((session.clean || hub.link !== null) && session.receiver === null) hub.sessions.drop(session)
    else if (session.receiver === null && hub.clients[id] === undefined) {
      session.leftAt = Date.now()
      session.log?.leave()
    }
    return
  }
  client.session = session
  const { store } = hub.state
  if (store !== null && client.will !== null) {
    store.saveWill(id, messageOf(client.will, client.will.retain ?? false))
    await stored(store) // CONNACK promises it
  }
  if (client.will !== null && !client.closed) await hub.link?.putWill(client, client.will)
  if (present && !client.closed) await recheckSubscriptions(client, session)
  session.principal = client.principal
  if (client.closed || hub.closed) return
  if (session.log !== null) {
    session.log.principal = client.principal.name
    store?.saveSession(session.log)
  }
  hub.register(client)
  if (client.closed) return // a listener ended it
  client.welcome(session, present)
  const { address, transport } = client.peer
  hub.log.info({ clientId: id, principal: client.principal.name, address, transport }, 'client.connected')
}

/** While nothing can be stored no session is made or ended: after a crash it would be as if CONNACK had not been sent. */
function isUnpromisable(client: Client, id: string): boolean {
  const { state, sessions } = client.hub
  if (state.store === null || state.store.commit.failure === null) return false
  const isStored = (sessions.get(id)?.log ?? null) !== null
  return client.clean ? isStored : !isStored
}

async function openSession(client: Client, id: string): Promise<{ session: Session; present: boolean }> {
  const { link, sessions } = client.hub
  const { store } = client.hub.state
  const kept = sessions.get(id)
  if (client.clean) {
    await link?.forget({ id })
    const session = sessions.create(id, true) // [MQTT-3.1.2-6]
    if (store !== null && kept !== undefined && kept.log !== null) await stored(store)
    return { session, present: false }
  }
  if (link !== null) {
    // What is plugged in is the truth: another hub may have served this client meanwhile.
    const session = sessions.create(id, false)
    const present = await link.restore({ id }, session, (filter, qos) => sessions.subscribe(session, filter, qos))
    return { session, present }
  }
  if (kept !== undefined) kept.leftAt = 0 // it must not expire while it is made ready
  await kept?.log?.unpark()
  if (store !== null && (kept?.log?.held ?? 0) > 0) await stored(store)
  if (kept !== undefined && !kept.clean && sessions.get(id) === kept) return { session: kept, present: true } // [MQTT-3.1.2-4]
  const session = sessions.create(id, false)
  if (store !== null) await stored(store)
  return { session, present: false }
}

/** Waits until all is stored; while nothing can be, the client does not wait for it. */
async function stored(store: Store): Promise<void> {
  if (store.commit.failure === null) await store.commit.committed()
}

import type { Client } from '../client.ts'
import type { Session } from '../session.ts'
import { recheckSubscriptions } from './subscribe.ts'

/** A client that may come in: take-over, session, CONNACK 0, and what waited for it. */
export async function admit(client: Client): Promise<void> {
  const hub = client.hub
  const id = client.id as string
  // From here on the identifier is this client's; whoever claims it next ends this connection, at any await below.
  hub.claim(client)
  const { session, present } = await openSession(client, id)
  if (client.closed) {
    // Nobody will come for what does not outlive its connection.
    if ((session.clean || hub.link !== null) && session.receiver === null) hub.sessions.drop(session)
    return
  }
  client.session = session
  if (client.will !== null && !client.closed) await hub.link?.putWill(client, client.will)
  if (present && !client.closed) await recheckSubscriptions(client, session)
  session.principal = client.principal
  if (client.closed || hub.closed) return
  hub.register(client)
  if (client.closed) return // a listener ended it
  client.welcome(session, present)
  const { address, transport } = client.peer
  hub.log.info({ clientId: id, principal: client.principal.name, address, transport }, 'client.connected')
}

async function openSession(client: Client, id: string): Promise<{ session: Session; present: boolean }> {
  const { link, sessions } = client.hub
  if (client.clean) {
    await link?.forget({ id })
    return { session: sessions.create(id, true), present: false } // [MQTT-3.1.2-6]
  }
  if (link !== null) {
    // What is plugged in is the truth: another hub may have served this client meanwhile.
    const session = sessions.create(id, false)
    return { session, present: await link.restore({ id }, session) }
  }
  const kept = sessions.get(id)
  if (kept !== undefined && !kept.clean) return { session: kept, present: true } // [MQTT-3.1.2-4]
  return { session: sessions.create(id, false), present: false }
}

import type { Client } from './client.ts'
import type { Hub } from './hub.ts'
import { publishWill } from './wills.ts'

/** After a connection ended: its session, its Will, and who is told. */
export function endClient(hub: Hub, client: Client, reason: string): void {
  const { session, id } = client
  const leavesWill = client.will !== null && session !== null && !client.disconnected
  if (client.will !== null) void publishWill(hub, client)
  let ended: string[] = []
  const isHolder = id !== null && hub.clients[id] === client
  if (session !== null && (session.receiver === client || isHolder)) {
    session.leftAt = Date.now()
    session.detach()
    if (session.log !== null) hub.state.store?.saveSession(session.log)
    if (session.clean) ended = [...session.subscriptions.keys()]
    if (session.clean || hub.link !== null) hub.sessions.drop(session)
    if (session.clean) void hub.link?.cleanIncoming(client)
  }
  if (isHolder) delete hub.clients[id]
  if (!client.isRegistered) return
  ;(hub as { connectedClients: number }).connectedClients--
  hub.clientLog.disconnected(client, reason, leavesWill)
  hub.emit('clientDisconnect', client)
  hub.announce('disconnect/clients', () => id as string)
  if (ended.length > 0) hub.announceUnsubscribe(client, ended)
}

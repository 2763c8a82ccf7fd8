import type { Client as AedesClient, PublishPacket } from 'aedes'
import { numbered, packetOf } from './aedes-packets.ts'
import type { Client } from './client.ts'
import { ask } from './hooks.ts'
import type { Hub } from './hub.ts'
import type { Message } from './message.ts'
import { isNotStored } from './store/index.ts'

/** Wills that wait until they can be stored. */
const MOST_HELD = 10_000

/**
 * Publishes the Will of a connection that ended without DISCONNECT, once [MQTT-3.1.2-8]; after DISCONNECT it is thrown
 * away [MQTT-3.1.2-10]. Never rejects: what goes wrong is logged.
 */
export async function publishWill(hub: Hub, client: Client): Promise<void> {
  const will = client.will
  client.will = null
  if (client.session === null) return
  const id = client.id as string
  try {
    // Not for a CONNECT that was never answered.
    if (will !== null && client.isRegistered && !client.disconnected) {
      await ask(done => hub.authorizePublish(client.face, will, done))
      await hub.forwardPublish(numbered(will, hub), client, { willOf: id })
    } else forgetWill(hub, id)
    await hub.link?.dropWill(client)
  } catch (error) {
    if (will !== null && isNotStored(error) && hub.heldWills.size < MOST_HELD) hub.heldWills.set(id, will)
    else forgetWill(hub, id)
    hub.log.warn({ clientId: client.id, err: error }, 'will.failed')
  }
}

/** What is stored of a Will goes when it is published, or never will be; unless its client is back with another. */
export function forgetWill(hub: Hub, clientId: string): void {
  if ((hub.clients[clientId]?.will ?? null) === null) hub.state.store?.dropWill(clientId)
}

/** Publishes Wills that could not be stored as their clients went, now that they can be. */
export async function publishHeldWills(hub: Hub): Promise<void> {
  const held = [...hub.heldWills]
  hub.heldWills.clear()
  for (const [clientId, will] of held) await publishFor(hub, clientId, will)
}

/** Publishes the Wills of clients that were connected when the hub died: their connections ended without DISCONNECT. */
export async function publishStoredWills(hub: Hub, wills: ReadonlyMap<string, Message>): Promise<void> {
  for (const [clientId, will] of wills) await publishFor(hub, clientId, { ...packetOf(will, hub), retain: will.retain })
}

async function publishFor(hub: Hub, clientId: string, will: PublishPacket): Promise<void> {
  await hub.forwardPublish(numbered(will, hub), null, { willOf: clientId }).catch(error => {
    if (isNotStored(error)) hub.heldWills.set(clientId, will)
    hub.log.warn({ clientId, err: error }, 'will.failed')
  })
}

/** Publishes stored Wills of hubs that have not been heard of for three heartbeats. Never rejects. */
export async function publishOrphanedWills(hub: Hub, heartbeatMs: number): Promise<void> {
  const link = hub.link
  if (link === null) return
  const oldest = Date.now() - 3 * heartbeatMs
  for (const [id, seen] of Object.entries(hub.brokers)) if (seen < oldest) delete hub.brokers[id]
  try {
    for await (const will of link.wills({ ...hub.brokers, [hub.id]: Date.now() })) {
      const client = (hub.clients[will.clientId]?.face ?? null) as AedesClient | null
      await ask(done => hub.authorizePublish(client, will, done))
      // Numbered as this hub's: the other one may have used such numbers for messages that still wait.
      await hub.forwardPublish(numbered({ ...will, brokerId: hub.id, brokerCounter: 0 } as PublishPacket, hub), null)
      await link.dropStoredWill(will)
    }
  } catch (error) {
    hub.log.warn({ err: error }, 'will.failed')
  }
}

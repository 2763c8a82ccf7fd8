import type { Client as AedesClient, PublishPacket } from 'aedes'
import { numbered } from './aedes-packets.ts'
import { isBridgeState } from './bridge-state.ts'
import type { Client } from './client.ts'
import { voiceOf } from './forwards.ts'
import { ask } from './hooks.ts'
import type { Hub } from './hub.ts'
import { isNotStored, type WillOwner } from './store/index.ts'

/** A Will that waits until it can be published, and whose it is. */
export interface HeldWill {
  readonly will: PublishPacket
  readonly whose: WillOwner
}

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
      // As aedes made it the hook refuses all that is below $SYS.
      if (!client.isBridge || !isBridgeState(will.topic))
        await ask(done => hub.authorizePublish(client.face, will, done))
      await hub.forwardPublish(numbered(will, hub), client, { willOf: id })
    } else forgetWill(hub, id)
    await hub.link?.dropWill(client)
  } catch (error) {
    if (will !== null && isNotStored(error) && hub.heldWills.size < MOST_HELD)
      hub.heldWills.set(id, { will, whose: ownerOf(client) })
    else forgetWill(hub, id)
    hub.log.warn({ clientId: client.id, err: error }, 'will.failed')
  }
}

/** What is stored of a Will goes when it is published, or never will be; unless its client is back with another. */
export function forgetWill(hub: Hub, clientId: string): void {
  if ((hub.clients[clientId]?.will ?? null) === null) hub.state.store?.wills.drop(clientId)
}

/** Whose Will it is, for a time when the client is gone. */
export function ownerOf({ id, username, principal }: Client): WillOwner {
  return voiceOf(id ?? '', username, principal)
}

/** Publishes Wills that could not be stored as their clients went, now that they can be. */
export async function publishHeldWills(hub: Hub): Promise<void> {
  const held = [...hub.heldWills]
  hub.heldWills.clear()
  for (const [clientId, will] of held) await publishFor(hub, clientId, will)
}

/** Publishes the Wills of clients that were connected when the hub died: their connections ended without DISCONNECT. */
export async function publishStoredWills(hub: Hub, wills: ReadonlyMap<string, HeldWill>): Promise<void> {
  for (const [clientId, will] of wills) await publishFor(hub, clientId, will)
}

async function publishFor(hub: Hub, clientId: string, held: HeldWill): Promise<void> {
  const { will, whose } = held
  // Who was removed, or may less than before, has no say any more. Nobody has a name where everybody may do everything.
  if (whose.principal !== '' && hub.door.principals.get(whose.principal)?.mayPublish(will.topic) !== true) {
    hub.log.info({ clientId, topic: will.topic }, 'will.revoked')
    forgetWill(hub, clientId)
    return
  }
  const session = hub.sessions.get(clientId)
  const along = { willOf: clientId, voice: { clientId, ...whose }, ...(session?.isBridge && { spared: session }) }
  await hub.forwardPublish(numbered(will, hub), null, along).catch(error => {
    if (isNotStored(error)) hub.heldWills.set(clientId, held)
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

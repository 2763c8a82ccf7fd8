import type { AedesPublishPacket } from 'aedes'
import { copyOf, messageOf, payloadOf } from './aedes-packets.ts'
import type { Client } from './client.ts'
import { Budget } from './forwarding.ts'
import type { Voice } from './forwards.ts'
import { ask } from './hooks.ts'
import type { Hub } from './hub.ts'
import type { Session } from './session.ts'
import { notStored, REFUSED } from './store/index.ts'
import { forgetWill } from './wills.ts'

/** What goes with a message: a receipt, by packet identifier, stored in one step with it; that it is the Will of a client. */
export interface Along {
  readonly receiptId?: number
  readonly willOf?: string
  /** Who said it, where the client is gone. */
  readonly voice?: Voice
  /** The session of the bridge that is gone. */
  readonly spared?: Session
  /** How often rules have forwarded it, and how many copies there are of it. */
  readonly hops?: number
  readonly budget?: Budget
}

/** Delivers to sessions and has rules forward it, then waits for the functions that subscribed and for the store. */
export async function deliverPacket(
  hub: Hub,
  packet: AedesPublishPacket,
  client: Client | null,
  along: Along,
): Promise<void> {
  const { receiptId = 0, willOf, hops = 0, budget = new Budget() } = along
  const { store } = hub.state
  const { qos, retain } = packet
  const route = hub.routes.of(packet.topic)
  const voice = along.voice ?? client?.voice ?? null
  const spared = along.spared ?? (hops === 0 ? client?.spared : null) ?? null
  const payload = payloadOf(packet)
  const mustRetain = retain && hub.link === null
  // A copy is taken on with the original.
  if (hops === 0 && !hub.dispatch.takes(route, 2 + route.bytes.length + payload.length, qos, mustRetain, voice, spared))
    throw notStored(store?.blocked ?? 'a queue is full')
  const seq = hub.isPlugged ? 0 : hub.dispatch.deliver(route, messageOf(packet, false), retain, spared)
  if (seq === REFUSED) throw notStored(store?.blocked ?? 'a queue is full')
  if (mustRetain) hub.retained.store(packet.topic, payload, qos, spared?.clientId)
  const log = receiptId > 0 && client !== null ? client.log : null
  if (log !== null) store?.saveReceipt(log, receiptId)
  if (willOf !== undefined) forgetWill(hub, willOf)
  if (hops === 0 && client !== null && willOf === undefined) route.published++
  const waits: Promise<void>[] = []
  if (hub.isPlugged) waits.push(ask(done => hub.emitter.emit(packet, done)))
  for (const each of hub.isPlugged ? [] : route.locals)
    waits.push(new Promise<void>(resolve => each.deliver(packet, resolve)))
  // Before anything is waited for: what is stored of the copies is in one batch with the original.
  for (const copy of hub.dispatch.copies(route, qos, retain, voice, hops, budget)) {
    const next: Along = { hops: hops + 1, budget, ...(voice !== null && { voice }) }
    waits.push(hub.forwardPublish(copyOf(packet, copy, hub), client, next))
  }
  if (waits.length > 0) await Promise.all(waits)
  if (store !== null && qos > 0 && (seq > 0 || mustRetain || log !== null)) await store.commit.committed()
}

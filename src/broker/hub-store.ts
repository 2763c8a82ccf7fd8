import { GatewayError } from '../common/index.ts'
import { packetOf } from './aedes-packets.ts'
import type { Hub } from './hub.ts'
import { Database, recover, Store, type StoreOptions } from './store/index.ts'
import { type HeldWill, publishHeldWills } from './wills.ts'

const DEFAULT_RESERVE = 16_777_216

/**
 * Opens the store of a hub and brings back what it held: sessions with their subscriptions, retained messages. Returns
 * the Wills of clients that were connected when the hub died.
 */
export async function openStore(hub: Hub, options: StoreOptions, isPlugged: boolean): Promise<Map<string, HeldWill>> {
  if (hub.link !== null || isPlugged)
    throw new GatewayError(
      'ERR_STORE_PERSISTENCE',
      'storage can not be combined with a persistence or an mq of its own',
    )
  const { state, log, sessions, retained } = hub
  const { dir, sync = 'always', reserveBytes = DEFAULT_RESERVE } = options
  const database = await Database.open({ dir, log, sync, reserveBytes })
  const wills = new Map<string, HeldWill>()
  try {
    const store = new Store(database, state, options, log)
    await recover(
      store,
      database,
      {
        session: clientId => sessions.restore(clientId, false),
        subscription: (session, filter, qos) => sessions.restoreSubscription(session, filter, qos),
        receipt: (session, packetId) => session.receipts.add(packetId),
        retained: (topic, message) => retained.restore(topic, message),
        will: (clientId, will, whose) =>
          wills.set(clientId, { will: { ...packetOf(will, hub), retain: will.retain }, whose }),
      },
      log,
    )
    state.store = store
    store.onAlarm = alarm => soundAlarm(hub, alarm)
    store.checkSpace()
  } catch (error) {
    await database.close()
    throw error
  }
  return wills
}

/**
 * Says on `$SYS/<id>/alarms/storage` how the store is. When it stores again, clients that wait for acknowledgements in
 * vain are disconnected: they come back and send again what was not acknowledged [MQTT-4.4.0-1].
 */
function soundAlarm(hub: Hub, alarm: string): void {
  const topic = `$SYS/${hub.id}/alarms/storage`
  hub.retained.store(topic, Buffer.from(alarm), 0)
  hub.announce('alarms/storage', () => alarm)
  if (alarm !== 'ok') return
  void publishHeldWills(hub)
  for (const client of hub.connectionSet)
    if (client.isUnstored) client.terminate('messages were not stored, and can be now', true)
}

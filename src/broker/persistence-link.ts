import type { AedesPublishPacket, PublishPacket, Subscription } from 'aedes'
import { GatewayError, startsWithDollar } from '../common/index.ts'
import { messageOf } from './aedes-packets.ts'
import type { Client } from './client.ts'
import type { Hub } from './hub.ts'
import { WAITS_PUBACK, WAITS_PUBCOMP, WAITS_PUBREC } from './inflight.ts'
import type { Message } from './message.ts'
import type { Persistence, PersistenceClient, StoredPacket, StoredWill } from './persistence.ts'
import type { Session } from './session.ts'
import { SessionGate } from './session-gate.ts'
import type { DeliveryObserver } from './state.ts'

/**
 * A plugged aedes-persistence, as the hub uses it: kept sessions live there while their client is away, and what is
 * acknowledged to a publisher was stored there before.
 */
export class PersistenceLink implements DeliveryObserver {
  readonly #persistence: Persistence
  readonly #onError: (clientId: string, error: Error) => void
  /** The end of what is under way for each client: one after the other, as its packets came. */
  readonly #tails = new Map<string, Promise<void>>()
  readonly #gate = new SessionGate()

  /** `onError` hears of failures that no caller waits for. */
  constructor(persistence: Persistence, onError: (clientId: string, error: Error) => void) {
    // aedes before 1.0 had callbacks here, and would fail much later and less clearly.
    if (persistence.setup.constructor.name !== 'AsyncFunction')
      throw new GatewayError('ERR_STORE_PERSISTENCE', 'persistence.setup() must be an async function')
    this.#persistence = persistence
    this.#onError = onError
  }

  async open(broker: object): Promise<void> {
    await this.#persistence.setup(broker)
  }

  // -- sessions -----------------------------------------------------------------------------------------------------

  /** Forgets everything of a client: it connected with Clean Session. */
  async forget(client: PersistenceClient): Promise<void> {
    await this.#tails.get(client.id)
    await this.#persistence.cleanSubscriptions(client)
    await this.#persistence.cleanIncoming?.(client)
    await this.emptyOutgoing(client)
  }

  /** The QoS 2 receipts of a clean session end with it. Never rejects. */
  async cleanIncoming(client: Client): Promise<void> {
    const who = owner(client)
    await this.#persistence.cleanIncoming?.(who).catch(error => this.#onError(who.id, error as Error))
  }

  /**
   * Fills a session with what is stored of it; true when something was. `subscribe` is called for each subscription when
   * all is read: from then on messages go to the session too.
   */
  async restore(
    client: PersistenceClient,
    session: Session,
    subscribe: (filter: string, qos: number) => void,
  ): Promise<boolean> {
    return this.#gate.read(client.id, () => this.#read(client, session, subscribe))
  }

  async #read(
    client: PersistenceClient,
    session: Session,
    subscribe: (filter: string, qos: number) => void,
  ): Promise<boolean> {
    await this.#tails.get(client.id)
    const subscriptions = await this.#persistence.subscriptionsByClient(client)
    let found = subscriptions.length > 0
    for await (const packet of this.#persistence.outgoingStream(client)) {
      found = true
      if (packet.cmd === 'pubrel') session.restoreSent(packet.messageId, WAITS_PUBCOMP, null)
      else {
        const message = messageOf(packet, packet.retain)
        const waits = message.qos === 2 ? WAITS_PUBREC : WAITS_PUBACK
        const packetId = packet.messageId ?? 0 // stores that know no undefined give back null
        const wasSent = packetId > 0 && session.restoreSent(packetId, waits, message)
        if (!wasSent) session.restoreQueued(message, message.qos)
      }
    }
    for (const { topic, qos } of subscriptions) subscribe(topic, qos)
    return found
  }

  async subscribed(client: Client, subscriptions: Subscription[]): Promise<void> {
    await this.#persistence.addSubscriptions(owner(client), subscriptions)
  }

  async unsubscribed(client: Client, filters: string[]): Promise<void> {
    await this.#persistence.removeSubscriptions(owner(client), filters)
  }

  // -- messages to clients ------------------------------------------------------------------------------------------

  /**
   * Stores a message of QoS 1 or 2 for every kept session that is subscribed, each at the QoS it was granted; then calls
   * `deliver`, which gives it to the sessions that are there.
   */
  async enqueue(packet: AedesPublishPacket, deliver: () => void): Promise<void> {
    const found = await this.#persistence.subscriptionsByTopic(packet.topic)
    const granted = new Map<string, number>()
    for (const each of found) {
      if (startsWithDollar(packet.topic) && /^[+#]/.test(each.topic)) continue // [MQTT-4.7.2-1]
      granted.set(each.clientId, Math.max(granted.get(each.clientId) ?? 0, each.qos))
    }
    await this.#gate.write([...granted.keys()], async () => {
      await this.#store(packet, granted)
      deliver()
    })
  }

  async #store(packet: AedesPublishPacket, granted: ReadonlyMap<string, number>): Promise<void> {
    for (const qos of [1, 2] as const) {
      const receivers = [...granted].filter(([, max]) => Math.min(max, packet.qos) === qos)
      if (receivers.length === 0) continue
      await this.#persistence.outgoingEnqueueCombi(
        receivers.map(([clientId]) => ({ clientId })),
        { ...packet, qos, retain: false }, // [MQTT-3.3.1-9]
      )
    }
  }

  /** Stores a message for one client alone: a retained one that comes with its SUBSCRIBE. */
  async enqueueFor(client: Client, packet: AedesPublishPacket): Promise<void> {
    await this.#persistence.outgoingEnqueueCombi([{ clientId: client.id as string }], packet)
  }

  sent(session: Session, message: Message, qos: number, packetId: number): void {
    if (session.clean || message.brokerId === '') return
    void this.#watch(session.clientId, () =>
      this.#persistence.outgoingUpdate(
        { id: session.clientId },
        {
          cmd: 'publish',
          brokerId: message.brokerId,
          brokerCounter: message.brokerCounter,
          topic: message.topic,
          payload: message.payload,
          qos,
          retain: message.retain,
          messageId: packetId,
        },
      ),
    )
  }

  withheld(session: Session, message: Message): void {
    if (session.clean || message.brokerId === '') return
    const { brokerId, brokerCounter } = message
    const client = { id: session.clientId }
    // The interface removes by packet identifier only: give it one that no delivery uses, then remove that.
    const packet = { brokerId, brokerCounter, messageId: 0 }
    void this.#watch(session.clientId, () =>
      this.#persistence
        .outgoingUpdate(client, packet)
        .then(() => this.#persistence.outgoingClearMessageId(client, packet)),
    )
  }

  /** PUBACK or PUBCOMP came. */
  acknowledged(client: Client, packetId: number): void {
    if (client.clean) return
    const { id } = owner(client)
    void this.#watch(id, () => this.#persistence.outgoingClearMessageId({ id }, { messageId: packetId }))
  }

  /** PUBREC came: only the PUBREL is left to send, when this is settled. */
  async received(client: Client, packetId: number): Promise<void> {
    if (client.clean) return
    const { id } = owner(client)
    // aedes-persistence tells two PUBRELs apart by this number alone.
    const packet = { cmd: 'pubrel', messageId: packetId, brokerCounter: packetId }
    await this.#watch(id, () => this.#persistence.outgoingUpdate({ id }, packet))
  }

  async emptyOutgoing(client: PersistenceClient | Client): Promise<void> {
    const who = { id: client.id as string }
    const packets: StoredPacket[] = []
    for await (const packet of this.#persistence.outgoingStream(who)) packets.push(packet)
    for (const packet of packets) {
      const messageId = packet.messageId ?? 0
      // Removed by packet identifier only: what was never sent is given one that no delivery uses.
      if (messageId === 0) await this.#persistence.outgoingUpdate(who, { ...packet, messageId })
      await this.#persistence.outgoingClearMessageId(who, { messageId })
    }
  }

  // -- messages from clients ----------------------------------------------------------------------------------------

  async hasIncoming(client: Client, packetId: number): Promise<boolean> {
    return this.#persistence.incomingGetPacket(owner(client), { messageId: packetId }).then(
      packet => packet !== undefined && packet !== null,
      () => false,
    )
  }

  async storeIncoming(client: Client, packet: PublishPacket): Promise<void> {
    await this.#persistence.incomingStorePacket(owner(client), packet)
  }

  async releaseIncoming(client: Client, packetId: number): Promise<void> {
    if (!(await this.hasIncoming(client, packetId))) return
    // A copy of the PUBREL may have been faster.
    await this.#persistence.incomingDelPacket(owner(client), { messageId: packetId }).catch(() => {})
  }

  // -- retained messages and wills ----------------------------------------------------------------------------------

  async storeRetained(packet: AedesPublishPacket): Promise<void> {
    await this.#persistence.storeRetained(packet)
  }

  /** The retained messages of all filters, each topic once. */
  async *retained(filters: string[]): AsyncGenerator<AedesPublishPacket> {
    const seen = new Set<string>()
    for await (const packet of await this.#persistence.createRetainedStreamCombi(filters)) {
      if (seen.has(packet.topic)) continue
      seen.add(packet.topic)
      yield packet
    }
  }

  async putWill(client: Client, will: PublishPacket): Promise<void> {
    await this.#persistence.putWill(owner(client), will)
  }

  async dropWill(client: Client): Promise<void> {
    await this.#persistence.delWill({ id: owner(client).id, brokerId: client.hub.id })
  }

  /** Wills of brokers that are not among these. */
  wills(brokers: object): AsyncIterable<StoredWill> {
    return this.#persistence.streamWill(brokers)
  }

  async dropStoredWill(will: StoredWill): Promise<void> {
    await this.#persistence.delWill({ id: will.clientId, brokerId: will.brokerId })
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#tails.values())
  }

  #watch(clientId: string, work: () => Promise<unknown>): Promise<void> {
    const before = this.#tails.get(clientId) ?? Promise.resolve()
    const after = before.then(work).then(
      () => {},
      error => this.#onError(clientId, error instanceof Error ? error : new Error(String(error))),
    )
    this.#tails.set(clientId, after)
    void after.then(() => {
      if (this.#tails.get(clientId) === after) this.#tails.delete(clientId)
    })
    return after
  }
}

function owner(client: Client): PersistenceClient {
  return { id: client.id as string }
}

/** Opens a persistence and makes it the one of this hub. What fails in it ends the connection concerned. */
export async function plugPersistence(hub: Hub, persistence: Persistence): Promise<void> {
  const link = new PersistenceLink(persistence, (clientId, error) => {
    hub.log.warn({ clientId, err: error }, 'store.failed')
    hub.clients[clientId]?.fail(error)
  })
  hub.persistence = persistence
  hub.link = link
  await link.open(hub)
  hub.state.observer = link
}

import type { AedesPublishPacket, PublishPacket, Subscription } from 'aedes'

/** Who a persistence is asked about; a Client is one. */
export interface PersistenceClient {
  readonly id: string
}

/** What a persistence keeps of a message for a client: as it will be sent, or only its PUBREL. */
export type StoredPacket = AedesPublishPacket | { cmd: 'pubrel'; messageId: number }

/** A Will with who it belongs to. */
export type StoredWill = PublishPacket & { clientId: string; brokerId: string }

type Identified = { messageId: number }

/** The part of the aedes-persistence interface (11.x) that the hub uses. Any implementation may be plugged in. */
export interface Persistence {
  setup(broker: object): Promise<void>
  storeRetained(packet: AedesPublishPacket): Promise<void>
  createRetainedStreamCombi(
    filters: string[],
  ): AsyncIterable<AedesPublishPacket> | Promise<AsyncIterable<AedesPublishPacket>>
  addSubscriptions(client: PersistenceClient, subscriptions: Subscription[]): Promise<unknown>
  removeSubscriptions(client: PersistenceClient, filters: string[]): Promise<unknown>
  subscriptionsByClient(client: PersistenceClient): Promise<Subscription[]>
  subscriptionsByTopic(topic: string): Promise<(Subscription & { clientId: string })[]>
  cleanSubscriptions(client: PersistenceClient): Promise<unknown>
  outgoingEnqueueCombi(subscriptions: { clientId: string }[], packet: AedesPublishPacket): Promise<unknown>
  outgoingUpdate(client: PersistenceClient, packet: object): Promise<unknown>
  outgoingClearMessageId(client: PersistenceClient, packet: Identified): Promise<unknown>
  outgoingStream(client: PersistenceClient): AsyncIterable<StoredPacket>
  incomingStorePacket(client: PersistenceClient, packet: PublishPacket): Promise<unknown>
  incomingGetPacket(client: PersistenceClient, packet: Identified): Promise<unknown>
  incomingDelPacket(client: PersistenceClient, packet: Identified): Promise<unknown>
  cleanIncoming?(client: PersistenceClient): Promise<unknown>
  putWill(client: PersistenceClient, packet: PublishPacket): Promise<unknown>
  delWill(client: PersistenceClient & { brokerId?: string }): Promise<unknown>
  streamWill(brokers: object): AsyncIterable<StoredWill>
}

/** The part of the mqemitter interface that the hub uses. */
export interface Emitter {
  on(topic: string, listener: (packet: AedesPublishPacket, done: () => void) => void, done?: () => void): unknown
  removeListener(
    topic: string,
    listener: (packet: AedesPublishPacket, done: () => void) => void,
    done?: () => void,
  ): unknown
  emit(packet: AedesPublishPacket, done?: (error?: Error | null) => void): unknown
  close(done?: () => void): unknown
}

import type { Subscription } from 'aedes'
import { TopicTree } from '../router/index.ts'
import { isBridgeState } from './bridge-state.ts'
import type { Client } from './client.ts'
import { Message } from './message.ts'
import { RetainedCache } from './retained-cache.ts'
import { RetainedEntry } from './retained-entry.ts'
import { RetainedFeed } from './retained-feed.ts'
import type { Session } from './session.ts'
import type { HubState } from './state.ts'
import type { Store, StoredRetained } from './store/index.ts'

const CACHE_BYTES = 8_388_608

/** What is retained for filters: each once, with the one of the subscriptions that has the highest QoS. */
export interface Found {
  /** Those that are in memory only. */
  readonly messages: Map<Message, Subscription>
  /** Those that the store has. */
  readonly stored: Map<RetainedEntry, Subscription>
}

/**
 * The retained message of each topic, section 3.3.1.3, found by filter. Bounded in number and bytes, but for those below
 * `$SYS/` that are the hub's own. With a store the payloads lie there, and in memory only as far as the cache has room.
 */
export class RetainedStore {
  readonly cache: RetainedCache
  readonly #state: HubState
  readonly #tree = new TopicTree<Message | RetainedEntry>()
  readonly #feeds = new Map<Client, RetainedFeed>()
  /** Topics whose messages bridges have brought in -> their client ids. */
  readonly #bridges = new Map<string, string>()
  /** Of what is limited. */
  #bytes = 0
  /** Of what the hub says of itself. */
  #ownBytes = 0
  #ownCount = 0

  /** `cacheBytes`: memory for messages that the store has too. Default 8 MiB. */
  constructor(state: HubState, cacheBytes = CACHE_BYTES) {
    this.#state = state
    this.cache = new RetainedCache(cacheBytes)
  }

  /** Messages, those of the hub itself included. */
  get count(): number {
    return this.#tree.size
  }

  /** Bytes of topics and payloads, wherever they lie. */
  get bytes(): number {
    return this.#bytes + this.#ownBytes
  }

  /** Those that limits.retained holds for: all but the hub's own. */
  get limited(): { count: number; bytes: number } {
    return { count: this.#tree.size - this.#ownCount, bytes: this.#bytes }
  }

  /**
   * Keeps a message that was published with RETAIN 1, in place of the one before [MQTT-3.3.1-5]; an empty payload
   * removes it [MQTT-3.3.1-10] [MQTT-3.3.1-11]. `bridge`: client id of the bridge that published it. Returns false when a
   * limit forbids to keep it.
   */
  store(topic: string, payload: Uint8Array, qos: number, bridge = ''): boolean {
    const isState = isBridgeState(topic)
    if (!isState && isOwn(topic)) return this.#storeOwn(topic, payload, qos)
    const old = this.#tree.get(topic)
    const { settings } = this.#state
    const store = isState ? null : this.#state.store // bridges say it anew
    if (payload.length === 0) {
      if (old !== undefined) this.#remove(topic, old, store)
      return true
    }
    const size = sizeOf(topic, payload)
    const bytes = this.#bytes + size - (old?.size ?? 0)
    const isOver = (old === undefined && this.limited.count >= settings.retainedCount) || bytes > settings.retainedBytes
    if (isOver || (store !== null && store.blocked !== null)) {
      this.#state.counters.droppedRetained++
      // The old one must not be taken for the current value.
      if (old !== undefined) this.#remove(topic, old, store)
      return false
    }
    const message = Message.of(topic, payload, qos, true)
    if (store === null) this.#tree.set(topic, message)
    else {
      store.saveRetained(topic, qos, payload, bridge)
      const entry = old instanceof RetainedEntry ? old : this.#add(topic)
      this.cache.forget(entry)
      entry.become(size, qos)
      this.cache.pin(entry, message, store)
    }
    this.#bytes = bytes
    this.#noteBridge(topic, bridge)
    return true
  }

  /** A message as it was stored when the hub ended. */
  restore(topic: string, { payload, qos, bridge }: StoredRetained): void {
    const entry = this.#add(topic)
    this.#noteBridge(topic, bridge)
    entry.become(sizeOf(topic, payload), qos)
    this.#bytes += entry.size
    if (this.cache.hasRoomFor(entry)) this.cache.keep(entry, Message.of(topic, payload, qos, true), true)
  }

  /** What the store has for this topic. */
  stored(topic: string): RetainedEntry | undefined {
    const item = this.#tree.get(topic)
    return item instanceof RetainedEntry ? item : undefined
  }

  /** Whether the bridge with this client id has brought in what is retained for a topic. */
  isOfBridge(topic: string, clientId: string): boolean {
    return this.#bridges.get(topic) === clientId
  }

  /** All whose topics one of the filters matches; without what the bridge with this client id has brought in. */
  find(subscriptions: readonly Subscription[], bridge = ''): Found {
    const found: Found = { messages: new Map(), stored: new Map() }
    const { messages, stored } = found
    for (const each of subscriptions) {
      this.#tree.match(each.topic, item => {
        if (bridge !== '' && this.isOfBridge(item.topic, bridge)) return
        if (item instanceof RetainedEntry) note(stored, item, each)
        else note(messages, item, each)
      })
    }
    return found
  }

  /**
   * Sends stored messages to a client, from the cache or from disk. Settled when all are sent; or when the client does
   * not keep up, and then it gets the rest when it has room.
   */
  feed(client: Client, session: Session, store: Store, found: Found['stored']): Promise<void> {
    let feed = this.#feeds.get(client)
    if (feed === undefined) {
      feed = new RetainedFeed(client, session, store, this, () => this.#feeds.delete(client))
      this.#feeds.set(client, feed)
    }
    return feed.send(found)
  }

  #add(topic: string): RetainedEntry {
    const entry = new RetainedEntry(topic)
    this.#tree.set(topic, entry)
    return entry
  }

  #noteBridge(topic: string, bridge: string): void {
    if (bridge !== '') this.#bridges.set(topic, bridge)
    else if (this.#bridges.size > 0) this.#bridges.delete(topic)
  }

  #remove(topic: string, old: Message | RetainedEntry, store: Store | null): void {
    this.#tree.delete(topic)
    this.#bridges.delete(topic)
    this.#bytes -= old.size
    store?.dropRetained(topic)
    if (!(old instanceof RetainedEntry)) return
    this.cache.forget(old)
    old.isGone = true
  }

  /** What the hub says of itself is not stored, for the next one says it anew, and no client's doing, so not limited. */
  #storeOwn(topic: string, payload: Uint8Array, qos: number): boolean {
    const old = this.#tree.get(topic)
    if (old !== undefined) {
      this.#ownBytes -= old.size
      this.#ownCount--
    }
    if (payload.length === 0) {
      this.#tree.delete(topic)
      return true
    }
    this.#tree.set(topic, Message.of(topic, payload, qos, true))
    this.#ownBytes += sizeOf(topic, payload)
    this.#ownCount++
    return true
  }
}

function isOwn(topic: string): boolean {
  return topic.startsWith('$SYS/')
}

function sizeOf(topic: string, payload: Uint8Array): number {
  return 2 + Buffer.byteLength(topic) + payload.length
}

function note<T>(found: Map<T, Subscription>, item: T, subscription: Subscription): void {
  const other = found.get(item)
  if (other === undefined || other.qos < subscription.qos) found.set(item, subscription)
}

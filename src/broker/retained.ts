import { TopicTree } from '../router/index.ts'
import { Message } from './message.ts'
import type { HubState } from './state.ts'
import type { Store } from './store/index.ts'

/** The retained message of each topic, section 3.3.1.3, found by filter. Bounded in number and bytes. */
export class RetainedStore {
  readonly #state: HubState
  readonly #tree = new TopicTree<Message>()
  #bytes = 0

  constructor(state: HubState) {
    this.#state = state
  }

  get count(): number {
    return this.#tree.size
  }

  /** Bytes of topics and payloads. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Keeps a message that was published with RETAIN 1, in place of the one before [MQTT-3.3.1-5]; an empty payload
   * removes it [MQTT-3.3.1-10] [MQTT-3.3.1-11]. Returns false when a limit forbids to keep it.
   */
  store(topic: string, payload: Uint8Array, qos: number): boolean {
    if (payload.length === 0) {
      const removed = this.#tree.delete(topic)
      if (removed === undefined) return true
      this.#bytes -= removed.size
      this.#storeFor(topic)?.dropRetained(topic)
      return true
    }
    const old = this.#tree.get(topic)
    const message = Message.of(topic, payload, qos, true)
    const bytes = this.#bytes + message.size - (old?.size ?? 0)
    const { settings } = this.#state
    const store = this.#storeFor(topic)
    const isOver = (old === undefined && this.#tree.size >= settings.retainedCount) || bytes > settings.retainedBytes
    if (isOver || (store !== null && store.blocked !== null)) {
      this.#state.counters.droppedRetained++
      // The old one must not be taken for the current value.
      if (old !== undefined) {
        this.#tree.delete(topic)
        this.#bytes -= old.size
        store?.dropRetained(topic)
      }
      return false
    }
    this.#tree.set(topic, message)
    this.#bytes = bytes
    store?.saveRetained(topic, qos, payload)
    return true
  }

  /** A message as it was stored when the hub ended. */
  restore(topic: string, payload: Uint8Array, qos: number): void {
    const message = Message.of(topic, payload, qos, true)
    this.#tree.set(topic, message)
    this.#bytes += message.size
  }

  /** What the hub says of itself is not stored: the next one says it anew. */
  #storeFor(topic: string): Store | null {
    return topic.startsWith('$SYS/') ? null : this.#state.store
  }

  /** Visits every retained message whose topic matches. */
  match(filter: string, visit: (message: Message) => void): void {
    this.#tree.match(filter, visit)
  }
}

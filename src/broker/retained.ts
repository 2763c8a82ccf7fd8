import { TopicTree } from '../router/index.ts'
import { Message } from './message.ts'
import type { HubState } from './state.ts'

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
      if (removed !== undefined) this.#bytes -= removed.size
      return true
    }
    const old = this.#tree.get(topic)
    const message = Message.of(topic, payload, qos, true)
    const bytes = this.#bytes + message.size - (old?.size ?? 0)
    const { retainedCount, retainedBytes } = this.#state.settings
    if ((old === undefined && this.#tree.size >= retainedCount) || bytes > retainedBytes) {
      this.#state.counters.droppedRetained++
      // The old one must not be taken for the current value.
      if (old !== undefined) {
        this.#tree.delete(topic)
        this.#bytes -= old.size
      }
      return false
    }
    this.#tree.set(topic, message)
    this.#bytes = bytes
    return true
  }

  /** Visits every retained message whose topic matches. */
  match(filter: string, visit: (message: Message) => void): void {
    this.#tree.match(filter, visit)
  }
}

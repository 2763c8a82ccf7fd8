import type { AedesPublishPacket } from 'aedes'
import { SubscriptionTree } from '../router/index.ts'
import type { HubState } from './state.ts'

/** Gets a message and calls back when it is ready for the next. */
export type Deliver = (packet: AedesPublishPacket, callback: () => void) => void

/** A function of the program itself that subscribed with `hub.subscribe`. */
export class LocalSubscriber {
  readonly deliver: Deliver

  constructor(deliver: Deliver) {
    this.deliver = deliver
  }
}

/** The subscriptions of functions: a topic filter and a function are the key. */
export class LocalSubscriptions {
  /** Apart from the clients' filters: here `#` hears `$SYS` as well, as it does in aedes. */
  readonly tree = new SubscriptionTree<LocalSubscriber>()
  readonly #state: HubState
  readonly #byFilter = new Map<string, Map<Deliver, LocalSubscriber>>()

  constructor(state: HubState) {
    this.#state = state
  }

  get isEmpty(): boolean {
    return this.#byFilter.size === 0
  }

  add(filter: string, deliver: Deliver): void {
    let byFunction = this.#byFilter.get(filter)
    if (byFunction === undefined) {
      byFunction = new Map()
      this.#byFilter.set(filter, byFunction)
    }
    if (byFunction.has(deliver)) return
    const subscriber = new LocalSubscriber(deliver)
    byFunction.set(deliver, subscriber)
    this.tree.add(filter, subscriber, 2)
    this.#state.epoch++
  }

  remove(filter: string, deliver: Deliver): void {
    const byFunction = this.#byFilter.get(filter)
    const subscriber = byFunction?.get(deliver)
    if (byFunction === undefined || subscriber === undefined) return
    byFunction.delete(deliver)
    if (byFunction.size === 0) this.#byFilter.delete(filter)
    this.tree.remove(filter, subscriber)
    this.#state.epoch++
  }
}

import type { LinkFigures } from './figures.ts'
import type { Link } from './link.ts'
import { type RuleState, retainedPacket, stateOf } from './status.ts'

/** Tells the hub of the state of a rule, whenever it is another one. */
export class StatusTeller {
  readonly #hub: Link
  readonly #remote: () => LinkFigures
  #topic: string | null
  /** What the hub was told last on this connection. */
  #told = ''
  /** Topics where a state stands that nobody keeps up any more. */
  readonly #stale = new Set<string>()
  #isEnded = false

  /** `topic`: where the state is told; null: nowhere. */
  constructor(hub: Link, remote: () => LinkFigures, topic: string | null) {
    this.#hub = hub
    this.#remote = remote
    this.#topic = topic
  }

  get topic(): string | null {
    return this.#topic
  }

  /** Tells it elsewhere from now on. `isOtherHub`: the link is about to connect to another hub. */
  use(topic: string | null, isOtherHub: boolean): void {
    const before = this.#topic
    if (before === topic && !isOtherHub) return
    if (before !== null) this.#stale.add(before)
    this.#topic = isOtherHub ? null : topic
    this.#clear()
    if (isOtherHub) this.#stale.clear()
    this.#topic = topic
    this.#told = ''
  }

  /** States at these topics are nobody's any more. */
  forget(topics: readonly string[]): void {
    for (const topic of topics) this.#stale.add(topic)
    this.#clear()
  }

  /** Something may have changed. */
  update(): void {
    if (this.#isEnded) return
    if (!this.#hub.isConnected) {
      this.#told = ''
      return
    }
    this.#clear()
    const payload = JSON.stringify(stateOf(this.#remote()))
    if (payload !== this.#told && this.#tell(this.#topic, payload)) this.#told = payload
  }

  /** Has the last word. `forGood`: the hub is to forget the state. Returns topics that it could not be made to forget. */
  end(forGood: boolean): readonly string[] {
    this.#isEnded = true
    const state: RuleState = { connected: false, since: new Date().toISOString(), error: 'the bridge was stopped' }
    if (!forGood) this.#tell(this.#topic, JSON.stringify(state))
    else if (this.#topic !== null) this.#stale.add(this.#topic)
    this.#clear()
    return [...this.#stale]
  }

  #clear(): void {
    if (this.#hub.connection === null) return
    for (const topic of this.#stale) if (this.#isEnded || topic !== this.#topic) this.#tell(topic, '')
    this.#stale.clear()
  }

  /** Only a hub that knows bridges takes a topic with $ without harm. */
  #tell(topic: string | null, payload: string): boolean {
    if (topic === null || this.#hub.connection === null) return false
    if (topic.startsWith('$') && !this.#hub.isPrivate) return false
    this.#hub.tell(retainedPacket(topic, payload))
    return true
  }
}

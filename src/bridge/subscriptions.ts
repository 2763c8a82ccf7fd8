import type { Filter, MqttSession } from './mqtt-session.ts'

/** What one connection is subscribed to, brought to what is wanted by one request after the other. */
export class Subscriptions {
  readonly #session: MqttSession
  /** What the broker has answered for, with the QoS that was asked for. */
  readonly #answered = new Map<string, number>()
  readonly #refused = new Set<string>()
  #wanted: readonly Filter[] = []
  #isBusy = false
  #done: Promise<void> = Promise.resolve()

  constructor(session: MqttSession) {
    this.#session = session
  }

  /** Filters that are wanted, and that the broker does not grant [MQTT-3.9.3-2]. */
  get refused(): readonly string[] {
    return this.#wanted.map(({ topic }) => topic).filter(topic => this.#refused.has(topic))
  }

  /**
   * Resolves when the broker has answered for all that is wanted by then, which may be what a later call asked for. Rejects when the
   * connection ends before.
   */
  want(filters: readonly Filter[]): Promise<void> {
    this.#wanted = filters
    if (!this.#isBusy) this.#done = this.#work()
    return this.#done
  }

  async #work(): Promise<void> {
    this.#isBusy = true
    try {
      while (await this.#step());
    } finally {
      this.#isBusy = false
    }
  }

  /** Makes one request. False: there is nothing left to ask for. */
  async #step(): Promise<boolean> {
    const wanted = this.#wanted
    const gone = [...this.#answered.keys()].filter(topic => !wanted.some(filter => filter.topic === topic))
    if (gone.length > 0) {
      await this.#session.unsubscribe(gone)
      for (const topic of gone) {
        this.#answered.delete(topic)
        this.#refused.delete(topic)
      }
      return true
    }
    const news = wanted.filter(({ topic, qos }) => this.#answered.get(topic) !== qos)
    if (news.length === 0) return false
    const refused = new Set(await this.#session.subscribe(news))
    for (const { topic, qos } of news) {
      this.#answered.set(topic, qos)
      if (refused.has(topic)) this.#refused.add(topic)
      else this.#refused.delete(topic)
    }
    return true
  }
}

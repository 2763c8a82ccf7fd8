/** Who publishes where and who takes what. `%d` in a topic or filter stands for the number of the topic. */
export interface TopologyOptions {
  publishers: number
  subscribers: number
  topics: number
  topic: string
  /** A filter without `%d` takes every topic. */
  filter: string
  /**
   * Topics that the broker publishes every message to besides. Then the subscribers of a topic are dealt out to it and to
   * these, in turn; the filter has a `%d`.
   */
  copies?: readonly string[]
}

/**
 * Publishers and topics are dealt out evenly: with at least as many topics as publishers, publisher p goes round the
 * topics t with t % publishers = p; with fewer, it keeps to topic p % topics. Subscriber s takes topic s % topics, or
 * all. A stream is what one publisher sends on one topic: order is promised within it.
 */
export class Topology {
  readonly takesAll: boolean
  /** For each publisher the topics that it goes round. */
  readonly topicsOf: readonly (readonly number[])[]
  readonly #options: TopologyOptions
  readonly #firstStreamOf: number[] = []

  constructor(options: TopologyOptions) {
    const { publishers, topics } = options
    this.#options = options
    this.takesAll = !options.filter.includes('%d')
    const topicsOf: number[][] = []
    let streams = 0
    for (let publisher = 0; publisher < publishers; publisher++) {
      const own: number[] = []
      if (topics < publishers) own.push(publisher % topics)
      else for (let topic = publisher; topic < topics; topic += publishers) own.push(topic)
      topicsOf.push(own)
      this.#firstStreamOf.push(streams)
      streams += own.length
    }
    this.topicsOf = topicsOf
  }

  topicName(topic: number): string {
    return this.#options.topic.replaceAll('%d', String(topic))
  }

  filterOf(subscriber: number): string {
    return this.copyOf(subscriber) ?? this.#options.filter.replaceAll('%d', String(this.topicOfSubscriber(subscriber)))
  }

  /** The topic that this subscriber gets copies under, null when it gets what was published. */
  copyOf(subscriber: number): string | null {
    const { copies = [], topics } = this.#options
    const turn = Math.floor(subscriber / topics) % (copies.length + 1)
    return copies[turn - 1]?.replaceAll('%d', String(this.topicOfSubscriber(subscriber))) ?? null
  }

  topicOfSubscriber(subscriber: number): number {
    return subscriber % this.#options.topics
  }

  /** How many subscribers get a message of this topic. */
  receiversOf(topic: number): number {
    const { subscribers, topics } = this.#options
    if (this.takesAll) return subscribers
    return Math.floor(subscribers / topics) + (topic < subscribers % topics ? 1 : 0)
  }

  /** How many streams one subscriber has to follow. */
  get streamsPerSubscriber(): number {
    const { publishers, topics } = this.#options
    if (this.takesAll) return this.topicsOf.reduce((sum, own) => sum + own.length, 0)
    return Math.ceil(publishers / topics)
  }

  /** The number, for a subscriber, of the first of this publisher's streams; those of its further topics follow. */
  firstStreamOf(publisher: number): number {
    if (this.takesAll) return this.#firstStreamOf[publisher] as number
    return Math.floor(publisher / this.#options.topics)
  }
}

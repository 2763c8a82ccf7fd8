import type { Logger } from '../common/index.ts'
import { filtersFor, mayReturn, targetOf, type Way, waysBack } from './circles.ts'
import type { Direction } from './figures.ts'
import type { FlowGuard } from './flow-end.ts'
import type { Link } from './link.ts'
import { payloadOf, topicOf } from './outgoing.ts'
import { PROOF_MS } from './proof.ts'
import type { TopicMap, TopicPlan } from './topic-map.ts'

/** Topics whose ways back are remembered, and the longest one. */
const MOST_TOPICS = 1000
const LONGEST_TOPIC = 1024
/** A loop is told of again after this. */
const REMIND_MS = 60_000
/** Between the names of the rules on a way round. No name has it. */
const ARROW = ' -> '

/** One direction of a rule, as far as its messages may come back. */
export interface Guarded extends Way {
  readonly direction: Direction
  /** What the rule takes in the other direction. */
  readonly back: TopicMap
}

/** A link that would be sent a message again. */
interface Taker {
  readonly link: Link
  /** Those of its filters that ask for it. */
  readonly filters: readonly string[]
  /** The name of the rule, or those of all rules on the way round. */
  readonly by: string
  /** It is sent the message. Not so for the link that publishes it, where the broker knows it as a bridge. */
  readonly isSure: boolean
}

/**
 * Keeps messages of one direction of a rule from coming back over the broker that they go to: by the same link, where the broker does
 * not know it as a bridge, or by other rules. Each message that may is remembered where it would be taken up first, and counts as
 * an echo when it comes; once, so that a message of somebody else with the same topic and payload gets through.
 */
export class LoopGuard implements FlowGuard {
  readonly #way: Guarded
  readonly #all: readonly Way[]
  readonly #log: Logger
  readonly #takers = new Map<string, readonly Taker[]>()
  readonly #told = new Map<string, number>()

  private constructor(way: Guarded, all: readonly Way[], log: Logger) {
    this.#way = way
    this.#all = all
    this.#log = log
  }

  /** The guard of one of all ways; null: nothing can come back. */
  static of(way: Guarded, all: readonly Way[], log: Logger): LoopGuard | null {
    const used = all.filter(({ from }) => from.settings.filters.length > 0)
    const isMutual = way.to.settings.filters.length > 0
    return isMutual || mayReturn(way, used) ? new LoopGuard(way, used, log) : null
  }

  isEcho(plan: TopicPlan, chunk: Buffer, payloadAt: number, end: number, now: number): boolean {
    const { rule, from } = this.#way
    if (from.echoes.isEmpty) return false
    const by = from.echoes.take(plan.topic, chunk.subarray(payloadAt, end), now)
    if (by === null) return false
    if (by !== rule) this.#warn(by, plan.topic, now)
    return true
  }

  sent(plan: TopicPlan | null, bytes: Buffer, start: number, end: number): void {
    const topic = plan?.target ?? topicOf(bytes, start)
    const takers = this.#takers.get(topic) ?? this.#learn(topic)
    if (takers.length === 0) return
    const isRetained = ((bytes[start] as number) & 1) === 1
    const { broker } = this.#way.to
    const now = performance.now()
    for (const { link, filters, by, isSure } of takers) {
      if (!link.hears(filters, isRetained)) continue
      const isExpected = isSure || (link === this.#way.to && !link.isGranted)
      if (isExpected) link.echoes.expect(topic, payloadOf(bytes, start, end), by, now)
      else if (!link.echoes.isKept(broker, now)) {
        // A new connection is sent what is retained in any case, and that may be the same.
        const mayProve = !isRetained || now - link.connectedAt > PROOF_MS
        link.echoes.doubt(topic, payloadOf(bytes, start, end), { broker, by, mayProve }, now)
      }
    }
  }

  #learn(topic: string): readonly Taker[] {
    const takers = this.#findTakers(topic)
    if (topic.length > LONGEST_TOPIC) return takers
    if (this.#takers.size >= MOST_TOPICS) this.#takers.clear()
    this.#takers.set(topic, takers)
    return takers
  }

  #findTakers(topic: string): Taker[] {
    const { to, back, rule } = this.#way
    const takers: Taker[] = []
    if (targetOf(back, topic) !== null)
      takers.push({ link: to, filters: filtersFor(to, topic), by: rule, isSure: false })
    for (const { first, rules, isSure } of waysBack(this.#way, topic, this.#all)) {
      const link = first.from
      takers.push({ link, filters: filtersFor(link, topic), by: rules.join(ARROW), isSure })
    }
    return takers
  }

  #warn(rules: string, topic: string, now: number): void {
    const before = this.#told.get(rules)
    if (before !== undefined && now - before < REMIND_MS) return
    if (this.#told.size >= MOST_TOPICS) this.#told.clear()
    this.#told.set(rules, now)
    this.#log.warn({ rules: rules.split(ARROW), topic, direction: this.#way.direction }, 'bridge.loop')
  }
}

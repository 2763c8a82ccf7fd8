import type { Logger } from '../common/index.ts'
import { EchoMemory } from './echo-memory.ts'
import type { Direction } from './figures.ts'
import type { Flow } from './flow.ts'
import type { FlowGuard } from './flow-end.ts'
import type { Link } from './link.ts'
import { payloadOf, topicOf } from './outgoing.ts'
import type { TopicMap, TopicPlan } from './topic-map.ts'

const MEMORY = { max: 10_000, ttlMs: 60_000 }
/** Topics whose way back is remembered. */
const MOST_TOPICS = 1000
/** A loop is told of again after this. */
const REMIND_MS = 60_000

/** A rule, as far as its messages may come back. */
export interface Looped {
  readonly name: string
  readonly hub: Link
  readonly remote: Link
  readonly out: Flow
  readonly in: Flow
}

/**
 * Keeps messages of one direction of a rule from coming back over the broker that they go to: by the same link, where the broker does
 * not know it as a bridge, or by another rule with the same remote. Each message that may is remembered, and counts as an
 * echo when it comes; once, so that a message of somebody else with the same topic and payload gets through.
 */
export class LoopGuard implements FlowGuard {
  readonly #rule: Looped
  readonly #direction: Direction
  readonly #others: readonly Looped[]
  readonly #log: Logger
  readonly #ways = new Map<string, readonly Link[]>()
  readonly #told = new Map<string, number>()

  /** `others`: rules with the same remote. */
  constructor(rule: Looped, direction: Direction, others: readonly Looped[], log: Logger) {
    this.#rule = rule
    this.#direction = direction
    this.#others = others
    this.#log = log
  }

  isEcho(_flow: Flow, plan: TopicPlan, chunk: Buffer, payloadAt: number, end: number, now: number): boolean {
    const memory = (this.#direction === 'out' ? this.#rule.hub : this.#rule.remote).echoes
    if (memory === null) return false
    const from = memory.take(plan.topic, chunk.subarray(payloadAt, end), now)
    if (from === null) return false
    if (from !== this.#rule.name) this.#warn(from, plan.topic, now)
    return true
  }

  sent(_flow: Flow, plan: TopicPlan | null, bytes: Buffer, start: number, end: number): void {
    const topic = plan?.target ?? topicOf(bytes, start)
    let ways = this.#ways.get(topic)
    if (ways === undefined) {
      ways = this.#findWays(topic)
      if (this.#ways.size >= MOST_TOPICS) this.#ways.clear()
      this.#ways.set(topic, ways)
    }
    for (const link of ways) {
      if (link === this.#target && link.isPrivate) continue
      link.echoes ??= new EchoMemory(MEMORY)
      link.echoes.expect(topic, payloadOf(bytes, start, end), this.#rule.name, performance.now())
    }
  }

  get #target(): Link {
    return this.#direction === 'out' ? this.#rule.remote : this.#rule.hub
  }

  /** Links that get what is published to this topic of the target, and would bring it back. */
  #findWays(topic: string): Link[] {
    const isOut = this.#direction === 'out'
    const onward = (isOut ? this.#rule.out : this.#rule.in).topics
    const ways: Link[] = []
    const own = isOut ? this.#rule.in : this.#rule.out
    if (takes(own.topics, topic) !== null) ways.push(this.#target)
    for (const other of this.#others) {
      const back = takes((isOut ? other.in : other.out).topics, topic)
      if (back !== null && takes(onward, back) !== null) ways.push(isOut ? other.remote : other.hub)
    }
    return ways
  }

  #warn(from: string, topic: string, now: number): void {
    const before = this.#told.get(from)
    if (before !== undefined && now - before < REMIND_MS) return
    this.#told.set(from, now)
    this.#log.warn({ rules: [from, this.#rule.name], topic, direction: this.#direction }, 'bridge.loop')
  }
}

/** The topic that a message of this topic gets; null when the map does not take it. */
function takes(topics: TopicMap, topic: string): string | null {
  const bytes = Buffer.from(topic)
  const plan = topics.find(bytes, 0, bytes.length)
  return plan === null || plan.qos < 0 || plan.problem !== '' ? null : plan.target
}

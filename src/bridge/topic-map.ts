import { isUtf8 } from 'node:buffer'
import { type TopicLimits, topicNameProblem } from '../common/index.ts'
import { type BridgeSubscriptionConfig, isTemplateProblem, parseTemplate, type TopicTemplate } from '../config/index.ts'
import { RateLimit, renderTopic, SubscriptionTree } from '../router/index.ts'

/** What becomes of messages of one topic. */
export interface TopicPlan {
  readonly topic: string
  readonly bytes: Buffer
  /** The topic at the target; meaningless when there is a problem, or when nothing matches. */
  readonly target: string
  /** Null: the same topic as at the source. */
  readonly targetBytes: Buffer | null
  /** The highest QoS that a message leaves with; -1 when no subscription takes the topic. */
  readonly qos: number
  /** Messages leave without RETAIN. */
  readonly clearsRetain: boolean
  /** Shared by all topics of a subscription. */
  readonly limit: RateLimit | null
  /** Why the target is no topic, as a clause such as `target topic (...) has a wildcard`; empty: it is one. */
  readonly problem: string
}

/** What MQTT allows; what a broker refuses beyond that is for the broker to say. */
const LIMITS: TopicLimits = { maxBytes: 65_535, maxLevels: Number.POSITIVE_INFINITY }
/** Longer topics are looked up anew each time: a few of them would push out all others. */
const LONGEST_KEPT = 1024
const FIRST_SLOTS = 64
/** Twice as many as there are plans in {@link MOST_BYTES}. */
const MOST_SLOTS = 4096
/** How many slots, one after the other, a plan may be in. */
const WINDOW = 8
/** What the plans of one map may take. A rule has two maps, and there may be a hundred rules. */
const MOST_BYTES = 512 * 1024
/** What a plan takes beside its texts, each of which there is as bytes and as a string. */
const PLAN_BYTES = 550

/**
 * What becomes of a message, found by the bytes of its topic: of the subscriptions of one direction that match, the one with
 * the highest QoS decides, among equals the first. So there is one copy of each message.
 *
 * Bounded, whatever topics come: plans are kept in a table where each has a few possible places; when they take too many
 * bytes, some are forgotten.
 */
export class TopicMap {
  /** What to subscribe to at the source, each filter once. */
  readonly filters: readonly { readonly topic: string; readonly qos: number }[]
  /** The highest QoS that a message may leave with. */
  readonly maxQos: number
  readonly #tree = new SubscriptionTree<Subscription>()
  readonly #limits: ReadonlyMap<string, Subscription>
  #slots: (Plan | null)[] = emptySlots(FIRST_SLOTS)
  #mask = FIRST_SLOTS - 1
  #kept = 0
  #bytes = 0
  /** The slot where it is decided next whether a plan is forgotten. */
  #hand = 0
  #last: Plan

  /**
   * @param before limits on messages a second that did not change go on where this one left off
   * @throws RangeError when a target is no template, or asks who published; the configuration sees to it that none does
   */
  constructor(subscriptions: readonly BridgeSubscriptionConfig[], before: TopicMap | null = null) {
    const byFilter = new Map<string, Subscription>()
    for (const [order, config] of subscriptions.entries()) {
      const rival = byFilter.get(config.topic)
      if (rival !== undefined && rival.config.qos >= config.qos) continue
      byFilter.set(config.topic, new Subscription(config, order))
    }
    const chosen = [...byFilter.values()].toSorted((a, b) => a.order - b.order)
    for (const subscription of chosen) {
      const old = before === null ? undefined : before.#limits.get(subscription.key)
      if (old !== undefined) subscription.continues(old)
      this.#tree.add(subscription.config.topic, subscription, subscription.config.qos)
    }
    this.maxQos = chosen.reduce((most, { config }) => Math.max(most, Math.min(config.qos, config.target.qos)), 0)
    this.filters = chosen.map(({ config: { topic, qos } }) => ({ topic, qos }))
    this.#limits = new Map(chosen.map(subscription => [subscription.key, subscription]))
    this.#last = this.#make(Buffer.alloc(0), 0)
  }

  /** What becomes of the topic in bytes[at..at+length); null when they are no well-formed UTF-8 [MQTT-1.5.3-1]. */
  find(bytes: Buffer, at: number, length: number): TopicPlan | null {
    const last = this.#last
    if (isTopic(last, bytes, at, length)) return last
    const hash = hashOf(bytes, at, length)
    for (let i = 0; i < WINDOW; i++) {
      const plan = this.#slots[(hash + i) & this.#mask] as Plan | null
      if (plan !== null && plan.hash === hash && isTopic(plan, bytes, at, length)) {
        this.#last = plan
        return plan
      }
    }
    return this.#learn(bytes, at, length, hash)
  }

  #learn(bytes: Buffer, at: number, length: number, hash: number): Plan | null {
    const own = bytes.subarray(at, at + length)
    if (!isUtf8(own)) return null
    const plan = this.#make(copyOf(own), hash)
    this.#last = plan
    if (length <= LONGEST_KEPT && plan.target.length <= LONGEST_KEPT) this.#keep(plan)
    return plan
  }

  #make(bytes: Buffer, hash: number): Plan {
    const topic = bytes.toString('utf8')
    const matching: Subscription[] = []
    this.#tree.match(topic, subscription => matching.push(subscription))
    const [first = null, ...others] = matching
    const best = others.reduce((a, b) => (a === null || b.isBefore(a) ? b : a), first)
    return new Plan(topic, bytes, hash, best)
  }

  #keep(plan: Plan): void {
    if (this.#kept * 2 >= this.#slots.length && this.#slots.length < MOST_SLOTS) this.#grow()
    this.#put(plan)
    // Topics have places without any order, so any of them may be the next to go.
    while (this.#bytes > MOST_BYTES) {
      this.#hand = (this.#hand + 1) & this.#mask
      if (this.#slots[this.#hand] !== plan) this.#forget(this.#hand)
    }
  }

  #put(plan: Plan): void {
    let slot = plan.hash & this.#mask
    for (let i = 1; i < WINDOW && this.#slots[slot] !== null; i++) slot = (plan.hash + i) & this.#mask
    this.#forget(slot)
    this.#slots[slot] = plan
    this.#kept++
    this.#bytes += plan.size
  }

  #forget(slot: number): void {
    const plan = this.#slots[slot] ?? null
    if (plan === null) return
    this.#slots[slot] = null
    this.#kept--
    this.#bytes -= plan.size
  }

  #grow(): void {
    const plans = this.#slots
    this.#slots = emptySlots(plans.length * 2)
    this.#mask = this.#slots.length - 1
    this.#kept = 0
    this.#bytes = 0
    for (const plan of plans) if (plan !== null) this.#put(plan)
  }
}

class Subscription {
  readonly config: BridgeSubscriptionConfig
  /** Its position in the file. */
  readonly order: number
  /** Null: topics stay as they are. */
  readonly template: TopicTemplate | null
  limit: RateLimit | null

  constructor(config: BridgeSubscriptionConfig, order: number) {
    this.config = config
    this.order = order
    this.template = templateOf(config)
    this.limit = config.limit === null ? null : new RateLimit(config.limit.rate, config.limit.burst)
  }

  get key(): string {
    return `${this.config.topic}\0${this.config.target.topic}`
  }

  isBefore(other: Subscription): boolean {
    const more = this.config.qos - other.config.qos
    return more === 0 ? this.order < other.order : more > 0
  }

  continues(other: Subscription): void {
    const { limit } = this.config
    const before = other.config.limit
    if (limit?.rate === before?.rate && limit?.burst === before?.burst) this.limit = other.limit
  }
}

function templateOf({ topic, target }: BridgeSubscriptionConfig): TopicTemplate | null {
  if (target.topic === '') return null
  const template = parseTemplate(target.topic, topic)
  if (isTemplateProblem(template)) throw new RangeError(`target topic (${target.topic}) ${template.problem}`)
  if (template.isPersonal) throw new RangeError(`target topic (${target.topic}) asks who published`)
  return template
}

class Plan implements TopicPlan {
  readonly topic: string
  readonly bytes: Buffer
  readonly hash: number
  readonly target: string
  readonly targetBytes: Buffer | null
  readonly qos: number
  readonly clearsRetain: boolean
  readonly limit: RateLimit | null
  readonly problem: string
  /** Bytes that it takes, more or less. */
  readonly size: number

  constructor(topic: string, bytes: Buffer, hash: number, subscription: Subscription | null) {
    const target = subscription === null ? topic : targetOf(subscription, topic)
    const problem = subscription === null ? null : topicNameProblem(target, LIMITS)
    const isSame = target === topic || problem !== null
    this.topic = topic
    this.bytes = bytes
    this.hash = hash
    this.target = target
    this.targetBytes = isSame ? null : copyOf(Buffer.from(target))
    this.qos = subscription === null ? -1 : Math.min(subscription.config.qos, subscription.config.target.qos)
    this.clearsRetain = subscription?.config.target.retain === 'clear'
    this.limit = subscription?.limit ?? null
    this.problem = problem === null ? '' : `target topic (${shorten(target)}) ${problem}`
    this.size = PLAN_BYTES + (bytes.length + (this.targetBytes?.length ?? 0) + this.problem.length) * 3
  }
}

function targetOf({ template, config }: Subscription, topic: string): string {
  if (template === null) return topic
  const target = renderTopic(template, config.topic, topic, null)
  // Only a template that asks who published has nothing to render.
  return typeof target === 'string' ? target : ''
}

/** Memory of its own: a slice of the pool would keep all of the pool's block alive. */
function copyOf(bytes: Buffer): Buffer {
  const own = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(own)
  return own
}

function emptySlots(count: number): (Plan | null)[] {
  return Array.from({ length: count }, () => null)
}

/** Backwards: topics that differ mostly do so at their end. */
function isTopic(plan: Plan, bytes: Buffer, at: number, length: number): boolean {
  const own = plan.bytes
  if (own.length !== length) return false
  let i = length - 1
  // Four at a time takes three quarters of the time.
  for (; i >= 3; i -= 4) {
    const j = at + i
    if (own[i] !== bytes[j] || own[i - 1] !== bytes[j - 1]) return false
    if (own[i - 2] !== bytes[j - 2] || own[i - 3] !== bytes[j - 3]) return false
  }
  for (; i >= 0; i--) if (own[i] !== bytes[at + i]) return false
  return true
}

function hashOf(bytes: Buffer, at: number, length: number): number {
  let hash = length
  const end = at + length
  let i = at
  for (; i < end - 1; i += 2) {
    hash = (Math.imul(hash, 961) + (bytes[i] as number) * 31 + (bytes[i + 1] as number)) | 0
  }
  if (i < end) hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0
  hash ^= hash >>> 15
  return Math.imul(hash, 0x2c1b3c6d) ^ (hash >>> 12)
}

function shorten(topic: string): string {
  return topic.length > 100 ? `${topic.slice(0, 100)}...` : topic
}

import { isUtf8 } from 'node:buffer'
import type { Principal } from '../auth/index.ts'
import { startsWithDollar, topicNameProblem } from '../common/index.ts'
import type { Rule, SubscriptionTree } from '../router/index.ts'
import { isBridgeState } from './bridge-state.ts'
import type { Forwards, Voice } from './forwards.ts'
import { ForwardsCache } from './forwards-cache.ts'
import type { LocalSubscriber } from './local-subscriptions.ts'
import type { Session } from './session.ts'
import type { HubState } from './state.ts'

/** Longer topics are looked up anew each time, so that the cache stays bounded in bytes as well. */
const LONGEST_KEPT = 1024
const NO_RULES: readonly Rule[] = []
// Most routes have neither or few; a list for each would cost more than the rest of it.
const NO_SESSIONS: readonly Session[] = []
const NO_QOS: readonly number[] = []
const NO_LOCALS: readonly LocalSubscriber[] = []
/** What is wrong with the topics where bridges tell of themselves, for all others. */
const FOR_BRIDGES = 'is reserved for bridges'

/** All that is known of one topic name, so that a PUBLISH needs one look-up. */
export class Route {
  readonly topic: string
  readonly bytes: Buffer
  readonly hash: number
  /** Why nobody may publish there; null when the name is valid and not reserved. */
  readonly problem: string | null
  /** The epoch the subscribers were collected in. */
  epoch = -1
  /** Sessions whose filters match, each once, with the highest QoS granted by any of them. */
  sessions: readonly Session[] = NO_SESSIONS
  qos: readonly number[] = NO_QOS
  /** How many of them are stored. */
  kept = 0
  /** How many of them are bridges'. */
  bridges = 0
  /** Routes with some of these receivers; null: nobody has asked in this epoch. */
  parts: RouteParts | null = null
  /** Rules whose sources match. */
  rules: readonly Rule[] = NO_RULES
  /** Messages that clients have published here since the hub knows the topic. */
  published = 0
  /** Functions whose filters match. */
  locals: readonly LocalSubscriber[] = NO_LOCALS
  /** What the rules make of a message depends on who published it. */
  isPersonal = false
  #principal: Principal | null = null
  #allowed = false
  #verdicts: Map<Principal, boolean> | null = null

  constructor(topic: string, bytes: Buffer, hash: number, problem: string | null) {
    this.topic = topic
    this.bytes = bytes
    this.hash = hash
    this.problem = problem
  }

  /** The problem is only that bridges alone may publish here. */
  get isBridgeState(): boolean {
    return this.problem === FOR_BRIDGES
  }

  /** Whether the principal may publish here; asked once, then remembered. */
  allows(principal: Principal): boolean {
    if (principal === this.#principal) return this.#allowed
    this.#verdicts ??= new Map()
    let allowed = this.#verdicts.get(principal)
    if (allowed === undefined) {
      allowed = principal.mayPublish(this.topic)
      this.#verdicts.set(principal, allowed)
    }
    this.#principal = principal
    this.#allowed = allowed
    return allowed
  }

  /** Collects the subscribers and rules of this epoch. */
  collect(
    tree: SubscriptionTree<Session>,
    functions: SubscriptionTree<LocalSubscriber>,
    rules: readonly Rule[],
    epoch: number,
    mark: number,
  ): void {
    const sessions: Session[] = []
    const granted: number[] = []
    const locals: LocalSubscriber[] = []
    tree.match(this.topic, (subscriber, qos) => {
      if (subscriber.mark !== mark) {
        subscriber.mark = mark
        subscriber.markAt = sessions.length
        sessions.push(subscriber)
        granted.push(qos)
      } else if ((granted[subscriber.markAt] as number) < qos) {
        // Overlapping filters: one copy, at the highest QoS of all of them [MQTT-3.3.5-1].
        granted[subscriber.markAt] = qos
      }
    })
    this.kept = sessions.reduce((kept, { log }) => (log === null ? kept : kept + 1), 0)
    this.bridges = sessions.reduce((bridges, { isBridge }) => (isBridge ? bridges + 1 : bridges), 0)
    this.parts = null
    if (functions.size > 0) functions.match(this.topic, subscriber => locals.push(subscriber), true)
    this.sessions = sessions.length === 0 ? NO_SESSIONS : sessions
    this.qos = granted.length === 0 ? NO_QOS : granted
    this.locals = locals.length === 0 ? NO_LOCALS : locals
    this.rules = rules
    this.isPersonal = rules.some(rule => rule.isPersonal)
    this.epoch = epoch
  }
}

/** Which receivers of a route a part of it has. */
export type Audience = 'all' | 'bridges' | 'others'

/** All parts of one route may have so many receivers together, before they are made anew. */
const MOST_IN_PARTS = 65_536

/** Routes with some of the receivers of another, as long as it has these. */
class RouteParts {
  readonly #whole: Route
  readonly #bySpared = new Map<Session | null, Map<Audience, Route>>()
  /** Entries in the lists of all parts. */
  receivers = 0

  constructor(whole: Route) {
    this.#whole = whole
  }

  /** The route with those receivers only that are meant, and without one of them. */
  of(spared: Session | null, audience: Audience): Route {
    const known = this.#bySpared.get(spared)?.get(audience)
    if (known !== undefined) return known
    const part = this.#make(spared, audience)
    const added = part === this.#whole ? 1 : 1 + part.sessions.length
    this.receivers += added
    if (this.receivers > MOST_IN_PARTS) {
      this.#bySpared.clear()
      this.receivers = added
    }
    const others = this.#bySpared.get(spared)
    if (others === undefined) this.#bySpared.set(spared, new Map([[audience, part]]))
    else others.set(audience, part)
    return part
  }

  #make(spared: Session | null, audience: Audience): Route {
    const whole = this.#whole
    const { topic, bytes, hash, problem, epoch } = whole
    const part = new Route(topic, bytes, hash, problem)
    const sessions: Session[] = []
    const granted: number[] = []
    for (const [i, session] of whole.sessions.entries()) {
      if (session === spared || (audience !== 'all' && session.isBridge !== (audience === 'bridges'))) continue
      sessions.push(session)
      granted.push(whole.qos[i] as number)
      if (session.log !== null) part.kept++
    }
    part.sessions = sessions
    part.qos = granted
    part.epoch = epoch
    return part.sessions.length === whole.sessions.length ? whole : part
  }
}

const SLOTS = 8192
const GENERATION = 8192
/** Thousands of topics with a thousand receivers each are made anew rather than kept. */
const MOST_RECEIVERS = 1_000_000

/**
 * Routes by topic name. The first look is by a hash of the raw bytes in a table of fixed size, so that a known topic
 * is found without making a string of it; what is not there is found by name. Bounded: two generations of names, of
 * which the older is forgotten when the younger is full.
 */
export class RouteCache {
  readonly #state: HubState
  readonly #tree: SubscriptionTree<Session>
  readonly #functions: SubscriptionTree<LocalSubscriber>
  readonly #slots: (Route | null)[] = Array.from({ length: SLOTS }, () => null)
  #young = new Map<string, Route>()
  #old = new Map<string, Route>()
  #mark = 0
  readonly #forwards: ForwardsCache
  /** Entries in the lists of sessions of all routes. */
  #receivers = 0

  constructor(state: HubState, tree: SubscriptionTree<Session>, functions: SubscriptionTree<LocalSubscriber>) {
    this.#state = state
    this.#tree = tree
    this.#functions = functions
    this.#forwards = new ForwardsCache({
      routeOf: topic => this.#fresh(this.of(topic)),
      principalOf: name => state.spokesmen.get(name),
    })
  }

  /** The route of the topic in bytes[at..at+length); null when they are no well-formed UTF-8 [MQTT-1.5.3-1]. */
  find(bytes: Buffer, at: number, length: number): Route | null {
    const hash = hashOf(bytes, at, length)
    const slot = hash & (SLOTS - 1)
    const hit = this.#slots[slot] as Route | null
    if (hit !== null && hit.hash === hash && isTopic(hit, bytes, at, length)) return hit
    const own = Buffer.from(bytes.subarray(at, at + length))
    if (!isUtf8(own)) return null
    const topic = own.toString('utf8')
    const route = this.#named(topic) ?? this.#add(topic, own, hash)
    if (isWorthKeeping(route)) {
      // A topic that is said again and again is found here only, and must not fall into oblivion for that.
      if (hit !== null && hit.published > 1 && this.#named(hit.topic) === undefined) this.#remember(hit.topic, hit)
      this.#slots[slot] = route
    }
    return route
  }

  /** The route of a topic given as a string. */
  of(topic: string): Route {
    const known = this.#named(topic)
    if (known !== undefined) return known
    const bytes = Buffer.from(topic)
    return this.#add(topic, bytes, hashOf(bytes, 0, bytes.length))
  }

  /** Brings the subscribers of a route up to this epoch. */
  refresh(route: Route, epoch: number): void {
    this.#receivers -= route.sessions.length + (route.parts?.receivers ?? 0)
    const { rules } = this.#state
    const matching = rules.isEmpty ? NO_RULES : rules.matching(route.topic)
    route.collect(this.#tree, this.#functions, matching, epoch, ++this.#mark)
    this.#count(route.sessions.length)
  }

  /** The route with those receivers only that are meant, and without one of them; both are good for this epoch. */
  part(route: Route, spared: Session | null, audience: Audience): Route {
    route.parts ??= new RouteParts(route)
    const before = route.parts.receivers
    const part = route.parts.of(spared, audience)
    if (route.parts.receivers !== before) this.#count(route.parts.receivers - before)
    return part
  }

  /** What the rules make of a message; the route is up to date. */
  forwardsOf(route: Route, voice: Voice | null): Forwards | null {
    return route.rules.length === 0 ? null : this.#forwards.of(route, voice)
  }

  /** Topics that clients published most to, of those that are known, here or to a publisher. */
  busiest(count: number, publishers: readonly (Route | null)[]): { topic: string; messages: number }[] {
    const messages = new Map<string, number>()
    // A topic may have two: one that was forgotten here, and one that was made since.
    for (const route of new Set([...this.#slots, ...this.#young.values(), ...this.#old.values(), ...publishers])) {
      if (route === null || route.published === 0) continue
      messages.set(route.topic, (messages.get(route.topic) ?? 0) + route.published)
    }
    const sorted = [...messages].sort(([, a], [, b]) => b - a).slice(0, count)
    return sorted.map(([topic, published]) => ({ topic, messages: published }))
  }

  /** Forgets all routes. */
  clear(): void {
    this.#forwards.clear()
    this.#receivers = 0
    this.#young = new Map()
    this.#old = new Map()
    this.#slots.fill(null)
  }

  #count(receivers: number): void {
    this.#receivers += receivers
    if (this.#receivers > MOST_RECEIVERS) this.clear()
  }

  #fresh(route: Route): Route {
    if (route.epoch !== this.#state.epoch) this.refresh(route, this.#state.epoch)
    return route
  }

  #named(topic: string): Route | undefined {
    const young = this.#young.get(topic)
    if (young !== undefined) return young
    const old = this.#old.get(topic)
    if (old === undefined) return undefined
    this.#old.delete(topic)
    this.#remember(topic, old)
    return old
  }

  #add(topic: string, bytes: Buffer, hash: number): Route {
    const { settings } = this.#state
    let problem = topicNameProblem(topic, settings.topic)
    if (problem === null && isBridgeState(topic)) problem = FOR_BRIDGES
    if (problem === null && startsWithDollar(topic) && !settings.dollarTopics) problem = 'starts with $'
    if (problem === null && topic.startsWith('$SYS/')) problem = 'is reserved for the server'
    const route = new Route(topic, bytes, hash, problem)
    if (isWorthKeeping(route)) this.#remember(topic, route)
    return route
  }

  #remember(topic: string, route: Route): void {
    if (this.#young.size >= GENERATION) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(topic, route)
  }
}

/** Nobody comes back for a topic that can't be published to: it must not push out or outlive those that can. */
function isWorthKeeping(route: Route): boolean {
  return route.bytes.length <= LONGEST_KEPT && (route.problem === null || route.topic.startsWith('$SYS/'))
}

/** Whether bytes[at..at+length) are the topic of this route. */
export function isTopic(route: Route, bytes: Buffer, at: number, length: number): boolean {
  const own = route.bytes
  if (own.length !== length) return false
  for (let i = 0; i < length; i++) if (own[i] !== bytes[at + i]) return false
  return true
}

function hashOf(bytes: Buffer, at: number, length: number): number {
  let hash = length
  for (let i = at, end = at + length; i < end; i++) hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0
  return hash ^ (hash >>> 13)
}

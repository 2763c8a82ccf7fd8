import type { Rule } from '../router/index.ts'
import type { Delivery } from './delivery.ts'
import type { Copy, Forwards, Voice } from './forwards.ts'
import type { Message } from './message.ts'
import type { RetainedStore } from './retained.ts'
import type { Route, RouteCache } from './route.ts'
import { Run } from './run.ts'
import type { Session } from './session.ts'
import type { HubState } from './state.ts'

/** A message that was forwarded so often goes in a circle that no check has seen. */
const MAX_HOPS = 16
const OVER_LIMIT = 'more messages than its limit'
const TOO_MANY_HOPS = `forwarded ${MAX_HOPS} times already: the rules go in a circle`

/** Copies of one message, or run, and of its copies: a few rules that fork and join in layers could make millions. */
const MAX_COPIES = 20_000
const TOO_MANY_COPIES = `more than ${MAX_COPIES} copies of one message`

/** What the queue of a session is to take of some messages. */
interface Demand {
  /** Of each message. */
  copies: number
  /** Of all of them. */
  bytes: number
}

/** What a rule makes of a message: to be published by whoever asks. */
export interface ForwardedCopy {
  readonly topic: string
  readonly qos: number
  readonly retain: boolean
}

/**
 * The rules of the router at work: each copy of a message is published to the target in the same turn, and so in the same
 * batch of the store, as the original. Copies meet rules of their own.
 */
export class Forwarding {
  readonly #state: HubState
  readonly #routes: RouteCache
  readonly #retained: RetainedStore
  readonly #delivery: Delivery
  /** Rewritten runs, one for each hop. */
  readonly #runs: Run[] = []

  /** Copies made of the message under way. */
  #copies = 0

  constructor(state: HubState, routes: RouteCache, retained: RetainedStore, delivery: Delivery) {
    this.#state = state
    this.#routes = routes
    this.#retained = retained
    this.#delivery = delivery
  }

  /** Messages may find no room: in a queue that takes no more, or because nothing can be stored. */
  get mayRefuse(): boolean {
    const { settings, store } = this.#state
    return settings.overflow === 'reject-publish' || (store !== null && store.blocked !== null)
  }

  /**
   * How many of so many messages, of `size` bytes together, there is room for, wherever rules forward them to: a message is
   * taken on with all its copies or not at all.
   */
  roomFor(route: Route, count: number, size: number, qos: number, retain: boolean, voice: Voice | null): number {
    const demands = new Map<Session, Demand>()
    this.#copies = 0
    if (!this.#demand(demands, route, count, size, qos, retain, voice, 0)) return 0
    let room = count
    for (const [session, { copies, bytes }] of demands)
      room = Math.min(room, Math.floor(session.roomFor(count * copies, bytes) / copies))
    return room
  }

  /** Adds up what each queue is to take. False when something can't be stored at all. */
  #demand(
    demands: Map<Session, Demand>,
    route: Route,
    count: number,
    size: number,
    qos: number,
    retain: boolean,
    voice: Voice | null,
    hops: number,
  ): boolean {
    if (qos === 0) return true
    const { settings, store } = this.#state
    this.#delivery.fresh(route)
    if (store !== null && store.blocked !== null && (route.kept > 0 || retain)) return false
    for (const [i, session] of settings.overflow === 'reject-publish' ? route.sessions.entries() : []) {
      if (route.qos[i] === 0 && session.receiver !== null && session.queued === 0) continue // it has it with QoS 0, or not at all
      const demand = demands.get(session)
      if (demand === undefined) demands.set(session, { copies: 1, bytes: size })
      else {
        demand.copies++
        demand.bytes += size
      }
    }
    const forwards = hops < MAX_HOPS ? this.#routes.forwardsOf(route, voice) : null
    return (forwards?.copies ?? []).every(({ route: next, rules }) => {
      if (++this.#copies > MAX_COPIES) return true // such copies are not made
      // What is beyond the limit of one rule goes by the next, up to the first that has none.
      const last = rules.findIndex(({ limit }) => limit === null)
      const possible = last === -1 ? rules : rules.slice(0, last + 1)
      const highest = Math.max(...possible.map(rule => rule.qosFor(qos)))
      const retains = possible.some(rule => rule.retains(retain))
      const sizeThere = size + count * (next.bytes.length - route.bytes.length)
      return this.#demand(demands, next, count, sizeThere, highest, retains, voice, hops + 1)
    })
  }

  /** Forwards a run. Returns whether any of it is on its way to the log. */
  run(route: Route, run: Run, retain: boolean, voice: Voice | null, hops = 0): boolean {
    const forwards = this.#routes.forwardsOf(this.#delivery.fresh(route), voice)
    if (forwards === null) return false
    if (hops === 0) this.#copies = 0
    this.#note(forwards, run.count)
    let isStored = false
    for (const copy of forwards.copies) {
      let taken = 0
      // Those that are over the limit of one rule may go by the next with the same target.
      for (let i = 0; i < copy.rules.length && taken < run.count; i++) {
        const rule = copy.rules[i] as Rule
        const count = this.#admitted(rule, run.count - taken, hops)
        const isRetained = rule.retains(retain)
        if (count > 0 && this.#isNoticed(copy.route, isRetained)) {
          const rewritten = (this.#runs[hops] ??= new Run())
          rewritten.rewrite(run, copy.route.bytes, rule.qosFor(run.qos), taken, count)
          if (this.#runCopy(copy.route, rewritten, isRetained, voice, hops + 1)) isStored = true
        }
        taken += count
      }
      this.#state.counters.forwardsDropped += run.count - taken
    }
    return isStored
  }

  /** Somebody hears it, forwards it, or will find it. */
  #isNoticed(route: Route, isRetained: boolean): boolean {
    const { sessions, rules } = this.#delivery.fresh(route)
    return isRetained || sessions.length > 0 || rules.length > 0
  }

  #runCopy(route: Route, run: Run, retain: boolean, voice: Voice | null, hops: number): boolean {
    try {
      let isStored = this.#delivery.run(route, run) > 0
      if (retain) {
        this.#retained.store(route.topic, run.message(run.count - 1).payload, run.qos)
        isStored ||= run.qos > 0 && this.#state.store !== null
      }
      return this.run(route, run, retain, voice, hops) || isStored
    } finally {
      run.reset()
    }
  }

  /** Forwards one message. Returns whether any copy is on its way to the store. */
  message(route: Route, message: Message, retain: boolean, voice: Voice | null, hops = 0): boolean {
    const forwards = this.#routes.forwardsOf(this.#delivery.fresh(route), voice)
    if (forwards === null) return false
    if (hops === 0) this.#copies = 0
    this.#note(forwards, 1)
    let isStored = false
    for (const copy of forwards.copies) {
      const rule = this.#firstAdmitted(copy, hops)
      if (rule === null) continue
      const rewritten = message.rewritten(copy.route.bytes, rule.qosFor(message.qos))
      const isRetained = rule.retains(retain)
      if (this.#delivery.message(copy.route, rewritten) > 0) isStored = true
      if (isRetained) {
        this.#retained.store(copy.route.topic, rewritten.payload, rewritten.qos)
        if (rewritten.qos > 0 && this.#state.store !== null) isStored = true
      }
      if (this.message(copy.route, rewritten, isRetained, voice, hops + 1)) isStored = true
    }
    return isStored
  }

  /** What the rules make of one message, for who publishes the copies by himself. */
  copies(route: Route, qos: number, retain: boolean, voice: Voice | null, hops: number): ForwardedCopy[] {
    const forwards = this.#routes.forwardsOf(this.#delivery.fresh(route), voice)
    if (forwards === null) return []
    if (hops === 0) this.#copies = 0
    this.#note(forwards, 1)
    return forwards.copies.flatMap(copy => {
      const rule = this.#firstAdmitted(copy, hops)
      return rule === null ? [] : { topic: copy.route.topic, qos: rule.qosFor(qos), retain: rule.retains(retain) }
    })
  }

  /** How many of so many messages a rule forwards. */
  #admitted(rule: Rule, count: number, hops: number): number {
    const { counters, now } = this.#state
    const impossible = hops >= MAX_HOPS ? TOO_MANY_HOPS : ++this.#copies > MAX_COPIES ? TOO_MANY_COPIES : null
    let admitted = count
    if (impossible !== null) admitted = 0
    else if (rule.limit !== null) admitted = rule.limit.admit(count, now)
    if (admitted < count) rule.drop(count - admitted, impossible ?? OVER_LIMIT)
    rule.forwarded += admitted
    counters.forwarded += admitted
    return admitted
  }

  /** The rule by which one message is copied; null: by none. */
  #firstAdmitted(copy: Copy, hops: number): Rule | null {
    for (const rule of copy.rules) if (this.#admitted(rule, 1, hops) > 0) return rule
    this.#state.counters.forwardsDropped++
    return null
  }

  /** Counts what was matched, and what can't go anywhere. */
  #note({ matched, refused }: Forwards, count: number): void {
    for (let i = 0; i < matched.length; i++) (matched[i] as Rule).matched += count
    for (let i = 0; i < refused.length; i++) {
      const { rule, why } = refused[i] as Forwards['refused'][number]
      rule.drop(count, why)
      this.#state.counters.forwardsDropped += count
    }
  }
}

import type { Rule } from '../router/index.ts'
import type { Delivery } from './delivery.ts'
import type { Copy, Forwards, Voice } from './forwards.ts'
import type { Message } from './message.ts'
import type { RetainedStore } from './retained.ts'
import type { Route, RouteCache } from './route.ts'
import { Run } from './run.ts'
import type { HubState } from './state.ts'

/** A message that was forwarded so often goes in a circle that no check has seen. */
const MAX_HOPS = 16
const OVER_LIMIT = 'more messages than its limit'
const TOO_MANY_HOPS = `forwarded ${MAX_HOPS} times already: the rules go in a circle`

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
   * How many of so many messages there is room for, wherever rules forward them to: a message is taken on with all its
   * copies or not at all.
   */
  roomFor(
    route: Route,
    count: number,
    size: number,
    qos: number,
    retain: boolean,
    voice: Voice | null,
    hops = 0,
  ): number {
    const { settings, store } = this.#state
    if (qos === 0) return count
    this.#delivery.fresh(route)
    if (store !== null && store.blocked !== null && (route.kept > 0 || retain)) return 0
    let room = count
    if (settings.overflow === 'reject-publish')
      for (const session of route.sessions) room = Math.min(room, session.roomFor(count, size))
    const forwards = hops < MAX_HOPS ? this.#routes.forwardsOf(route, voice) : null
    if (forwards === null) return room
    for (const { route: next, rules } of forwards.copies) {
      const rule = rules[0] as Rule
      const left = this.roomFor(next, count, size, rule.qosFor(qos), rule.retains(retain), voice, hops + 1)
      room = Math.min(room, left)
    }
    return room
  }

  /** Forwards a run. Returns whether any of it is on its way to the log. */
  run(route: Route, run: Run, voice: Voice | null, hops = 0): boolean {
    const forwards = this.#routes.forwardsOf(this.#delivery.fresh(route), voice)
    if (forwards === null) return false
    this.#note(forwards, run.count)
    let isStored = false
    for (const copy of forwards.copies) {
      let taken = 0
      // Those that are over the limit of one rule may go by the next with the same target.
      for (let i = 0; i < copy.rules.length && taken < run.count; i++) {
        const rule = copy.rules[i] as Rule
        const count = this.#admitted(rule, run.count - taken, hops)
        if (count > 0 && this.#runCopy(copy.route, rule, run, taken, count, voice, hops + 1)) isStored = true
        taken += count
      }
      this.#state.counters.forwardsDropped += run.count - taken
    }
    return isStored
  }

  #runCopy(
    route: Route,
    rule: Rule,
    from: Run,
    first: number,
    count: number,
    voice: Voice | null,
    hops: number,
  ): boolean {
    const { sessions, rules } = this.#delivery.fresh(route)
    const retain = rule.retains(false)
    if (sessions.length === 0 && rules.length === 0 && !retain) return false
    const run = (this.#runs[hops] ??= new Run())
    run.rewrite(from, route.bytes, rule.qosFor(from.qos), first, count)
    try {
      let isStored = this.#delivery.run(route, run) > 0
      if (retain) {
        this.#retained.store(route.topic, run.message(run.count - 1).payload, run.qos)
        isStored ||= run.qos > 0 && this.#state.store !== null
      }
      return this.run(route, run, voice, hops) || isStored
    } finally {
      run.reset()
    }
  }

  /** Forwards one message. Returns whether any copy is on its way to the store. */
  message(route: Route, message: Message, retain: boolean, voice: Voice | null, hops = 0): boolean {
    const forwards = this.#routes.forwardsOf(this.#delivery.fresh(route), voice)
    if (forwards === null) return false
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
    this.#note(forwards, 1)
    return forwards.copies.flatMap(copy => {
      const rule = this.#firstAdmitted(copy, hops)
      return rule === null ? [] : { topic: copy.route.topic, qos: rule.qosFor(qos), retain: rule.retains(retain) }
    })
  }

  /** How many of so many messages a rule forwards. */
  #admitted(rule: Rule, count: number, hops: number): number {
    const { counters, now } = this.#state
    let admitted = count
    if (hops >= MAX_HOPS) admitted = 0
    else if (rule.limit !== null) admitted = rule.limit.admit(count, now)
    if (admitted < count) rule.drop(count - admitted, hops >= MAX_HOPS ? TOO_MANY_HOPS : OVER_LIMIT)
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

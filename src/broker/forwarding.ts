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

/** Of one message, or run, and its copies: a few rules that fork and join in layers could make millions. */
const MAX_COPIES = 20_000
const TOO_MANY_COPIES = `more than ${MAX_COPIES} copies of one message`

/** Counts the copies of one message, or run, and of its copies. */
export class Budget {
  copies = 0
}

/** What the queue of a session is to take of some messages. */
interface Demand {
  /** Of each message. */
  copies: number
  /** Of all of them. */
  bytes: number
  /** The highest. */
  qos: number
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
   * taken on with all its copies or not at all. `spared`: a session that gets copies only.
   */
  roomFor(
    route: Route,
    count: number,
    size: number,
    qos: number,
    retain: boolean,
    voice: Voice | null,
    spared: Session | null,
  ): number {
    if (qos === 0) return count
    const heard = this.#delivery.heard(route, spared)
    if (route.rules.length === 0) return this.#roomAt(heard, count, size, qos, retain)
    const demands = new Map<Session, Demand>()
    const made = new Budget()
    if (!this.#demand(demands, { route, heard, count, size, qos, retain }, voice, 0, made)) return 0
    let room = count
    for (const [session, { copies, bytes, qos: highest }] of demands)
      room = Math.min(room, Math.floor(session.roomFor(count * copies, bytes, highest) / copies))
    return room
  }

  /** The same where no rule forwards. */
  #roomAt(route: Route, count: number, size: number, qos: number, retain: boolean): number {
    const { settings, store } = this.#state
    if (store !== null && store.blocked !== null && (route.kept > 0 || retain)) return 0
    let room = count
    if (settings.overflow !== 'reject-publish') return room
    const { sessions } = route
    for (let i = 0; i < sessions.length; i++) {
      const session = sessions[i] as Session
      if (mayRefuse(session, route.qos[i] as number)) room = Math.min(room, session.roomFor(count, size, qos))
    }
    return room
  }

  /** Adds up what each queue is to take. False when something can't be stored at all. */
  #demand(
    demands: Map<Session, Demand>,
    asked: { route: Route; heard: Route; count: number; size: number; qos: number; retain: boolean },
    voice: Voice | null,
    hops: number,
    made: Budget,
  ): boolean {
    const { route, heard, count, size, qos, retain } = asked
    if (qos === 0) return true
    const { settings, store } = this.#state
    const { sessions } = heard
    if (store !== null && store.blocked !== null && (heard.kept > 0 || retain)) return false
    for (let i = 0; settings.overflow === 'reject-publish' && i < sessions.length; i++) {
      const session = sessions[i] as Session
      if (!mayRefuse(session, heard.qos[i] as number)) continue
      const demand = demands.get(session)
      if (demand === undefined) demands.set(session, { copies: 1, bytes: size, qos })
      else {
        demand.copies++
        demand.bytes += size
        demand.qos = Math.max(demand.qos, qos)
      }
    }
    const forwards = hops < MAX_HOPS ? this.#routes.forwardsOf(route, voice) : null
    for (const { route: next, rules } of forwards?.copies ?? []) {
      if (++made.copies > MAX_COPIES) return true // such copies are not made
      let highest = 0
      let retains = false
      // What is beyond the limit of one rule goes by the next, up to the first that has none.
      for (let i = 0; i < rules.length; i++) {
        const rule = rules[i] as Rule
        highest = Math.max(highest, rule.qosFor(qos))
        retains ||= rule.retains(retain)
        if (rule.limit === null) break
      }
      const sizeThere = size + count * (next.bytes.length - route.bytes.length)
      const there = {
        route: next,
        heard: this.#delivery.fresh(next),
        count,
        size: sizeThere,
        qos: highest,
        retain: retains,
      }
      if (!this.#demand(demands, there, voice, hops + 1, made)) return false
    }
    return true
  }

  /** Forwards a run. Returns whether any of it is on its way to the log. */
  run(route: Route, run: Run, retain: boolean, voice: Voice | null, hops = 0, made = new Budget()): boolean {
    const forwards = this.#routes.forwardsOf(this.#delivery.fresh(route), voice)
    if (forwards === null) return false
    this.#note(forwards, run.count)
    const { copies } = forwards
    const step = forwards.isForked ? 1 : run.count
    let isStored = false
    const before = made.copies
    for (let first = 0; first < run.count; first += step) {
      made.copies = before // each message has as many
      for (let i = 0; i < copies.length; i++) {
        if (this.#forwardPart(copies[i] as Copy, run, first, step, retain, voice, hops, made)) isStored = true
      }
    }
    return isStored
  }

  /** Forwards some messages of a run to one target. */
  #forwardPart(
    { route, rules }: Copy,
    run: Run,
    first: number,
    count: number,
    retain: boolean,
    voice: Voice | null,
    hops: number,
    made: Budget,
  ): boolean {
    let isStored = false
    let taken = 0
    // Those that are over the limit of one rule may go by the next with the same target.
    for (let i = 0; i < rules.length && taken < count; i++) {
      const rule = rules[i] as Rule
      const admitted = this.#admitted(rule, count - taken, hops, made)
      const isRetained = rule.retains(retain)
      if (admitted > 0 && this.#isNoticed(route, isRetained)) {
        const rewritten = (this.#runs[hops] ??= new Run())
        rewritten.rewrite(run, route.bytes, rule.qosFor(run.qos), first + taken, admitted)
        if (this.#runCopy(route, rewritten, isRetained, voice, hops + 1, made)) isStored = true
      }
      taken += admitted
    }
    this.#state.counters.forwardsDropped += count - taken
    return isStored
  }

  /** Somebody hears it, forwards it, or will find it. */
  #isNoticed(route: Route, isRetained: boolean): boolean {
    const { sessions, rules } = this.#delivery.fresh(route)
    return isRetained || sessions.length > 0 || rules.length > 0
  }

  #runCopy(route: Route, run: Run, retain: boolean, voice: Voice | null, hops: number, made: Budget): boolean {
    try {
      let isStored = this.#delivery.run(route, run) > 0
      if (retain) {
        this.#retained.store(route.topic, run.payload(run.count - 1), run.qos)
        isStored ||= run.qos > 0 && this.#state.store !== null
      }
      return this.run(route, run, retain, voice, hops, made) || isStored
    } finally {
      run.reset()
    }
  }

  /** Forwards one message. Returns whether any copy is on its way to the store. */
  message(
    route: Route,
    message: Message,
    retain: boolean,
    voice: Voice | null,
    hops = 0,
    made = new Budget(),
  ): boolean {
    const forwards = this.#routes.forwardsOf(this.#delivery.fresh(route), voice)
    if (forwards === null) return false
    this.#note(forwards, 1)
    let isStored = false
    for (const copy of forwards.copies) {
      const rule = this.#firstAdmitted(copy, hops, made)
      if (rule === null) continue
      const isRetained = rule.retains(retain)
      if (!this.#isNoticed(copy.route, isRetained)) continue
      const rewritten = message.rewritten(copy.route.bytes, rule.qosFor(message.qos))
      if (this.#delivery.message(copy.route, rewritten) > 0) isStored = true
      if (isRetained) {
        this.#retained.store(copy.route.topic, rewritten.payload, rewritten.qos)
        if (rewritten.qos > 0 && this.#state.store !== null) isStored = true
      }
      if (this.message(copy.route, rewritten, isRetained, voice, hops + 1, made)) isStored = true
    }
    return isStored
  }

  /** What the rules make of one message, for who publishes the copies by himself. */
  copies(route: Route, qos: number, retain: boolean, voice: Voice | null, hops: number, made: Budget): ForwardedCopy[] {
    const forwards = this.#routes.forwardsOf(this.#delivery.fresh(route), voice)
    if (forwards === null) return []
    this.#note(forwards, 1)
    return forwards.copies.flatMap(copy => {
      const rule = this.#firstAdmitted(copy, hops, made)
      return rule === null ? [] : { topic: copy.route.topic, qos: rule.qosFor(qos), retain: rule.retains(retain) }
    })
  }

  /** How many of so many messages a rule forwards. */
  #admitted(rule: Rule, count: number, hops: number, made: Budget): number {
    const { counters, now } = this.#state
    const impossible = hops >= MAX_HOPS ? TOO_MANY_HOPS : ++made.copies > MAX_COPIES ? TOO_MANY_COPIES : null
    let admitted = count
    if (impossible !== null) admitted = 0
    else if (rule.limit !== null) admitted = rule.limit.admit(count, now)
    if (admitted < count) rule.drop(count - admitted, impossible ?? OVER_LIMIT)
    rule.forwarded += admitted
    counters.forwarded += admitted
    return admitted
  }

  /** The rule by which one message is copied; null: by none. */
  #firstAdmitted(copy: Copy, hops: number, made: Budget): Rule | null {
    for (const rule of copy.rules) if (this.#admitted(rule, 1, hops, made) > 0) return rule
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

/** Whether a session may find no room: not where it gets a message with QoS 0, at once or not at all. */
function mayRefuse({ receiver, queued }: Session, granted: number): boolean {
  return granted > 0 || receiver === null || queued > 0
}

import type { Message } from './message.ts'
import type { Route, RouteCache } from './route.ts'
import type { Run } from './run.ts'
import type { Session } from './session.ts'
import type { HubState } from './state.ts'
import { REFUSED } from './store/index.ts'

/** Brings messages to the subscribers of one topic, and to the log of those that are kept. */
export class Delivery {
  readonly #state: HubState
  readonly #routes: RouteCache

  constructor(state: HubState, routes: RouteCache) {
    this.#state = state
    this.#routes = routes
  }

  /** The route, with the subscribers of now. */
  fresh(route: Route): Route {
    if (route.epoch !== this.#state.epoch) this.#routes.refresh(route, this.#state.epoch)
    return route
  }

  /** The same without a session that is not to get the message. Good until the next delivery. */
  heard(route: Route, spared: Session | null): Route {
    const whole = this.fresh(route)
    return spared === null ? whole : this.#routes.part(whole, spared, 'all')
  }

  /**
   * As message(), of one that was published with RETAIN: bridges get it so, others without [MQTT-3.3.1-9]. `spared`: a
   * session that is not to get it.
   */
  retained(route: Route, message: Message, spared: Session | null): number {
    const whole = this.fresh(route)
    if (whole.bridges === 0) return this.#message(whole, message)
    const seq = this.#message(this.#routes.part(whole, spared, 'others'), message)
    if (seq === REFUSED) return REFUSED
    const bridges = this.#message(this.#routes.part(this.fresh(route), spared, 'bridges'), message.retained())
    return bridges === REFUSED ? REFUSED : Math.max(seq, bridges)
  }

  /** Delivers one message. Its number in the log; 0 when it is not stored; REFUSED, and then nobody gets it. */
  message(route: Route, message: Message, spared: Session | null = null): number {
    return this.#message(this.heard(route, spared), message)
  }

  #message(route: Route, message: Message): number {
    const { sessions, qos, kept } = route // a hook may publish to the same topic, and that makes new sessions
    const { store } = this.#state
    if (message.qos > 0 && store !== null && kept > 0) {
      message.seq = store.appendMessage(route, message)
      if (message.seq === REFUSED) return REFUSED
    }
    for (let i = 0; i < sessions.length; i++) {
      const granted = qos[i] as number
      // Never more than was granted, never more than was published [MQTT-3.8.4-6].
      sessions[i]?.deliver(message, message.qos < granted ? message.qos : granted)
    }
    return message.seq
  }

  /** Delivers a run. As message(). */
  run(to: Route, run: Run, spared: Session | null = null): number {
    const route = this.heard(to, spared)
    const { sessions, kept } = route
    if (run.qos === 0) {
      const { source, start, end } = run
      for (let i = 0; i < sessions.length; i++) sessions[i]?.deliverBytes(source, start, end, run)
      return 0
    }
    const { store } = this.#state
    if (store !== null && kept > 0) {
      run.seq = store.appendRun(route, run)
      if (run.seq === REFUSED) return REFUSED
    }
    const { qos } = route
    for (let i = 0; i < sessions.length; i++) {
      const session = sessions[i]
      if (session === undefined) continue
      if ((qos[i] as number) > 0) session.deliverRun(run)
      else {
        const image = run.downgraded()
        session.deliverBytes(image, 0, image.length, run)
      }
    }
    return run.seq
  }
}

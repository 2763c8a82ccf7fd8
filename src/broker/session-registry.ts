import { SubscriptionTree } from '../router/index.ts'
import { Session } from './session.ts'
import type { HubState } from './state.ts'

/** All sessions and their subscriptions. Whatever changes a subscription raises the epoch, so that Routes are made anew. */
export class SessionRegistry {
  readonly tree = new SubscriptionTree<Session>()
  readonly #state: HubState
  readonly #sessions = new Map<string, Session>()

  constructor(state: HubState) {
    this.#state = state
  }

  /** Sessions, connected or kept. */
  get size(): number {
    return this.#sessions.size
  }

  /** All of them, connected or kept. */
  all(): Session[] {
    return [...this.#sessions.values()]
  }

  /** Kept sessions whose clients went away before this time, milliseconds since 1970. */
  leftBefore(time: number): Session[] {
    return [...this.#sessions.values()].filter(({ leftAt }) => leftAt > 0 && leftAt < time)
  }

  get(clientId: string): Session | undefined {
    return this.#sessions.get(clientId)
  }

  /** A new session in place of any that the client had. */
  create(clientId: string, clean: boolean): Session {
    const old = this.#sessions.get(clientId)
    if (old !== undefined) this.drop(old)
    const session = this.restore(clientId, clean)
    if (!clean) session.log = this.#state.store?.createLog(session) ?? null
    return session
  }

  /** A session as it was when the hub ended: its log is there already. */
  restore(clientId: string, clean: boolean): Session {
    const session = new Session(clientId, clean, this.#state)
    this.#sessions.set(clientId, session)
    return session
  }

  /** Ends a session and all its subscriptions. */
  drop(session: Session): void {
    session.isEnded = true
    if (session.log !== null) this.#state.store?.dropSession(session.log)
    for (const filter of session.subscriptions.keys()) this.tree.remove(filter, session)
    if (session.subscriptions.size > 0) this.#state.epoch++
    session.subscriptions.clear()
    session.empty()
    if (this.#sessions.get(session.clientId) === session) this.#sessions.delete(session.clientId)
  }

  subscribe(session: Session, filter: string, qos: number): void {
    if (session.log !== null && session.subscriptions.get(filter) !== qos)
      this.#state.store?.saveSubscription(session.log, filter, qos)
    this.restoreSubscription(session, filter, qos)
  }

  /** A subscription as it was when the hub ended. */
  restoreSubscription(session: Session, filter: string, qos: number): void {
    session.subscriptions.set(filter, qos)
    this.tree.add(filter, session, qos)
    this.#state.epoch++
  }

  unsubscribe(session: Session, filter: string): void {
    if (!session.subscriptions.delete(filter)) return
    if (session.log !== null) this.#state.store?.dropSubscription(session.log, filter)
    this.tree.remove(filter, session)
    this.#state.epoch++
  }
}

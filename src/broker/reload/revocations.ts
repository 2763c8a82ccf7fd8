import type { Hub } from '../hub.ts'

/** Sessions, and Wills, that have a line of their own. */
const MOST_LINES = 100

/** Writes down what sessions lose by one reload: however many they are, the log stays readable. */
export class Revocations {
  readonly #log: Hub['log']
  #sessions = 0
  #filters = 0
  #wills = 0

  constructor({ log }: Hub) {
    this.#log = log
  }

  /** One line: how many filters of a session, and the first of them. */
  add(clientId: string, filters: readonly string[]): void {
    this.#sessions++
    this.#filters += filters.length
    if (this.#sessions > MOST_LINES) return
    this.#log.info({ clientId, filters: filters.length, filter: filters[0] }, 'subscription.revoked')
  }

  addWill(clientId: string, topic: string): void {
    this.#wills++
    if (this.#wills <= MOST_LINES) this.#log.info({ clientId, topic }, 'will.revoked')
  }

  /** Where some had no line: one for all. */
  end(): void {
    if (this.#sessions > MOST_LINES)
      this.#log.info({ sessions: this.#sessions, filters: this.#filters }, 'subscription.revoked')
    if (this.#wills > MOST_LINES) this.#log.info({ wills: this.#wills }, 'will.revoked')
  }
}

import type { Client } from '../client.ts'
import { type ClientEnd, type ClientWatcher, claimed } from '../client-log.ts'
import type { Hub } from '../hub.ts'

const TOPIC = '$SYS/broker/events/client/'
const MOST = 1000
const PER_MS = 1000
/** What Client makes of the seconds of CONNECT [MQTT-3.1.2-24]. */
const KEEP_ALIVE_FACTOR = 1500

/** How much of one kind of event is told. */
interface Budget {
  since: number
  told: number
  leftOut: number
}

/**
 * Publishes on `$SYS/broker/events/client/connected`, `/disconnected` and `/refused` what happens to clients, as JSON,
 * QoS 0, not retained:
 *
 * - all: `clientId`, `address`, `transport`, `time` (ISO 8601), `cleanSession`, `keepAlive` (seconds; 0: none), `protocol`
 *   (`3.1.1` or `3.1`), `principal`;
 * - disconnected: `reason`, `durationSeconds`, `received` and `sent` (application messages), `will` (true: published);
 * - refused: `code` (of CONNACK), `reason`, `username`; without principal and keep alive, and without what is not known
 *   of a CONNECT that was refused early.
 *
 * At most a thousand of each kind are told in a second; the next one then has the number of those left out, `leftOut`.
 * They are published after the turn of the event loop they happen in, so an event is never told within another.
 */
export class ClientEvents implements ClientWatcher {
  readonly #hub: Hub
  readonly #budgets = new Map<string, Budget>()
  #waiting: { readonly topic: string; readonly fields: object }[] = []

  constructor(hub: Hub) {
    this.#hub = hub
  }

  /** Publishes from now on. May be called again. */
  start(): void {
    this.#hub.clientLog.watchers.add(this)
  }

  stop(): void {
    this.#hub.clientLog.watchers.delete(this)
  }

  connected(client: Client): void {
    this.#tell('connected', () => factsOf(client))
  }

  disconnected(client: Client, { reason, seconds, will }: ClientEnd): void {
    const { received, sent } = client
    this.#tell('disconnected', () => ({
      ...factsOf(client),
      reason,
      durationSeconds: seconds,
      received,
      sent,
      ...(will && { will }),
    }))
  }

  refused(client: Client, code: number, reason: string): void {
    this.#tell('refused', () => ({ ...claimed(client), ...sourceOf(client), ...protocolOf(client), code, reason }))
  }

  #tell(what: string, fieldsOf: () => object): void {
    if (this.#hub.closed) return // nobody is left to hear it
    const leftOut = this.#admit(what, this.#hub.state.now)
    if (leftOut === null) return
    this.#waiting.push({ topic: TOPIC + what, fields: { ...fieldsOf(), ...(leftOut > 0 && { leftOut }) } })
    if (this.#waiting.length === 1) setImmediate(() => this.#publish())
  }

  /** How many were left out before this one; null: it is left out too. */
  #admit(what: string, now: number): number | null {
    let budget = this.#budgets.get(what)
    if (budget === undefined) {
      budget = { since: now, told: 0, leftOut: 0 }
      this.#budgets.set(what, budget)
    } else if (now - budget.since >= PER_MS) {
      budget.since = now
      budget.told = 0
    }
    if (budget.told >= MOST) {
      budget.leftOut++
      return null
    }
    const { leftOut } = budget
    budget.told++
    budget.leftOut = 0
    return leftOut
  }

  #publish(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const { topic, fields } of waiting) if (!this.#hub.closed) this.#hub.tell(topic, () => JSON.stringify(fields))
  }
}

function factsOf(client: Client): object {
  return {
    clientId: client.id,
    principal: client.principal.name,
    ...sourceOf(client),
    ...protocolOf(client),
    keepAlive: client.keepAliveMs / KEEP_ALIVE_FACTOR,
  }
}

function sourceOf({ peer: { address, transport } }: Client): object {
  return { address, transport, time: new Date().toISOString() }
}

/** Unknown of a CONNECT that was refused early. */
function protocolOf({ version, clean }: Client): object {
  return version === null ? {} : { cleanSession: clean, protocol: version === 3 ? '3.1' : '3.1.1' }
}

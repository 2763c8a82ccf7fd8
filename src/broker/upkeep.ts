import type { Hub } from './hub.ts'
import type { Settings } from './settings.ts'

const SWEEP_FROM_MS = 20
const SWEEP_UP_TO_MS = 250
const SPACE_EVERY_MS = 1000
/** Expiry is looked at as often as retention, but not so rarely that a short one is late. */
const EXPIRY_FROM_MS = 100
const EXPIRY_UP_TO_MS = 60_000

interface Task {
  readonly everyMs: number
  readonly timer: NodeJS.Timeout
}

/** What a hub looks at from time to time, as often as its settings ask for. */
export class Upkeep {
  readonly #hub: Hub
  readonly #sweep: () => void
  readonly #tasks = new Map<string, Task>()

  /** `sweep` looks at all that has a time limit. */
  constructor(hub: Hub, sweep: () => void) {
    this.#hub = hub
    this.#sweep = sweep
    hub.state.onOverflow = clientId => hub.log.warn({ clientId, policy: hub.state.settings.overflow }, 'queue.full')
  }

  /** Begins, or goes by other settings. What is due as often as before is not put off. */
  start(): void {
    const hub = this.#hub
    const { settings, store } = hub.state
    this.#every('sweep', sweepInterval(settings), this.#sweep)
    this.#every('expiry', expiryInterval(settings), () => expireSessions(hub))
    if (store === null) return
    if (this.#every('cleanup', settings.cleanupIntervalMs, () => store.cleanUp(Date.now()))) store.cleanUp(Date.now())
    this.#every('space', SPACE_EVERY_MS, () => store.checkSpace())
  }

  stop(): void {
    for (const { timer } of this.#tasks.values()) clearInterval(timer)
    this.#tasks.clear()
  }

  /** Has something done so often; null: never. False: it is done so often already. */
  #every(name: string, everyMs: number | null, work: () => void): boolean {
    const task = this.#tasks.get(name)
    if ((task?.everyMs ?? null) === everyMs) return false
    clearInterval(task?.timer)
    this.#tasks.delete(name)
    if (everyMs !== null) this.#tasks.set(name, { everyMs, timer: setInterval(work, everyMs).unref() })
    return true
  }
}

/** How often time limits are looked at: a fifth of the shortest, within bounds. Milliseconds. */
function sweepInterval({ connectTimeoutMs, retryIntervalMs, drainTimeoutMs }: Settings): number {
  const shortest = Math.min(connectTimeoutMs, retryIntervalMs, drainTimeoutMs || connectTimeoutMs)
  return Math.min(Math.max(shortest / 5, SWEEP_FROM_MS), SWEEP_UP_TO_MS)
}

function expiryInterval({ sessionExpiryMs }: Settings): number | null {
  if (sessionExpiryMs === null) return null
  return Math.min(Math.max(sessionExpiryMs / 5, EXPIRY_FROM_MS), EXPIRY_UP_TO_MS)
}

/** Forgets kept sessions whose clients have been away for longer than session.expiry. */
function expireSessions(hub: Hub): void {
  const { sessionExpiryMs } = hub.state.settings
  if (sessionExpiryMs === null) return
  for (const session of hub.sessions.leftBefore(Date.now() - sessionExpiryMs)) {
    hub.log.info({ clientId: session.clientId }, 'session.expired')
    hub.state.counters.sessionsExpired++
    hub.sessions.drop(session)
  }
}

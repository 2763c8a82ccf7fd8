import type { Level } from './database.ts'
import {
  CURSOR,
  FILTER,
  nameOf,
  QUEUE,
  RECEIPT,
  RECORD,
  RETAINED,
  SESSION,
  sessionKey,
  sessionOf,
  WILL,
} from './keys.ts'
import { isKnownKey } from './verify-keys.ts'
import type { RecordFinding } from './verify-records.ts'

/** What a client loses by a repair. */
export interface ClientLoss {
  readonly session: number
  /** Null: it can't be read any more. */
  readonly clientId: string | null
  /** The session as a whole. */
  readonly isGone: boolean
  /** Queue entries, and the messages in them; a damaged one does not tell how many it had and counts as one. */
  readonly entries: number
  readonly messages: number
  readonly isExact: boolean
  /** Topic filters. */
  readonly subscriptions: readonly string[]
  readonly receipts: number
  /** What had been sent and not acknowledged is sent again, or not. */
  readonly position: boolean
}

export interface Losses {
  readonly records: number
  /** Removed messages that several sessions shared. */
  readonly shared: number
  readonly clients: readonly ClientLoss[]
  /** Topics. */
  readonly retained: readonly string[]
  /** Client ids. */
  readonly wills: readonly string[]
  /** Of no kind that the hub knows. */
  readonly unknown: number
}

interface Tally {
  clientId: string | null
  isGone: boolean
  entries: number
  messages: number
  isExact: boolean
  subscriptions: string[]
  receipts: number
  position: boolean
}

/** Adds up what is removed. */
export class LossCount {
  readonly #clients = new Map<number, Tally>()
  readonly #retained: string[] = []
  readonly #wills: string[] = []
  #records = 0
  #shared = 0
  #unknown = 0

  add({ key, messages }: RecordFinding): void {
    this.#records++
    if (!isKnownKey(key)) {
      this.#unknown++
      return
    }
    switch (key[0] as number) {
      case SESSION:
        this.#of(key).isGone = true
        break
      case FILTER:
        this.#of(key).subscriptions.push(nameOf(key, 5))
        break
      case CURSOR:
        this.#of(key).position = true
        break
      case RECEIPT:
        this.#of(key).receipts++
        break
      case QUEUE: {
        const tally = this.#of(key)
        tally.entries++
        tally.messages += Math.max(messages, 1)
        if (messages === 0) tally.isExact = false
        break
      }
      case RECORD:
        this.#shared++
        break
      case RETAINED:
        this.#retained.push(nameOf(key, 1))
        break
      case WILL:
        this.#wills.push(nameOf(key, 1))
    }
  }

  /** Looks for the names of clients, before anything is removed. */
  async name(level: Level): Promise<void> {
    for (const [session, tally] of this.#clients) {
      const value = await level.get(sessionKey(session))
      if (value === undefined) tally.isGone = true
      else tally.clientId = clientIdIn(value)
    }
  }

  get losses(): Losses {
    return {
      records: this.#records,
      shared: this.#shared,
      clients: [...this.#clients].map(([session, tally]) => ({ session, ...tally })),
      retained: this.#retained,
      wills: this.#wills,
      unknown: this.#unknown,
    }
  }

  #of(key: Buffer): Tally {
    const session = sessionOf(key)
    const known = this.#clients.get(session)
    if (known !== undefined) return known
    const tally = {
      clientId: null,
      isGone: false,
      entries: 0,
      messages: 0,
      isExact: true,
      subscriptions: [],
      receipts: 0,
      position: false,
    }
    this.#clients.set(session, tally)
    return tally
  }
}

/** The client id in the record of a session, be it damaged elsewhere. */
function clientIdIn(value: Buffer): string | null {
  const quoted = /"clientId":("(?:[^"\\]|\\.)*")/.exec(value.toString('utf8'))?.[1]
  if (quoted === undefined) return null
  try {
    return JSON.parse(quoted) as string
  } catch {
    return null
  }
}

import type { Logger } from '../../common/index.ts'
import type { Database, Level } from './database.ts'
import { type SessionSummary, SessionTally } from './inspect-session.ts'
import { type Pair, walk } from './inspect-walk.ts'
import { CURSOR, FILTER, META, QUEUE, RECEIPT, RECORD, RETAINED, SESSION, seqOf, sessionOf, WILL } from './keys.ts'
import { DamagedRecord, decodeCursor, decodeRetained, decodeSession, entryHead, unseal } from './records.ts'
import { withDatabase } from './verify.ts'
import { isKnownKey } from './verify-keys.ts'

/** What is stored in a directory. */
export interface StoreSummary {
  /** Absolute. */
  readonly dir: string
  readonly format: number
  /** The version of the program that made it. */
  readonly madeBy: string
  /** Bytes of all files but the reserve. */
  readonly bytes: number
  readonly reserveBytes: number
  readonly sessions: number
  /** Sessions whose clients were connected when the hub ended. */
  readonly connected: number
  readonly subscriptions: number
  /** Messages that clients have not acknowledged: one that three clients wait for counts three times. */
  readonly messages: number
  readonly messageBytes: number
  /** When the oldest of them was published, milliseconds since 1970; null: there is none. */
  readonly oldest: number | null
  /** Records of messages that several sessions share, and their bytes. */
  readonly shared: number
  readonly sharedBytes: number
  readonly receipts: number
  readonly retained: number
  /** Bytes of their payloads. */
  readonly retainedBytes: number
  readonly wills: number
  /** Records that can't be read or are not what was written. */
  readonly damaged: number
}

export interface Inspection {
  readonly summary: StoreSummary
  /** In the order in which they were made. */
  readonly sessions: Iterable<SessionSummary>
}

/**
 * Counts what is stored: one pass over all records; memory is needed for each session, not for messages.
 *
 * Throws GatewayError as Database.open does.
 */
export async function inspectStore(path: string, log: Logger): Promise<Inspection> {
  return withDatabase(path, log, database => new Inspector(database).run())
}

class Inspector {
  readonly #database: Database
  readonly #sessions = new Map<number, SessionTally>()
  #shared = 0
  #sharedBytes = 0
  #retained = 0
  #retainedBytes = 0
  #wills = 0
  #damaged = 0

  constructor(database: Database) {
    this.#database = database
  }

  async run(): Promise<Inspection> {
    const { dir, level, reserveBytes } = this.#database
    const unread = await walk(level, {}, pairs => this.#count(pairs))
    if (unread !== null) this.#damaged++
    const tallies = [...this.#sessions.values()].filter(({ head }) => head !== null)
    const sum = (of: (tally: SessionTally) => number): number => tallies.reduce((total, tally) => total + of(tally), 0)
    const oldest = tallies.reduce((least, tally) => Math.min(least, tally.oldest), Number.POSITIVE_INFINITY)
    const summary: StoreSummary = {
      dir,
      ...(await markOf(level)),
      bytes: await this.#database.usedBytes(),
      reserveBytes,
      sessions: tallies.length,
      connected: sum(({ head }) => (head?.leftAt === 0 ? 1 : 0)),
      subscriptions: sum(tally => tally.subscriptions),
      messages: sum(tally => tally.messages),
      messageBytes: Math.round(sum(tally => tally.bytes)),
      oldest: Number.isFinite(oldest) ? oldest : null,
      shared: this.#shared,
      sharedBytes: this.#sharedBytes,
      receipts: sum(tally => tally.receipts),
      retained: this.#retained,
      retainedBytes: this.#retainedBytes,
      wills: this.#wills,
      damaged: this.#damaged,
    }
    return { summary, sessions: summaries(tallies) }
  }

  #count(pairs: readonly Pair[]): void {
    for (const [key, value] of pairs) {
      if (key[0] === META) continue // it has no sum
      try {
        if (isKnownKey(key)) this.#record(key, unseal(key, value))
        else this.#damaged++
      } catch (error) {
        if (!(error instanceof DamagedRecord)) throw error
        this.#damaged++
      }
    }
  }

  /** In the order of the kinds of keys: what the queue needs comes before it, the sessions come last. */
  #record(key: Buffer, body: Buffer): void {
    switch (key[0] as number) {
      case FILTER:
        this.#tally(key).subscriptions++
        break
      case RECEIPT:
        this.#tally(key).receipts++
        break
      case CURSOR:
        this.#tally(key).cursor = decodeCursor(key, body)
        break
      case RECORD:
        this.#shared++
        this.#sharedBytes += body.length
        break
      case QUEUE:
        this.#tally(key).entry(seqOf(key), entryHead(key, body))
        break
      case RETAINED:
        this.#retained++
        this.#retainedBytes += decodeRetained(key, body).payload.length
        break
      case SESSION:
        this.#tally(key).head = decodeSession(key, body)
        break
      case WILL:
        this.#wills++
    }
  }

  #tally(key: Buffer): SessionTally {
    const number = sessionOf(key)
    const known = this.#sessions.get(number)
    if (known !== undefined) return known
    const tally = new SessionTally()
    this.#sessions.set(number, tally)
    return tally
  }
}

function* summaries(tallies: readonly SessionTally[]): Generator<SessionSummary> {
  for (const tally of tallies) if (tally.head !== null) yield tally.summary(tally.head)
}

/** What the database says of itself; it was checked when it was opened. */
async function markOf(level: Level): Promise<{ format: number; madeBy: string }> {
  const value = await level.get(Buffer.from('Mformat'))
  const mark = JSON.parse(value?.toString() ?? '{}') as { format?: unknown; by?: unknown }
  return { format: Number(mark.format), madeBy: typeof mark.by === 'string' ? mark.by : '' }
}

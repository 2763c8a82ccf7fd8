import type { Level } from './database.ts'
import { levelErrorOf } from './database-errors.ts'
import { type Pair, walk } from './inspect-walk.ts'
import { kindRange, QUEUE, RECORD, recordKey, SESSION, seqOf, sessionKey, sessionOf } from './keys.ts'
import { DamagedRecord, decodeRecord, messagesOf, unseal } from './records.ts'
import { decodeFully, wrongWith } from './verify-decode.ts'
import { isKnownKey, isOfSession } from './verify-keys.ts'

/** A record that is damaged, or of no use because another is. */
export interface RecordFinding {
  readonly key: Buffer
  readonly what: string
  /** Messages that the client of this queue entry does not get; 0: none, or it can't be told. */
  readonly messages: number
  /** What a hub that was killed leaves behind of a session that had ended; the next one removes it. */
  readonly isLeftover: boolean
}

export interface RecordScan {
  readonly records: number
  /** What LevelDB could not read; null: nothing. */
  readonly unread: string | null
}

interface Reference {
  readonly key: Buffer
  readonly seq: number
  readonly count: number
}

const AT_ONCE = 256
/** Sound message records that are remembered; the others are read again for each session that refers to them. */
const REMEMBERED = 1_000_000

/** Reads every record once, checks it, and whether what it refers to is there. */
export async function scanRecords(level: Level, tell: (finding: RecordFinding) => void): Promise<RecordScan> {
  return new RecordScanner(level, tell).run()
}

class RecordScanner {
  readonly #level: Level
  readonly #tell: (finding: RecordFinding) => void
  /** Sessions with a sound record. */
  readonly #sessions = new Set<number>()
  /** Others that must have had one: what there is of them is written and deleted together with it. */
  readonly #headless = new Set<number>()
  /** How many messages sound message records have, by their numbers. */
  readonly #runs = new Map<number, number>()
  #references: Reference[] = []
  #records = 0

  constructor(level: Level, tell: (finding: RecordFinding) => void) {
    this.#level = level
    this.#tell = tell
  }

  async run(): Promise<RecordScan> {
    const sessions = kindRange(SESSION)
    const clientIds = new Map<string, number>()
    const inSessions = await walk(this.#level, sessions, pairs => {
      for (const pair of pairs) this.#session(pair, clientIds)
    })
    const before = await walk(this.#level, { lt: sessions.gte }, pairs => this.#others(pairs))
    const behind = await walk(this.#level, { gte: sessions.lt }, pairs => this.#others(pairs))
    return { records: this.#records, unread: inSessions ?? before ?? behind }
  }

  #session([key, value]: Pair, clientIds: Map<string, number>): void {
    this.#records++
    const number = isKnownKey(key) ? sessionOf(key) : null
    try {
      const { clientId } = decodeFully(key, value)
      if (number === null) return this.#damaged(key, 'its key is of no session')
      const earlier = clientIds.get(clientId)
      if (earlier !== undefined) {
        this.#sessions.delete(earlier)
        this.#headless.add(earlier)
        this.#damaged(sessionKey(earlier), `its client has session ${number} as well`)
      }
      clientIds.set(clientId, number)
      this.#sessions.add(number)
    } catch (error) {
      if (!(error instanceof DamagedRecord)) throw error
      if (number !== null) this.#headless.add(number)
      this.#damaged(key, wrongWith(error))
    }
  }

  async #others(pairs: readonly Pair[]): Promise<void> {
    for (const [key, value] of pairs) {
      this.#records++
      if (this.#references.length >= AT_ONCE) await this.#resolve()
      if (!isKnownKey(key)) this.#damaged(key, 'the hub writes no such records')
      else this.#record(key, value)
    }
    await this.#resolve()
  }

  #record(key: Buffer, value: Buffer): void {
    try {
      const { entry, messages } = decodeFully(key, value)
      if (isOfSession(key[0] as number) && !this.#hasSession(key, messages)) return
      if (key[0] === RECORD && this.#runs.size < REMEMBERED) this.#runs.set(seqOf(key), messages)
      if (entry?.isReference !== true) return
      const seq = seqOf(key)
      // In the order of keys the message records come first.
      if ((this.#runs.get(seq) ?? 0) < entry.count) this.#references.push({ key, seq, count: entry.count })
    } catch (error) {
      if (!(error instanceof DamagedRecord)) throw error
      this.#damaged(key, wrongWith(error))
    }
  }

  #hasSession(key: Buffer, messages: number): boolean {
    const number = sessionOf(key)
    if (this.#sessions.has(number)) return true
    // Only queues outlive their session for a moment; in the order of keys they come behind all else of a session.
    if (key[0] !== QUEUE) this.#headless.add(number)
    const isLeftover = !this.#headless.has(number)
    const what = isLeftover ? 'its session has ended' : 'the record of its session is lost'
    this.#tell({ key, what, messages, isLeftover })
    return false
  }

  /** Looks for the records that queue entries refer to and that were not found to be sound. */
  async #resolve(): Promise<void> {
    const references = this.#references
    if (references.length === 0) return
    this.#references = []
    const values = await this.#recordsOf(references)
    for (const [i, { key, seq, count }] of references.entries()) {
      const at = recordKey(seq)
      const value = values[i]
      try {
        if (value === undefined) throw new DamagedRecord(at, 'is missing')
        messagesOf(at, decodeRecord(at, unseal(at, value)).packets, count, seq)
      } catch (error) {
        if (!(error instanceof DamagedRecord)) throw error
        const what = value === undefined ? 'is missing' : `is damaged (${wrongWith(error)})`
        this.#damaged(key, `its message record ${what}`, count)
      }
    }
  }

  async #recordsOf(references: readonly Reference[]): Promise<(Buffer | undefined)[]> {
    const keys = references.map(({ seq }) => recordKey(seq))
    try {
      return await this.#level.getMany(keys)
    } catch (failure) {
      if (levelErrorOf(failure).code !== 'LEVEL_CORRUPTION') throw failure
    }
    const values: (Buffer | undefined)[] = []
    for (const key of keys) {
      values.push(
        await this.#level.get(key).catch(failure => {
          if (levelErrorOf(failure).code !== 'LEVEL_CORRUPTION') throw failure
          return undefined
        }),
      )
    }
    return values
  }

  #damaged(key: Buffer, what: string, messages = 0): void {
    this.#tell({ key, what, messages, isLeftover: false })
  }
}

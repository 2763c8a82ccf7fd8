import { GatewayError, type Logger } from '../../common/index.ts'
import type { Message } from '../message.ts'
import type { Session } from '../session.ts'
import type { Database } from './database.ts'
import {
  CURSOR,
  FILTER,
  kindRange,
  nameOf,
  QUEUE,
  RECEIPT,
  RECORD,
  RETAINED,
  recordKey,
  SESSION,
  seqOf,
  sessionOf,
  WILL,
} from './keys.ts'
import {
  type Cursor,
  DamagedRecord,
  decodeCursor,
  decodeRecord,
  decodeRetained,
  decodeSession,
  decodeWill,
  entryHead,
  type SessionHead,
  type StoredRetained,
  unseal,
  type WillOwner,
} from './records.ts'
import { SessionLog } from './session-log.ts'
import type { Store } from './store.ts'

const STEP = 1000
const PROGRESS_MS = 1000

/** Who gets what is found. */
export interface Found {
  /** A kept session, with the log that is to be its own. */
  session(clientId: string): Session
  subscription(session: Session, filter: string, qos: number): void
  receipt(session: Session, packetId: number): void
  retained(topic: string, message: StoredRetained): void
  /** The Will of a client that was connected when the hub died. */
  will(clientId: string, will: Message, whose: WillOwner): void
}

/**
 * Reads all that is stored, once, and checks it: the time it takes is linear in what is there. Rejects with
 * ERR_STORE_CORRUPT when something can't be what was written.
 */
export async function recover(store: Store, database: Database, found: Found, log: Logger): Promise<void> {
  const progress = new Progress(database.dir, log)
  try {
    await new Recovery(store, database, found, progress).run()
  } catch (error) {
    if (!(error instanceof DamagedRecord)) throw error
    throw new GatewayError(
      'ERR_STORE_CORRUPT',
      `the database in ${database.dir} is damaged: ${error.message}; restore a copy of the directory, or see openedge store verify ${database.dir} for all that is damaged and openedge store repair ${database.dir} to keep the rest`,
      { cause: error },
    )
  }
  progress.end()
}

class Recovery {
  readonly #store: Store
  readonly #database: Database
  readonly #found: Found
  readonly #progress: Progress
  /** The sessions that share each record. */
  readonly #records = new Map<number, readonly number[]>()
  readonly #used = new Set<number>()
  readonly #orphans = new Set<number>()

  constructor(store: Store, database: Database, found: Found, progress: Progress) {
    this.#store = store
    this.#database = database
    this.#found = found
    this.#progress = progress
  }

  async run(): Promise<void> {
    const cursors = new Map<number, Cursor>()
    await this.#each(CURSOR, (key, value) => {
      const cursor = decodeCursor(key, value)
      cursors.set(sessionOf(key), cursor)
      this.#numbered(sessionOf(key), cursor.next)
    })
    await this.#each(SESSION, (key, value) => this.#session(sessionOf(key), decodeSession(key, value), cursors))
    await this.#each(FILTER, (key, value) => {
      const log = this.#log(key)
      if (log !== undefined) this.#found.subscription(log.session, nameOf(key, 5), value[0] as number)
    })
    await this.#each(RECEIPT, key => {
      const log = this.#log(key)
      if (log !== undefined) this.#found.receipt(log.session, key.readUInt16BE(5))
    })
    await this.#each(RECORD, (key, value) => {
      this.#records.set(seqOf(key), decodeRecord(key, value).holders)
    })
    await this.#each(QUEUE, (key, value) => this.#entry(key, value))
    for (const seq of this.#records.keys()) if (!this.#used.has(seq)) this.#store.commit.del(recordKey(seq))
    await this.#each(RETAINED, (key, value) => {
      this.#found.retained(nameOf(key, 1), decodeRetained(key, value))
    })
    await this.#each(WILL, (key, value) => {
      const { will, whose } = decodeWill(key, value)
      this.#store.wills.found(nameOf(key, 1))
      this.#found.will(nameOf(key, 1), will, whose)
    })
    this.#store.committedEnd = this.#store.nextSeq
    for (const number of this.#orphans) this.#store.purge(number)
  }

  #session(number: number, head: SessionHead, cursors: ReadonlyMap<number, Cursor>): void {
    const session = this.#found.session(head.clientId)
    const log = new SessionLog(this.#store, number, session)
    // Who was connected when the hub ended is away from now on.
    log.restore(head.leftAt === 0 ? { ...head, leftAt: Date.now() } : head, cursors.get(number) ?? null)
    session.log = log
    this.#store.logs.set(number, log)
    this.#numbered(number, head.guardedTo)
  }

  #entry(key: Buffer, value: Buffer): void {
    const store = this.#store
    const number = sessionOf(key)
    const seq = seqOf(key)
    const { isReference, count, size, qos, time } = entryHead(key, value)
    this.#numbered(number, seq + count)
    const log = store.logs.get(number)
    if (log === undefined) {
      this.#orphans.add(number)
      if (isReference) this.#used.add(seq)
      return
    }
    let holders: readonly number[] | null = null
    if (isReference) {
      holders = this.#records.get(seq) ?? null
      if (holders === null) throw new DamagedRecord(recordKey(seq), 'absence')
      this.#used.add(seq)
    }
    if (!log.restoreEntry(seq, count, size, qos, holders)) store.commit.del(key)
    store.ages.note(time, seq + count)
  }

  #log(key: Buffer): SessionLog | undefined {
    const number = sessionOf(key)
    this.#numbered(number, 0)
    return this.#store.logs.get(number)
  }

  /** Numbers that are in use are not given again. */
  #numbered(session: number, end: number): void {
    const store = this.#store
    if (session >= store.nextSession) store.nextSession = session + 1
    if (end > store.nextSeq) store.nextSeq = end
  }

  async #each(kind: number, visit: (key: Buffer, value: Buffer) => void): Promise<void> {
    const iterator = this.#database.level.iterator({ ...kindRange(kind), fillCache: false })
    try {
      for (;;) {
        const step = await iterator.nextv(STEP)
        if (step.length === 0) return
        for (const [key, value] of step) visit(key, unseal(key, value))
        this.#progress.add(step.length)
      }
    } finally {
      await iterator.close()
    }
  }
}

/** Says how far it is when it takes longer than a second. */
class Progress {
  readonly #dir: string
  readonly #log: Logger
  readonly #start = performance.now()
  #saidAt = performance.now()
  #records = 0

  constructor(dir: string, log: Logger) {
    this.#dir = dir
    this.#log = log
  }

  add(records: number): void {
    this.#records += records
    const now = performance.now()
    if (now - this.#saidAt < PROGRESS_MS) return
    this.#saidAt = now
    this.#log.info({ dir: this.#dir, records: this.#records, ms: Math.round(now - this.#start) }, 'store.loading')
  }

  end(): void {
    const ms = Math.round(performance.now() - this.#start)
    this.#log.info({ dir: this.#dir, records: this.#records, ms }, 'store.loaded')
  }
}

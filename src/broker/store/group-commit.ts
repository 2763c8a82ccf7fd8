import { setTimeout as sleep } from 'node:timers/promises'
import { GatewayError, type Logger, messageOf } from '../../common/index.ts'
import { Batch } from './batch.ts'
import type { Database } from './database.ts'
import type { SyncMode } from './directory-owner.ts'
import { type Acknowledging, Hold } from './hold.ts'
import type { LogRecord } from './log-record.ts'
import { NativeBatch } from './native-batch.ts'
import type { SessionLog } from './session-log.ts'

export type { SyncMode } from './directory-owner.ts'

export interface CommitOptions {
  readonly sync: SyncMode
  /** For 'interval'; milliseconds. */
  readonly intervalMs: number
  readonly log: Logger
  /** The number the next message will have. */
  nextSeq(): number
  /** A batch is in the database; all messages before `end` are. */
  committed(end: number, bytes: number): void
  /** A write has failed, or goes again. */
  failed(error: Error | null): void
}

/** Each try costs some memory that LevelDB does not give back. */
const RETRY_MS = 2000

/**
 * Group commit: what happens in one turn of the event loop is one batch; while one is being written, all turns gather
 * in the next. Whoever was promised something hears of it when the batch is in the database. A batch that can't be
 * written is kept and written again: nothing in it is forgotten, and nothing behind it is written before it.
 */
export class GroupCommit {
  /** Why nothing can be written now; null when it can. */
  failure: Error | null = null
  readonly #database: Database
  readonly #native: NativeBatch
  readonly #options: CommitOptions
  #current = new Batch()
  #writing: Batch | null = null
  #armed = false
  /** Who wants to know when writing fails. */
  readonly #impatient = new Set<(isStored: boolean) => void>()
  #isClosed = false
  #isOver = false
  /** Something was written since the last sync. */
  #isUnsynced = false
  /** Of the sync that is under way. */
  #syncing: Promise<void> | null = null
  #syncFailure: Error | null = null
  #timer: NodeJS.Timeout | null = null
  readonly #stop = new AbortController()
  readonly #turn = (): void => this.#endTurn()

  constructor(database: Database, options: CommitOptions) {
    this.#database = database
    this.#native = new NativeBatch(database.level)
    this.#options = options
    if (options.sync === 'interval') this.#timer = setInterval(() => this.#syncLate(), options.intervalMs).unref()
  }

  /** Bytes that are not in the database yet. */
  get pendingBytes(): number {
    return this.#current.bytes + (this.#writing?.bytes ?? 0)
  }

  /** Nothing is on its way. */
  get isIdle(): boolean {
    return this.#writing === null && this.#current.isEmpty
  }

  put(key: Buffer, value: Buffer): void {
    this.#current.put(key, value, this.failure !== null)
    this.#arm()
  }

  del(key: Buffer): void {
    this.#current.del(key, this.failure !== null)
    this.#arm()
  }

  add(record: LogRecord): void {
    this.#current.add(record)
    this.#arm()
  }

  touch(log: SessionLog): void {
    if (log.isTouched) return
    log.isTouched = true
    this.#current.touch(log)
    this.#arm()
  }

  /** Acknowledgements of this connection that wait for what has been added up to now. */
  hold(owner: Acknowledging): Hold {
    if (owner.held?.isOpen === true) return owner.held
    const hold = new Hold(owner)
    this.#current.holds.push(hold)
    owner.held = hold
    this.#arm()
    return hold
  }

  /** Calls back when what has been added up to now is stored. */
  after(callback: () => void): void {
    if (this.#current.isEmpty && this.#writing !== null) this.#writing.callbacks.push(callback)
    else {
      this.#current.callbacks.push(callback)
      this.#arm()
    }
  }

  /** Settled when what has been added up to now is stored. */
  committed(): Promise<void> {
    if (this.#current.isEmpty && this.#writing === null) return Promise.resolve()
    return new Promise(resolve => this.after(resolve))
  }

  /** As committed(), but does not wait for a disk that fails: false then, and what was added is stored some day. */
  settled(): Promise<boolean> {
    if (this.failure !== null) return Promise.resolve(false)
    if (this.isIdle) return Promise.resolve(true)
    return new Promise(resolve => {
      const settle = (isStored: boolean): void => {
        this.#impatient.delete(settle)
        resolve(isStored)
      }
      this.#impatient.add(settle)
      this.after(() => settle(true))
    })
  }

  /** Writes what is left; tries once more when writing fails. Nothing may be added any more. */
  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#timer !== null) clearInterval(this.#timer)
    await this.#syncing
    if (this.failure !== null) this.#stop.abort()
    else if (!this.#current.isEmpty || this.#writing !== null) {
      const done = this.committed()
      await Promise.race([done, new Promise(resolve => this.#stop.signal.addEventListener('abort', resolve))])
    }
    // A last time. When it fails, closing the database tries again, and tells the next run.
    if (this.#isUnsynced && this.failure === null && this.#options.sync === 'interval')
      await this.#database.syncLogs().catch(() => {})
    this.#isOver = true
  }

  #arm(): void {
    if (this.#armed || this.#writing !== null || this.#isOver) return
    this.#armed = true
    setImmediate(this.#turn)
  }

  #endTurn(): void {
    this.#armed = false
    if (this.#writing === null && !this.#current.isEmpty) this.#start()
  }

  #start(): void {
    const batch = this.#current
    this.#current = new Batch()
    this.#writing = batch
    for (const hold of batch.holds) hold.isOpen = false
    batch.seal(this.#options.nextSeq())
    const failure = this.#syncFailure
    this.#syncFailure = null
    if (failure !== null) void this.#recover(batch, failure)
    else if (batch.keys.length === 0) this.#done(batch)
    else
      this.#write(batch).then(
        () => this.#done(batch),
        error => void this.#recover(batch, error as Error),
      )
  }

  #write(batch: Batch): Promise<void> {
    return this.#native.write(batch.keys, batch.values, this.#options.sync === 'always')
  }

  #done(batch: Batch): void {
    this.#writing = null
    if (batch.keys.length > 0) this.#isUnsynced = true
    for (const hold of batch.holds) hold.release()
    this.#options.committed(batch.end, batch.bytes)
    for (const callback of batch.callbacks) callback()
    if (this.#syncFailure !== null || (!this.#current.isEmpty && !this.#armed)) this.#start()
  }

  /** Tries until the batch is written: opens the database anew, for LevelDB takes nothing more after a failed write. */
  async #recover(batch: Batch, first: Error): Promise<void> {
    const options = this.#options
    const { log } = options
    this.failure = first
    log.error({ dir: this.#database.dir, err: first }, 'store.write.failed')
    for (const settle of this.#impatient) settle(false)
    options.failed(first)
    let last = messageOf(first)
    for (;;) {
      try {
        if (isFull(last)) await this.#database.releaseReserve()
        await this.#database.reopen()
        await this.#write(batch)
        break
      } catch (error) {
        if (messageOf(error) !== last) log.error({ dir: this.#database.dir, err: error as Error }, 'store.write.failed')
        last = messageOf(error)
      }
      if (this.#isClosed) {
        this.#stop.abort()
        return
      }
      await sleep(RETRY_MS, undefined, { signal: this.#stop.signal, ref: false }).catch(() => {})
    }
    this.failure = null
    this.#syncFailure = null
    log.info({ dir: this.#database.dir }, 'store.write.recovered')
    options.failed(null)
    this.#done(batch)
  }

  /** Brings to the disk what was written since the last time. */
  #syncLate(): void {
    if (!this.#isUnsynced || this.#syncing !== null || this.failure !== null) return
    this.#isUnsynced = false
    this.#syncing = this.#database
      .syncLogs()
      .catch(error => this.#unsynced(error as Error))
      .finally(() => {
        this.#syncing = null
      })
  }

  /** Like a write that failed: opening the database anew makes tables of all that the logs hold. */
  #unsynced(error: Error): void {
    this.#isUnsynced = true
    if (this.failure !== null) return
    this.#syncFailure = error
    if (this.#writing === null) this.#start()
  }
}

/** Whether it fails for lack of space. */
export function isFull(message: string): boolean {
  return /no space left|ENOSPC|quota/i.test(message)
}

const NOT_STORED = 'ERR_STORE_UNAVAILABLE'

export function isNotStored(error: unknown): boolean {
  return error instanceof GatewayError && error.code === NOT_STORED
}

/** What a publisher gets whose message can't be stored. */
export function notStored(reason: string): GatewayError {
  return new GatewayError(NOT_STORED, `the message can not be stored: ${reason}`)
}

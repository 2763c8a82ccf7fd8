import { setTimeout as sleep } from 'node:timers/promises'
import { type Logger, messageOf } from '../../common/index.ts'
import type { Message } from '../message.ts'
import type { Route } from '../route.ts'
import type { Run } from '../run.ts'
import type { Session } from '../session.ts'
import type { HubState } from '../state.ts'
import { AgeMarks } from './age-marks.ts'
import { Behind } from './behind.ts'
import { Database } from './database.ts'
import { GroupCommit, isFull } from './group-commit.ts'
import { cursorKey, filterKey, LAST_SEQ, receiptKey, recordKey, retainedKey, sessionKey } from './keys.ts'
import { LogRecord } from './log-record.ts'
import { QueueReader } from './queue-reader.ts'
import {
  decodeRetained,
  encodeByte,
  encodeBytes,
  encodeRetained,
  encodeSession,
  packetOfMessage,
  unseal,
} from './records.ts'
import { SessionLog } from './session-log.ts'
import { SpaceWatch } from './space-watch.ts'
import type { StoreOptions } from './store-options.ts'
import { StoredWills } from './stored-wills.ts'

/** Messages that are not written yet may take so many bytes before publishers have to wait. */
const CONGESTED_BYTES = 2_097_152
/** While writing fails, so many bytes of acknowledgements are kept before clients get nothing more to acknowledge. */
const CHOKED_BYTES = 33_554_432
/** Written bytes after which the disk is looked at. */
const CHECK_EVERY_BYTES = 4_194_304
/** The part of its limit by which the queue of an absent client may exceed it for a while. */
const SLACK_SHARE = 16
/** Or so many messages, where that is more. */
const SLACK_MESSAGES = 64
/** Bytes are shares of whole runs: what is too much by less than this part of a message is not. */
const ROUNDING = 1e-6
const PURGE_STEP = 256
const RETRY_READ_MS = 1000
/** How long the end waits for sessions to be deleted. */
const PURGES_MS = 2000

/** A publish that was not stored: the store is full or failing, or a queue refuses it. */
export const REFUSED = -1

/**
 * What the hub must not forget: kept sessions and the messages they wait for, receipts, retained messages, Wills.
 * Everything is added to the group commit; whoever was promised something waits for it.
 */
export class Store {
  readonly commit: GroupCommit
  readonly queue: QueueReader
  readonly database: Database
  /** The number the next message gets. */
  nextSeq = 1
  /** Messages with smaller numbers are in the database. */
  committedEnd = 1
  nextSession = 1
  readonly logs = new Map<number, SessionLog>()
  /** Messages published before this are no longer waited for; milliseconds since 1970. */
  retainedSince = 0
  /** There are such messages among those with smaller numbers. */
  expiredBefore = 0
  readonly ages: AgeMarks
  /** Sessions with more than twice of what they may have waiting: throwing away is slower than what comes. */
  readonly late = new Set<SessionLog>()
  /** Told when publishes start or cease to be refused. */
  onAlarm: (alarm: 'ok' | 'full' | 'failed') => void = () => {}
  readonly #state: HubState
  readonly #log: Logger
  readonly #space: SpaceWatch
  #alarm: 'ok' | 'full' | 'failed' = 'ok'
  readonly wills: StoredWills
  readonly #over = new Set<SessionLog>()
  readonly #purges = new Set<Promise<void>>()
  #wakes = new Set<SessionLog>()
  #isClosed = false
  #written = 0

  constructor(database: Database, state: HubState, options: StoreOptions, log: Logger) {
    this.database = database
    this.queue = new QueueReader(database)
    this.#state = state
    this.#log = log
    this.ages = new AgeMarks(state.settings.retentionMs)
    this.#space = new SpaceWatch(database, options.maxBytes ?? 4_294_967_296, log, () => this.#sound())
    this.commit = new GroupCommit(database, {
      sync: options.sync ?? 'always',
      intervalMs: options.intervalMs ?? 1000,
      log,
      nextSeq: () => this.nextSeq,
      committed: (end, bytes) => this.#committed(end, bytes),
      failed: () => this.#sound(),
    })
    this.wills = new StoredWills(this.commit)
  }

  get settings(): HubState['settings'] {
    return this.#state.settings
  }

  /** Why nothing new is stored; null when it is. */
  get blocked(): 'full' | 'failed' | null {
    return this.#alarm === 'ok' ? null : this.#alarm
  }

  /** Bytes of the database as last seen; null: not looked at yet. */
  get usedBytes(): number | null {
    return this.#space.usedBytes
  }

  /** While nothing can be written: what clients acknowledge fills the memory, so nothing more is sent to them. */
  get isChoked(): boolean {
    return this.commit.failure !== null && this.commit.pendingBytes > CHOKED_BYTES
  }

  /** So much waits to be written, or to be thrown away, that publishers have to wait as well. */
  get isCongested(): boolean {
    return this.commit.pendingBytes > CONGESTED_BYTES || this.late.size > 0
  }

  // -- messages -----------------------------------------------------------------------------------------------------

  /** Stores a run for the kept sessions of its route; its first number, 0 when none waits for it, or REFUSED. */
  appendRun(route: Route, run: Run): number {
    if (this.blocked !== null) return REFUSED
    return this.#append(route, run.count, run.size, run.qos, run, null)
  }

  /** Stores one message of QoS 1 or 2 for the kept sessions of its route; its number, 0 or REFUSED. */
  appendMessage(route: Route, message: Message): number {
    if (this.blocked !== null) return REFUSED
    return this.#append(route, 1, message.size, message.qos, null, message)
  }

  #append(route: Route, count: number, size: number, qos: number, run: Run | null, message: Message | null): number {
    const { sessions } = route
    const seq = this.nextSeq
    const isStrict = this.settings.overflow === 'reject-publish'
    let record: LogRecord | null = null
    for (let i = 0; i < sessions.length; i++) {
      const session = sessions[i] as Session
      const log = session.log
      if (log === null) continue
      const granted = Math.min(route.qos[i] as number, qos)
      if (granted === 0 && session.receiver !== null && session.queued === 0 && log.held === 0) continue // it goes at once
      // Where a full queue refuses messages it was asked before: what is taken on is taken on everywhere.
      const room = isStrict ? count : session.roomFor(count, size)
      if (room < count) this.dropped(session, count - room)
      if (room === 0) continue
      if (record === null) {
        const packets = run === null ? packetOfMessage(message as Message) : run.packets()
        record = new LogRecord(seq, count, size, Date.now(), packets)
      }
      // Exactly once: nobody has it before it is stored, for the publisher may send it again after a crash.
      log.take(record, granted, room, qos === 2)
    }
    return record === null ? 0 : this.#add(record)
  }

  /** Stores a message for one session alone; false when it can't be. */
  appendFor(session: Session, message: Message, qos: number): boolean {
    if (this.blocked !== null) return false
    const record = new LogRecord(this.nextSeq, 1, message.size, Date.now(), packetOfMessage(message))
    session.log?.take(record, qos, 1, true)
    this.#add(record)
    return true
  }

  #add(record: LogRecord): number {
    this.nextSeq += record.count
    this.commit.add(record)
    return record.seq
  }

  /**
   * How many messages too many a session has waiting on disk. While its client is absent a few more than the limit are
   * let be: throwing them away by the dozen costs a fraction of doing so one by one, and before the client gets any they go.
   */
  excess(log: SessionLog, isExact: boolean): number {
    const { queueMessages, queueBytes, overflow } = this.settings
    if (overflow !== 'drop-oldest') return 0
    const { count, bytes } = log.disk
    const slack = isExact ? 0 : 1 / SLACK_SHARE
    const few = isExact ? 0 : SLACK_MESSAGES
    const isOver =
      count + log.session.memoryQueued > queueMessages + Math.max(queueMessages * slack, few) ||
      bytes > queueBytes * (1 + slack)
    if (!isOver) return 0
    const tooMany = count + log.session.memoryQueued - queueMessages
    const tooLarge = bytes > queueBytes ? Math.ceil(((bytes - queueBytes) / bytes) * count - ROUNDING) : 0
    return Math.max(Math.min(Math.max(tooMany, tooLarge), count - 1), 0)
  }

  /** A queue has more than it may, but not so many that they are thrown away at once: in a second they are. */
  trimSoon(log: SessionLog): void {
    this.#over.add(log)
  }

  /** Messages that a session does not get because a limit says so. */
  dropped(session: Session, count: number, isExpired = false): void {
    const { counters } = this.#state
    if (isExpired) counters.droppedExpired += count
    else {
      counters.droppedQueued += count
      session.overflowed()
    }
  }

  /** A session is done with a record; the last of those that share it deletes it. */
  passed(seq: number, holders: readonly number[]): void {
    for (let i = holders.length - 1; i >= 0; i--) {
      const log = this.logs.get(holders[i] as number)
      if (log !== undefined && log.lowest <= seq) return
    }
    this.commit.del(recordKey(seq))
  }

  /** Whether all queues together would hold more in memory than they may. */
  isMemoryFull(moreBytes: number): boolean {
    return this.#state.isFull(moreBytes)
  }

  newBehind(): Behind {
    return new Behind(this.#state)
  }

  // -- sessions -----------------------------------------------------------------------------------------------------

  /** A new kept session. */
  createLog(session: Session): SessionLog {
    const log = new SessionLog(this, this.nextSession++, session)
    this.logs.set(log.number, log)
    this.saveSession(log)
    return log
  }

  saveSession(log: SessionLog): void {
    const key = sessionKey(log.number)
    this.commit.put(key, encodeSession(key, log.head))
  }

  saveSubscription(log: SessionLog, filter: string, qos: number): void {
    const key = filterKey(log.number, filter)
    this.commit.put(key, encodeByte(key, qos))
  }

  dropSubscription(log: SessionLog, filter: string): void {
    this.commit.del(filterKey(log.number, filter))
  }

  saveReceipt(log: SessionLog, packetId: number): void {
    const key = receiptKey(log.number, packetId)
    this.commit.put(key, encodeBytes(key, Buffer.alloc(0)))
  }

  dropReceipt(log: SessionLog, packetId: number): void {
    this.commit.del(receiptKey(log.number, packetId))
  }

  /** Forgets a session and all that it waits for. */
  dropSession(log: SessionLog): void {
    const { number, session } = log
    this.logs.delete(number)
    this.late.delete(log)
    log.drop()
    this.commit.del(sessionKey(number))
    this.commit.del(cursorKey(number))
    for (const filter of session.subscriptions.keys()) this.commit.del(filterKey(number, filter))
    for (const packetId of session.receipts.list()) this.commit.del(receiptKey(number, packetId))
    this.purge(number)
  }

  /** Deletes the queue of a session that is no more, step by step, in the background. */
  purge(session: number): void {
    const purge = this.#purge(session).finally(() => this.#purges.delete(purge))
    this.#purges.add(purge)
  }

  /** Never rejects. */
  async #purge(session: number): Promise<void> {
    try {
      for (;;) {
        await this.commit.committed()
        if (this.#isClosed) return
        const entries = await this.queue.heads(session, 0, LAST_SEQ, PURGE_STEP)
        for (const { key, seq, holders } of entries) {
          this.commit.del(key)
          if (holders !== null) this.passed(seq, holders)
        }
        if (entries.length === 0) return
      }
    } catch (error) {
      if (!this.#isClosed) this.#log.warn({ session, err: error as Error }, 'store.purge.failed') // at the next start
    }
  }

  // -- retained messages ---------------------------------------------------------------------------------------------

  /** `bridge`: client id of the bridge that published it. */
  saveRetained(topic: string, qos: number, payload: Uint8Array, bridge = ''): void {
    const key = retainedKey(topic)
    this.commit.put(key, encodeRetained(key, qos, payload, bridge))
  }

  dropRetained(topic: string): void {
    this.commit.del(retainedKey(topic))
  }

  /** The payloads of retained messages; undefined where none is stored. Rejects with DamagedRecord. */
  async readRetained(topics: readonly string[]): Promise<(Buffer | undefined)[]> {
    const keys = topics.map(retainedKey)
    const values = (await this.database.level.getMany(keys)) as (Buffer | undefined)[]
    return values.map((value, i) => {
      const key = keys[i] as Buffer
      return value === undefined ? undefined : decodeRetained(key, unseal(key, value)).payload
    })
  }

  // -- work of its own ----------------------------------------------------------------------------------------------

  /** Has a session look at its queue when what is on its way is stored. */
  wakeLater(log: SessionLog): void {
    if (this.commit.isIdle) setImmediate(() => log.feed.wake())
    else this.#wakes.add(log)
  }

  /** Throws away what is too old: messages after message.ingress.qos1.cleanup.retention. */
  cleanUp(now: number): void {
    this.retainedSince = now - this.settings.retentionMs
    this.ages.note(now, this.nextSeq)
    this.expiredBefore = this.ages.before(this.retainedSince)
    if (this.expiredBefore === 0) return
    for (const log of this.logs.values()) if (log.lowest < this.expiredBefore) log.feed.wake()
  }

  /** Looks after space, and after queues that are a little too long; called now and then. */
  checkSpace(): void {
    this.#written = 0
    const over = [...this.#over]
    this.#over.clear()
    for (const log of over) log.feed.trimExactly()
    this.#space.check()
  }

  readFailed(log: SessionLog, error: Error): void {
    if (this.#isClosed || this.commit.failure !== null) return // it is read when the database is open again
    setTimeout(() => log.feed.wake(), RETRY_READ_MS).unref()
    this.#log.error({ clientId: log.session.clientId, dir: this.database.dir, err: error }, 'store.read.failed')
  }

  /** Messages that should be there are not: never silently. */
  lost(log: SessionLog, count: number): void {
    this.#log.error({ clientId: log.session.clientId, dir: this.database.dir, count }, 'store.messages.lost')
  }

  /** Stores what is on its way and closes the database. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    // What is left of them is deleted at the next start.
    await Promise.race([Promise.all(this.#purges), sleep(PURGES_MS, undefined, { ref: false })])
    await this.commit.close()
    this.#isClosed = true
    this.#space.stop()
    await sleep(0)
    await this.database.close()
  }

  #committed(end: number, bytes: number): void {
    this.committedEnd = end
    this.#written += bytes
    if (this.#written > CHECK_EVERY_BYTES) this.checkSpace()
    if (this.#wakes.size > 0) {
      const wakes = this.#wakes
      this.#wakes = new Set()
      for (const log of wakes) log.feed.wake()
    }
    this.#state.flushAll()
  }

  #sound(): void {
    const error = this.commit.failure
    // What the reserve gave is for acknowledgements: until there is room again nothing new is stored.
    if (error !== null && isFull(messageOf(error))) this.#space.isFull = true
    const alarm = this.commit.failure !== null ? 'failed' : this.#space.isFull ? 'full' : 'ok'
    if (alarm === this.#alarm) return
    this.#alarm = alarm
    if (alarm === 'ok') this.#log.info({ dir: this.database.dir }, 'store.ok')
    else
      this.#log.error({ dir: this.database.dir, reason: error === null ? 'full' : messageOf(error) }, 'store.refuses')
    if (alarm !== 'failed') for (const log of this.logs.values()) if (log.session.receiver !== null) log.feed.wake()
    this.onAlarm(alarm)
  }
}

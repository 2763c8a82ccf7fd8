import type { Message } from '../message.ts'
import { queueKey } from './keys.ts'
import { LogEntry } from './log-record.ts'
import type { StoredEntry } from './queue-reader.ts'
import type { SessionLog } from './session-log.ts'
import type { Store } from './store.ts'

/** Messages in memory ahead of the window; more wait on disk. */
export const READ_AHEAD = 512
/** Bytes taken from disk in one go. */
const READ_BYTES = 262_144

/** Brings what waits on disk into memory, when there is room for it, or throws it away when it is too much or too old. */
export class DiskFeed {
  readonly #log: SessionLog
  readonly #store: Store
  #isBusy = false
  /** Messages with smaller numbers are thrown away. */
  #discardTo = 0
  /** The queue is to be cut to what it may be, and not a little above. */
  #isExact = false

  constructor(log: SessionLog, store: Store) {
    this.#log = log
    this.#store = store
  }

  /** Throws away what is too much, to the last message. */
  trimExactly(): void {
    this.#isExact = true
    this.wake()
    if (!this.#isBusy) this.#isExact = false
  }

  /** Throws away all that waits. */
  discard(): void {
    this.#discardTo = this.#store.nextSeq
    for (const entry of this.#log.entries.list()) this.#log.finish(entry, entry.left)
    this.#log.touch()
    this.wake()
  }

  /** There may be something to read: for a client that has room, or to throw away. */
  wake(): void {
    if (this.#isBusy || this.#log.isDropped || this.#log.disk.count === 0 || !this.#hasWork) return
    this.#isBusy = true
    if (this.excess > 0) this.#isExact = true // once it has to read, it makes room for more than one message
    this.#work()
      .catch(error => this.#store.readFailed(this.#log, error as Error))
      .finally(() => {
        this.#isBusy = false
        this.#isExact = false
      })
  }

  async #work(): Promise<void> {
    while (!this.#log.isDropped && this.#log.disk.count > 0) {
      if (!this.#hasWork) return
      if (!this.#isReadable && this.#log.disk.entry < this.#store.nextSeq) {
        this.#store.wakeLater(this.#log)
        return
      }
      const end = this.#store.committedEnd
      const version = this.#log.version
      const { queue } = this.#store
      const entries = this.#hasRoom
        ? await queue.read(this.#log.number, this.#log.disk.entry, end, READ_AHEAD, READ_BYTES)
        : await queue.heads(
            this.#log.number,
            this.#log.disk.entry,
            end,
            Math.min(this.excess || READ_AHEAD, READ_AHEAD),
          )
      if (version !== this.#log.version || this.#log.isDropped) continue
      if (entries.length === 0) {
        if (end < this.#store.nextSeq) {
          // What waits first is on its way to the database.
          this.#log.disk.beginAt(end)
          continue
        }
        this.#store.lost(this.#log, this.#log.disk.count)
        this.#emptied()
        this.#log.session.pump()
        return
      }
      const { count } = this.#log.disk
      this.#apply(entries, version)
      if (this.excess <= this.#log.disk.count / 2) this.#store.late.delete(this.#log)
      if (this.#log.disk.count === count) return // no room, and nothing to throw away yet
    }
  }

  get #hasWork(): boolean {
    const gone = Math.max(this.#store.expiredBefore, this.#discardTo)
    return this.#hasRoom || this.#log.disk.entry < gone || this.excess > 0
  }

  /** How many messages too many wait on disk. */
  get excess(): number {
    return this.#store.excess(this.#log, this.#isExact || this.#log.session.receiver !== null || this.#log.isExpected)
  }

  /** What waits first is in the database. */
  get #isReadable(): boolean {
    return this.#log.disk.count > 0 && this.#log.disk.entry < this.#store.committedEnd
  }

  get #hasRoom(): boolean {
    return this.#mayTake(READ_AHEAD / 2)
  }

  /** Its client is there, or about to be, and has fewer than so many messages ahead. */
  #mayTake(ahead: number): boolean {
    const { session } = this.#log
    return (
      (session.receiver !== null || this.#log.isExpected) &&
      !this.#log.isParked &&
      session.hasRoomAhead(ahead) &&
      !this.#store.isChoked
    )
  }

  /** Takes entries from the front of the disk's part: throws away what is too many or too old, hands over the rest. */
  #apply(entries: readonly StoredEntry[], version: number): void {
    for (const entry of entries) {
      const isExpired = entry.time < this.#store.retainedSince || entry.seq < this.#discardTo
      const drop = isExpired ? entry.count : this.excess
      const waiting = Math.max(entry.count - this.#log.disk.skipped(entry.seq), 0)
      if (drop > 0) {
        const dropped = Math.min(drop, waiting)
        this.#store.dropped(this.#log.session, dropped, isExpired)
        this.#log.disk.advance(entry, dropped)
        this.#reuse(entry, dropped)
        if (this.#log.disk.count <= 0) this.#emptied()
        if (dropped === waiting) continue
      }
      const skipped = this.#log.disk.skipped(entry.seq)
      if (entry.packets === null || !this.#mayTake(2 * READ_AHEAD)) return
      const messages = this.#store.queue.messages(entry)
      this.#reuse(entry, 0)
      this.#log.disk.advance(entry, Math.max(entry.count - skipped, 0))
      this.#handOver(messages, skipped, entry.qos)
      if (this.#log.disk.count <= 0) this.#emptied()
      this.#log.session.pump()
      if (version !== this.#log.version) return
    }
  }

  /** Notes in memory that `dropped` of an entry are gone; none: that all that waits of it is in memory now. */
  #reuse(stored: StoredEntry, dropped: number): void {
    const { seq, count, size, qos, holders } = stored
    const { last } = this.#log.entries
    const known = last !== undefined && last.seq === seq
    if (dropped > 0) {
      this.#log.touch()
      if (known) this.#log.finish(last, dropped)
      else if (this.#log.disk.next >= seq + count) {
        this.#store.commit.del(queueKey(this.#log.number, seq))
        if (holders !== null) this.#store.passed(seq, holders)
      }
      return
    }
    if (known) return
    const entry = new LogEntry(this.#log, seq, count, size, qos)
    entry.left = count - this.#log.disk.skipped(seq)
    entry.isWritten = true
    entry.holders = holders
    this.#log.entries.push(entry)
  }

  #handOver(messages: readonly Message[], from: number, qos: number): void {
    const { session } = this.#log
    for (let i = from; i < messages.length; i++) {
      const message = messages[i] as Message
      this.#bringBehind(message.seq)
      if (message.seq < this.#log.guardedTo && !session.hears(message.topic)) this.#log.consumed(message.seq)
      else session.restoreQueued(message, Math.min(qos, message.qos))
    }
  }

  #bringBehind(seq: number): void {
    this.#log.behind.takeBefore(seq, message => this.#log.session.restoreQueued(message, 0))
  }

  #emptied(): void {
    this.#log.disk.clear()
    if (this.#log.session.receiver !== null) this.#bringBehind(Number.POSITIVE_INFINITY)
  }

  /** Reads what the client needs first; settled when it is in memory. */
  async fill(): Promise<void> {
    if (this.#isBusy || !this.#isReadable) return
    this.#isBusy = true
    try {
      await this.#work()
    } finally {
      this.#isBusy = false
    }
  }
}

import type { Message } from '../message.ts'
import type { Session } from '../session.ts'
import { Behind } from './behind.ts'
import { DiskFeed, READ_AHEAD } from './disk-feed.ts'
import { DiskPart } from './disk-part.ts'
import { EntryList } from './entry-list.ts'
import { queueKey } from './keys.ts'
import { LogEntry, type LogRecord } from './log-record.ts'
import type { Cursor, Sent, SessionHead } from './records.ts'
import type { Store } from './store.ts'

/**
 * What a kept session waits for, on disk. In memory are only the entries of messages in its window and of a bounded
 * number ahead of it; the others are numbers here: how many, from where on.
 *
 *     entries   [ 17..19 ][ 24..90 ] | on disk: [ 90..95 ][ 99..99 ] ...
 *                 window   read ahead    ^ disk.entry
 */
export class SessionLog {
  readonly number: number
  readonly session: Session
  /** Its window has changed since the last batch. */
  isTouched = false
  /** A cursor is stored. */
  hasCursor = false
  /** The session has ended: what is stored of it goes away. */
  isDropped = false
  principal = ''
  guardedTo = 0
  /** What waits on disk only. */
  readonly disk = new DiskPart()
  /** Packet identifiers of QoS 2 messages that are not stored yet, so that the messages must not be sent. */
  readonly #held = new Set<number>()
  readonly #store: Store
  readonly entries = new EntryList()
  /** The window of an absent client. */
  #sent: readonly Sent[] | null = null
  readonly behind: Behind
  readonly feed: DiskFeed
  /** The number behind the last message it has taken. */
  #end = 0
  /** Its client is about to be let in: what it needs first stays in memory. */
  isExpected = false
  /** Raised when a read that is under way is no longer what is needed. */
  version = 0
  #unparking: Promise<void> | null = null

  constructor(store: Store, number: number, session: Session) {
    this.#store = store
    this.behind = store.newBehind()
    this.feed = new DiskFeed(this, store)
    this.number = number
    this.session = session
  }

  get head(): SessionHead {
    const { principal, guardedTo } = this
    const { clientId, leftAt, isBridge } = this.session
    return { clientId, principal, leftAt, guardedTo, isBridge }
  }

  /** The number of the first message that its client does not have; all before are done with. */
  get lowest(): number {
    const { first } = this.entries
    if (first !== undefined) return first.seq
    return this.disk.count > 0 ? this.disk.entry : Number.POSITIVE_INFINITY
  }

  /** How many QoS 2 messages have to wait until their packet identifiers are stored. */
  get held(): number {
    return this.#held.size
  }

  /** Whether the message of this packet identifier has to wait. */
  holds(packetId: number): boolean {
    return this.#held.has(packetId)
  }

  /** The window is on disk only: unpark() brings it back. */
  get isParked(): boolean {
    return this.#sent !== null
  }

  /** Messages sent and not acknowledged, of an absent client. */
  get parked(): number {
    return this.#sent?.length ?? 0
  }

  // -- new messages -------------------------------------------------------------------------------------------------

  /**
   * Adds the first `count` messages of a run. They stay in memory as well when the client can have them soon, and not
   * when they must be stored first (`isLater`).
   */
  take(record: LogRecord, qos: number, count: number, isLater: boolean): void {
    const size = count === record.count ? record.size : Math.round((record.size * count) / record.count)
    const entry = new LogEntry(this, record.seq, count, size, qos)
    record.entries.push(entry)
    this.#end = record.seq + count
    if (!isLater && this.disk.count === 0 && this.session.receiver !== null && this.session.hasRoomAhead(READ_AHEAD)) {
      this.entries.push(entry)
      return
    }
    this.disk.add(record.seq, count, size)
    this.session.trim()
    const { excess } = this.feed
    if (excess > this.disk.count / 2) this.#store.late.add(this)
    if (this.session.receiver !== null || excess > 0) this.#store.wakeLater(this)
    else if (this.#store.excess(this, true) > 0) this.#store.trimSoon(this)
  }

  /** How many of `count` messages from this number on it has taken. */
  taken(seq: number, count: number): number {
    return seq > 0 ? Math.max(Math.min(this.#end - seq, count), 0) : 0
  }

  /** A QoS 0 message that must not overtake what waits on disk; false when there is no room. */
  follow(message: Message): boolean {
    const { qos0Buffer, queueBytes } = this.#store.settings
    const isOver = this.behind.length >= qos0Buffer || this.behind.bytes + message.size > queueBytes
    if (isOver || this.#store.isMemoryFull(message.size)) return false
    this.behind.push(this.#store.nextSeq, message)
    return true
  }

  // -- what the client has ------------------------------------------------------------------------------------------

  /** The client has this message, or will never get it. */
  consumed(seq: number): void {
    const entry = seq > 0 ? this.entries.find(seq) : undefined
    if (entry === undefined) return
    this.touch()
    this.finish(entry, 1)
  }

  /** The window has changed. */
  touch(): void {
    this.#store.commit.touch(this)
  }

  /** Has a QoS 2 message sent when its packet identifier is stored: after a crash it must have the same again. */
  sendLater(packetId: number, message: Message): void {
    this.#held.add(packetId)
    this.touch()
    this.#store.commit.after(() => {
      this.#held.delete(packetId)
      this.session.sendHeld(packetId, message)
    })
  }

  /** How far the client is; null when that says no more than the queue itself. */
  cursor(): Cursor | null {
    const sent = this.#sent ?? this.session.sent()
    const next = this.session.firstQueued || (this.disk.count > 0 ? this.disk.next : this.#store.nextSeq)
    return sent.length === 0 && this.lowest >= next ? null : { next, sent }
  }

  /** So many messages of an entry are done with. */
  finish(entry: LogEntry, count: number): void {
    entry.left -= count
    if (entry.left > 0) return
    if (entry.isWritten) this.#store.commit.del(queueKey(this.number, entry.seq))
    this.entries.shiftDone(({ seq, holders }) => {
      if (holders !== null) this.#store.passed(seq, holders)
    })
  }

  // -- coming and going ---------------------------------------------------------------------------------------------

  /** The client has gone: what waits in memory waits on disk from now on. */
  leave(): void {
    this.version++
    this.isExpected = false
    this.behind.clear()
    let first = 0
    let bytes = 0
    const waiting: number[] = []
    this.session.drain(message => {
      if (message.seq === 0 || this.entries.find(message.seq) === undefined) return // in memory only
      if (first === 0) first = message.seq
      waiting.push(message.seq)
      bytes += message.size
    })
    if (first > 0) {
      const boundary = this.entries.find(first) as LogEntry
      const end = boundary.seq + boundary.count
      const waitsInIt = waiting.findIndex(seq => seq >= end)
      this.disk.prepend(boundary.seq, first, waiting.length, bytes)
      // An entry that is partly in the window stays.
      this.entries.cut(boundary, boundary.left <= (waitsInIt === -1 ? waiting.length : waitsInIt))
    }
    this.touch()
    this.#parkLater()
  }

  /** A message that was taken out to be sent was not, and its client has gone. */
  giveBack(message: Message): void {
    const entry = message.seq > 0 ? this.entries.find(message.seq) : undefined
    if (entry === undefined) return
    this.disk.prepend(entry.seq, message.seq, 1, message.size)
    this.touch()
  }

  /** Behind what is on its way now, for what is let go has to be in the database. */
  #parkLater(): void {
    this.#store.commit.after(() => this.#park())
  }

  /** Lets go of the messages in the window of an absent client; they are stored. */
  #park(): void {
    if (this.session.receiver !== null || this.isExpected || this.#sent !== null || this.isDropped) return
    if (this.held > 0) {
      this.#parkLater()
      return
    }
    this.#sent = this.session.sent()
    this.session.forgetWindow()
  }

  /** Brings the window and the first messages that wait back before the client is let in. */
  unpark(): Promise<void> {
    this.isExpected = true
    this.#unparking ??= this.#unpark().finally(() => {
      this.#unparking = null
    })
    return this.#unparking
  }

  async #unpark(): Promise<void> {
    const sent = this.#sent
    if (sent === null) return
    const messages = new Map<number, Message>()
    const wanted = new Set(sent.map(each => each.seq))
    for (const { seq } of this.entries.list()) {
      const stored = await this.#store.queue.one(this.number, seq)
      if (stored === null) continue
      for (const message of this.#store.queue.messages(stored))
        if (wanted.has(message.seq)) messages.set(message.seq, message)
    }
    if (this.isDropped) return
    this.#sent = null
    let lost = 0
    for (const { packetId, state, seq } of sent) {
      const message = messages.get(seq) ?? null
      if (message !== null && seq < this.guardedTo && !this.session.hears(message.topic)) {
        this.consumed(seq)
        continue
      }
      if (seq === 0 || message !== null) this.session.restoreSent(packetId, state, message)
      else lost++
    }
    if (lost > 0) this.#store.lost(this, lost)
    await this.feed.fill()
  }

  /** What was stored of it, when the hub starts. */
  restore(head: SessionHead, cursor: Cursor | null): void {
    this.principal = head.principal
    this.session.leftAt = head.leftAt
    this.session.isBridge = head.isBridge
    this.guardedTo = head.guardedTo
    this.hasCursor = cursor !== null
    if (cursor !== null) this.disk.next = cursor.next
    this.#sent = cursor?.sent ?? []
  }

  /** One stored entry after the other, in their order, when the hub starts. False: nobody waits for it. */
  restoreEntry(seq: number, count: number, size: number, qos: number, holders: readonly number[] | null): boolean {
    const sent = (this.#sent as readonly Sent[]).filter(each => each.seq >= seq && each.seq < seq + count).length
    const next = this.disk.count > 0 ? seq : Math.max(this.disk.next, seq)
    const waiting = Math.max(seq + count - next, 0)
    if (sent + waiting === 0) return false
    if (sent > 0) {
      const entry = new LogEntry(this, seq, count, size, qos)
      entry.left = sent + waiting
      entry.isWritten = true
      entry.holders = holders
      this.entries.push(entry)
    }
    if (waiting > 0) {
      const bytes = (size * waiting) / count
      if (this.disk.count === 0) this.disk.prepend(seq, next, waiting, bytes)
      else this.disk.add(seq, waiting, bytes)
    }
    return true
  }

  /** What waits now goes only where a subscription of today matches. */
  guard(): void {
    this.guardedTo = this.#store.nextSeq
    this.behind.keep(message => this.session.hears(message.topic))
    this.#store.saveSession(this)
  }

  /** The session has ended. */
  drop(): void {
    this.isDropped = true
    this.version++
    this.behind.clear()
  }
}

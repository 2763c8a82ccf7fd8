import type { Subscription } from 'aedes'
import type { Client } from './client.ts'
import { Message } from './message.ts'
import type { RetainedStore } from './retained.ts'
import type { RetainedEntry } from './retained-entry.ts'
import { RetainedReader } from './retained-reader.ts'
import type { Session } from './session.ts'
import type { Store } from './store/index.ts'

type Pile = Map<RetainedEntry, Subscription>
type Line = [RetainedEntry, Subscription]

/** What is read and sent in one go. */
const SLICE_MESSAGES = 256
const SLICE_BYTES = 262_144
/** A client that has fewer messages waiting in memory has room for a slice. */
const ROOM_BELOW = 64
/** How soon a client without room is looked at again: at first, and when it has none for long. */
const PAUSE_FROM_MS = 1
const PAUSE_UP_TO_MS = 256
/** Topics that ceased to be retained while they waited are weeded out above twice what is retained and this. */
const WEED_ABOVE = 1000

/**
 * Retained messages on their way to one client, slice by slice. Until its slice comes a message is a line in a list,
 * however often it is asked for, and what is sent is what is retained then.
 */
export class RetainedFeed {
  readonly #client: Client
  readonly #session: Session
  readonly #store: Store
  readonly #retained: RetainedStore
  readonly #reader: RetainedReader
  readonly #ended: () => void
  /** They go into the session's log, whether the client has room or not. */
  readonly #logged: Pile = new Map()
  /** They go into the output; a client that does not keep up gets them later. */
  readonly #direct: Pile = new Map()
  #isRunning = false
  #wake: (() => void) | null = null

  /** `ended`: there is nothing left to send. */
  constructor(client: Client, session: Session, store: Store, retained: RetainedStore, ended: () => void) {
    this.#client = client
    this.#session = session
    this.#store = store
    this.#retained = retained
    this.#reader = new RetainedReader(client, store)
    this.#ended = ended
  }

  /** Sends these too; settled when all is sent, or waits for the client to have room. */
  send(found: ReadonlyMap<RetainedEntry, Subscription>): Promise<void> {
    for (const [entry, subscription] of found) this.#add(entry, subscription)
    this.#weed()
    this.#wake?.()
    if (this.#isRunning) return Promise.resolve()
    this.#isRunning = true
    return new Promise(resolve => {
      this.#work(resolve)
        .catch(error => this.#client.crashed(error))
        .finally(resolve)
    })
  }

  #add(entry: RetainedEntry, subscription: Subscription): void {
    const isLogged = this.#session.log !== null && Math.min(entry.qos, subscription.qos) > 0
    const pile = isLogged ? this.#logged : this.#direct
    pile.set(entry, subscription)
  }

  async #work(release: () => void): Promise<void> {
    let pauseMs = 0
    try {
      while (!this.#client.closed && this.#logged.size + this.#direct.size > 0) {
        const slice = this.#takeLogged() ?? this.#takeDirect()
        if (slice !== null) {
          pauseMs = 0
          await this.#sendSlice(slice)
        } else {
          release() // its acknowledgements make room, so they must be read
          pauseMs = Math.min(pauseMs * 2 || PAUSE_FROM_MS, PAUSE_UP_TO_MS)
          await this.#pause(pauseMs)
        }
      }
    } finally {
      this.#isRunning = false
      this.#ended()
    }
  }

  /** As many as the queue takes without dropping any; null: none. */
  #takeLogged(): Line[] | null {
    const { log, queued } = this.#session
    const { isCongested, blocked, settings } = this.#store
    if (log === null || this.#logged.size === 0 || isCongested || blocked !== null) return null
    const messages = settings.queueMessages - queued
    const bytes = settings.queueBytes - log.disk.bytes
    if (queued > 0 && (messages <= 0 || bytes <= 0)) return null
    return take(this.#logged, Math.min(messages, SLICE_MESSAGES), Math.min(bytes, SLICE_BYTES))
  }

  #takeDirect(): Line[] | null {
    const { log, memoryQueued } = this.#session
    const hasRoom = !this.#client.blocked && memoryQueued < ROOM_BELOW && (log === null || log.disk.count === 0)
    return hasRoom && this.#direct.size > 0 ? take(this.#direct, SLICE_MESSAGES, SLICE_BYTES) : null
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms).unref()
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async #sendSlice(slice: readonly Line[]): Promise<void> {
    const unread: Line[] = []
    for (const [entry, subscription] of slice) {
      const current = this.#current(entry)
      if (current === undefined) continue
      if (current.message === null) unread.push([current, subscription])
      else this.#deliver(current, current.message, subscription)
      if (this.#client.closed) return
    }
    const isLast = this.#logged.size + this.#direct.size === 0
    if (unread.length > 0) await this.#readAndSend(unread, !isLast)
    else if (!isLast) await new Promise(resolve => setImmediate(resolve)) // others go first
  }

  async #readAndSend(unread: readonly Line[], isOneOfMany: boolean): Promise<void> {
    const versions = unread.map(([entry]) => entry.version)
    const payloads = await this.#reader.read(unread.map(([entry]) => entry.topic))
    for (const [i, [entry, subscription]] of unread.entries()) {
      if (this.#client.closed) return
      const payload = payloads[i]
      if (entry.message === null && (entry.isGone || entry.version !== versions[i])) {
        // Another came meanwhile, and its live copy may be with the client already: that one, not what was read.
        const current = this.#current(entry)
        if (current !== undefined) this.#add(current, subscription)
      } else if (entry.message !== null) this.#deliver(entry, entry.message, subscription)
      else if (payload === undefined) this.#reader.report(entry.topic, new Error('it is not in the database'))
      else if (payload !== null) {
        const message = Message.of(entry.topic, payload, entry.qos, true)
        this.#retained.cache.keep(entry, message, isOneOfMany)
        this.#deliver(entry, message, subscription)
      }
    }
  }

  /** What is retained for its topic now. */
  #current(entry: RetainedEntry): RetainedEntry | undefined {
    return entry.isGone ? this.#retained.stored(entry.topic) : entry
  }

  #deliver(entry: RetainedEntry, message: Message, { topic: filter, qos }: Subscription): void {
    entry.isUsed = true
    const session = this.#session
    if (session.isBridge && this.#retained.isOfBridge(entry.topic, session.clientId)) return
    // It may have waited, and the client may have thought better of it [MQTT-3.10.4-2].
    const granted = session.subscriptions.get(filter) ?? (session.hears(entry.topic) ? qos : null)
    if (granted !== null) session.deliverRetained(message, Math.min(message.qos, granted))
  }

  /** Keeps the list as short as what it stands for. */
  #weed(): void {
    const limit = 2 * this.#retained.count + WEED_ABOVE
    for (const pile of [this.#logged, this.#direct]) {
      if (pile.size <= limit) continue
      for (const [entry, subscription] of pile) {
        if (!entry.isGone) continue
        pile.delete(entry)
        const current = this.#current(entry)
        if (current !== undefined) pile.set(current, subscription)
      }
    }
  }
}

/** Takes the first off a pile: at least one. */
function take(pile: Pile, messages: number, bytes: number): Line[] {
  const taken: Line[] = []
  let size = 0
  for (const line of pile) {
    size += line[0].size
    if (taken.length > 0 && (taken.length >= messages || size > bytes)) break
    taken.push(line)
    pile.delete(line[0])
  }
  return taken
}

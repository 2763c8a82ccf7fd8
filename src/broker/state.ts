import type { Principal } from '../auth/index.ts'
import { RuleTable } from '../router/index.ts'
import { ChunkPool, ReadBuffer } from '../wire/index.ts'
import { Counters } from './counters.ts'
import type { Latency } from './latency.ts'
import type { Message } from './message.ts'
import type { Session } from './session.ts'
import type { Settings } from './settings.ts'
import type { Store } from './store/index.ts'

/** Something with output to write at the end of this turn of the event loop. */
export interface Flushable {
  flush(): void
  /** Hears what flush() threw. */
  crashed(error: unknown): void
}

/** Told of deliveries that a pluggable persistence has to know of. */
export interface DeliveryObserver {
  /** A message of QoS 1 or 2 was given a packet identifier and written. */
  sent(session: Session, message: Message, qos: number, packetId: number): void
  /** The authorizeForward hook kept a waiting message away from the client. */
  withheld(session: Session, message: Message): void
}

/** What all connections and sessions of one hub share. */
export class HubState {
  /** Replaced as a whole when the configuration is read again: not to be kept. */
  settings: Settings
  readonly counters = new Counters()
  readonly pool = new ChunkPool()
  rules = RuleTable.EMPTY
  /** Whose permissions rules are subject to, by name. */
  spokesmen: ReadonlyMap<string, Principal> = new Map()
  /** How long messages take; null: nobody wants to know. */
  latency: Latency | null = null
  /** Raised by whatever makes a cached Route wrong: a subscription, a session that ends, a permission. */
  epoch = 0
  /** Milliseconds of a monotonic clock, refreshed with every chunk that is read and by the sweep: free to read. */
  now = 0
  /** Bytes that wait in the queues of all sessions. */
  waitingBytes = 0
  /** A chunk is being read: a run may be under way. */
  isReading = false
  /** The chunk that is being read lies in memory that the next read overwrites: what is kept of it is copied. */
  isShared = false
  readonly readBuffer = new ReadBuffer()
  /** How long a connection that we ended may take to close by itself. Milliseconds; the whole stop has as long. */
  lingerMs = 2000
  observer: DeliveryObserver | null = null
  /** Where kept sessions are stored; null: in memory only. */
  store: Store | null = null
  /** Told once per burst that a session's queue drops messages. */
  onOverflow: (clientId: string) => void = () => {}
  #dirty: Flushable[] = []
  #spare: Flushable[] = []
  #armed = false
  readonly #flushAll = (): void => this.flushAll()

  constructor(settings: Settings) {
    this.settings = settings
    this.tick()
  }

  /** Whether all queues together would hold more than they may. */
  isFull(moreBytes: number): boolean {
    return this.waitingBytes + moreBytes > this.settings.queueTotalBytes
  }

  tick(): void {
    this.now = performance.now()
  }

  /** Has flush() called once at the end of this turn, after everything that was readable has been read. */
  flushLater(item: Flushable): void {
    this.#dirty.push(item)
    if (!this.#armed) {
      this.#armed = true
      setImmediate(this.#flushAll)
    }
  }

  flushAll(): void {
    this.#armed = false
    const items = this.#dirty
    this.#dirty = this.#spare
    this.#spare = []
    for (let i = 0; i < items.length; i++) flush(items[i] as Flushable)
    items.length = 0
    this.#spare = items
    if (this.latency !== null) this.latency.written()
  }
}

/** What one connection throws must not keep the others from being written. */
function flush(item: Flushable): void {
  try {
    item.flush()
  } catch (error) {
    item.crashed(error)
  }
}

import type { Principal } from '../auth/index.ts'
import { filterMatches } from '../router/index.ts'
import { FREE, Inflight, LAST_PLACES, WAITS_PUBCOMP } from './inflight.ts'
import type { Message } from './message.ts'
import type { MessageQueue } from './message-queue.ts'
import { Receipts } from './receipts.ts'
import type { Receiver } from './receiver.ts'
import type { HubState } from './state.ts'
import type { Sent, SessionLog } from './store/index.ts'

/** Bytes that may wait in memory ahead of the window of a stored session. */
const BYTES_AHEAD = 262_144

/** What the server keeps of a client, section 4.1: while it is connected and, without Clean Session, beyond. */
export abstract class KeptState {
  readonly clientId: string
  /** Ends with the connection [MQTT-3.1.2-6]. */
  clean: boolean
  /** Topic filter -> granted QoS. */
  readonly subscriptions = new Map<string, number>()
  receiver: Receiver | null = null
  /** Who had the session last; what waited for one principal is not another's. */
  principal: Principal | null = null
  /** Its client is a bridge: it gets RETAIN as it was published, and nothing that it has published itself. */
  isBridge = false
  /** When the client of a kept session went away, milliseconds since 1970; 0: it is connected. */
  leftAt = 0
  /** It is over: nothing waits for it any more. */
  isEnded = false
  /** What of it is stored; null: nothing. */
  log: SessionLog | null = null
  /** Incoming QoS 2 messages whose PUBREL has not come. */
  readonly receipts = new Receipts()
  /** Set while a Route is made, to give overlapping filters one entry. */
  mark = 0
  markAt = 0
  protected readonly state: HubState
  protected inflight: Inflight | null = null
  protected queue: MessageQueue | null = null
  /** Messages of the window are as they were stored: no hook has seen them in this life of the hub. */
  protected wasRestored = false
  #isOverflowing = false

  constructor(clientId: string, clean: boolean, state: HubState) {
    this.clientId = clientId
    this.clean = clean
    this.state = state
  }

  /** Messages waiting for room in the window or for the client to come back. */
  get queued(): number {
    return this.memoryQueued + (this.log === null ? 0 : this.log.disk.count)
  }

  /** Those of them that are in memory. */
  get memoryQueued(): number {
    return this.queue === null ? 0 : this.queue.length
  }

  /** Messages sent and not acknowledged. */
  get unacknowledged(): number {
    return (this.inflight === null ? 0 : this.inflight.length) + (this.log === null ? 0 : this.log.parked)
  }

  /** PUBREL was sent for a message of the window, and PUBCOMP has not come. */
  get waitsForPubcomp(): boolean {
    let waits = false
    this.inflight?.forEach((_packetId, state) => {
      waits ||= state === WAITS_PUBCOMP
    })
    return waits
  }

  /** The queue takes no more (queue.max). */
  get isFull(): boolean {
    const { queueMessages, queueBytes } = this.state.settings
    const isOver = this.queued >= queueMessages || this.queuedBytes >= queueBytes
    return isOver || (this.log === null && this.state.isFull(0))
  }

  /** Bytes of their topics and payloads. */
  protected get queuedBytes(): number {
    return (this.queue === null ? 0 : this.queue.bytes) + (this.log === null ? 0 : this.log.disk.bytes)
  }

  /** Whether up to `messages` may wait in memory ahead of the window, while more wait on disk. */
  hasRoomAhead(messages: number): boolean {
    const { queue } = this
    if (queue === null || queue.length === 0) return true
    return queue.length < messages && queue.bytes < BYTES_AHEAD && !this.state.isFull(0)
  }

  /** How many of so many messages, of `size` bytes together, there is room for: all but where the newest are to be dropped. */
  roomFor(count: number, size: number, qos = 1): number {
    const { overflow, queueMessages, queueBytes } = this.state.settings
    if (overflow === 'drop-oldest') return count
    if (this.isFull) return 0
    const { receiver, queued } = this
    // With QoS 2 all wait until they are stored, and the others behind them.
    const isHeld = this.log !== null && (qos === 2 || this.log.held > 0)
    const waits = receiver === null || receiver.blocked || queued > 0 || isHeld
    const free = waits ? 0 : Math.max(this.window().free, 0)
    const fitting = Math.floor(((queueBytes - this.queuedBytes) * count) / size)
    return Math.min(count, free + Math.min(queueMessages - queued, fitting))
  }

  /** Whether a subscription matches. */
  hears(topic: string): boolean {
    for (const filter of this.subscriptions.keys()) if (filterMatches(filter, topic)) return true
    return false
  }

  /** Frees the input chunks that waiting messages still point into. */
  own(): void {
    this.inflight?.forEach((_id, _state, message) => message?.own())
    if (this.queue?.length === 0) this.queue = null
    else this.queue?.settle()
  }

  /** What a packet identifier waits for; FREE when it is not in use. */
  stateOf(packetId: number): number {
    return this.inflight?.stateOf(packetId) ?? FREE
  }

  /** Puts back what an earlier life of this session had sent; in the order of sending, before attach(). */
  restoreSent(packetId: number, state: number, message: Message | null): boolean {
    this.wasRestored = true
    // A window that was larger then is no reason to forget what was sent.
    const limit = this.log === null ? this.state.settings.window : LAST_PLACES
    return this.window().restore(packetId, state, message, this.state.now, limit)
  }

  /** The settings have changed. */
  resizeWindow(): void {
    this.inflight?.resize(this.state.settings.window)
  }

  /** Forgets all messages on their way to the client. */
  empty(): void {
    this.inflight = null
    this.queue?.clear()
    this.queue = null
  }

  // -- for its log ---------------------------------------------------------------------------------------------------

  /** The logged messages in the window, in the order of sending. */
  sent(): Sent[] {
    const sent: Sent[] = []
    this.inflight?.forEach((packetId, state, message) => {
      if (state === WAITS_PUBCOMP) sent.push({ packetId, state, seq: 0 })
      else if (message !== null && message.seq > 0) sent.push({ packetId, state, seq: message.seq })
    })
    return sent
  }

  /** The number of the first logged message in the queue; 0 when there is none. */
  get firstQueued(): number {
    return this.queue === null ? 0 : this.queue.firstSeq
  }

  /** Takes all messages out of the queue. */
  drain(visit: (message: Message) => void): void {
    const queue = this.queue
    if (queue === null) return
    this.queue = null
    for (let message = queue.shift(); message !== null; message = queue.shift()) visit(message)
  }

  /** Forgets the window: the log keeps it. */
  forgetWindow(): void {
    this.inflight = null
  }

  /** Says once per burst that messages are dropped. */
  overflowed(): void {
    if (this.#isOverflowing) return
    this.#isOverflowing = true
    this.state.onOverflow(this.clientId)
  }

  /** There is room again: the next time something is dropped it is said again. */
  protected calmDown(): void {
    this.#isOverflowing = false
  }

  protected window(): Inflight {
    this.inflight ??= new Inflight(this.state.settings.window)
    return this.inflight
  }
}

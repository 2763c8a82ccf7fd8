import { PUBREL_BYTE } from '../wire/index.ts'
import type { Connection } from './connection.ts'
import type { Entries } from './entries.ts'
import { Entry, RECEIVED, RELEASED, SENT } from './entry.ts'
import type { FlowCounters } from './flow-counters.ts'
import type { FlowEnd, FlowSettings } from './flow-end.ts'
import type { Outgoing } from './outgoing.ts'
import { PROBATION_MS, Quarantine } from './quarantine.ts'
import type { SourceSide } from './source-side.ts'
import type { TopicPlan } from './topic-map.ts'
import { Waiting } from './waiting.ts'

/** Above this much unwritten output a target does not keep up: QoS 0 is dropped, the rest waits. */
const MOST_UNWRITTEN = 1_048_576
/** Above this much that was sent and not acknowledged the rest waits, whatever the window is. */
const MOST_IN_FLIGHT = 16_777_216
/** Above this much that waits the source is not read any further, until half of it has gone. */
const MOST_WAITING = 16_777_216

export interface SenderParts {
  readonly source: SourceSide
  readonly target: FlowEnd
  readonly entries: Entries
  readonly counters: FlowCounters
  /** As they are now. */
  settings(): FlowSettings
  /** Called for what leaves for the first time. `plan`: see FlowGuard. */
  onSent(plan: TopicPlan | null, bytes: Buffer, start: number, end: number): void
  /** The target does not take this message, ever. */
  onGivenUp(entry: Entry): void
}

/** The way of messages to the target: what was sent, what waits for room, and what goes again after a break. */
export class Sender {
  /** Sent, and the target is not done with it. */
  inFlight = 0
  readonly waiting = new Waiting()
  readonly #parts: SenderParts
  readonly #quarantine = new Quarantine()
  #bytesInFlight = 0
  /** Sent and acknowledged on this connection. */
  #sent = 0
  #acknowledged = 0
  /** The message that may be one that the target does not take, and when it was sent. */
  #suspect: Entry | null = null
  #suspectSentAt = 0
  #probation: NodeJS.Timeout | null = null
  /** Identifiers that the target remembers nothing of, as far as QoS 2 goes; null: all. */
  #cleared: Set<number> | null = null
  #hasMetTarget = false

  constructor(parts: SenderParts) {
    this.#parts = parts
  }

  /** Sends a message of QoS 1 or 2 now, or when it may go. */
  offer(entry: Entry, plan: TopicPlan): void {
    const { connection } = this.#parts.target
    if (connection !== null && this.waiting.length === 0 && this.#hasRoom(connection, entry))
      this.#send(entry, connection, plan)
    else this.#wait(entry)
  }

  /** Sends a message of QoS 0 now, or when it may go, or drops it. */
  offerQos0({ bytes, start, end }: Outgoing, plan: TopicPlan, now: number): void {
    const { counters, target } = this.#parts
    const { connection } = target
    const isBusy = connection !== null && isFull(connection)
    if (connection !== null && !isBusy && this.waiting.length === 0 && !this.#quarantine.isOn) {
      connection.output.append(bytes, start, end, false)
      connection.markDirty()
      this.#parts.onSent(plan, bytes, start, end)
      return
    }
    // Behind messages that wait for room it waits too, so as not to overtake them.
    const { offlineMax, window } = this.#parts.settings()
    const room = connection === null ? offlineMax : Math.max(offlineMax, window)
    if (isBusy || room === 0) {
      counters.dropped.offline++
      return
    }
    if (this.waiting.qos0 >= room) {
      this.waiting.dropQos0()
      counters.dropped.offline++
    }
    this.#wait(new Entry(bytes, start, end, now))
  }

  /** There is a connection: what was not acknowledged goes again, in order [MQTT-4.4.0-1], then what waits. */
  up(connection: Connection, sessionPresent: boolean): void {
    this.#sent = 0
    this.#acknowledged = 0
    if (!this.#hasMetTarget && sessionPresent) this.#cleared = new Set()
    this.#hasMetTarget = true
    if (!sessionPresent) {
      this.#cleared = null
      this.#beginAgain()
    }
    if (this.#quarantine.isOn) {
      this.#probation = setTimeout(() => this.#trySuspect(), PROBATION_MS)
      return
    }
    this.#resend(connection, null)
    this.pump()
  }

  /** The connection is over. */
  down(isByPeer: boolean): void {
    const suspect = this.#suspect
    const sinceSuspectMs = suspect === null ? Number.POSITIVE_INFINITY : performance.now() - this.#suspectSentAt
    this.close()
    const ending = { sent: this.#sent, acknowledged: this.#acknowledged, isByPeer, sinceSuspectMs }
    if (this.#quarantine.convicts(ending) && suspect !== null) {
      this.leaves(suspect)
      this.#parts.onGivenUp(suspect)
    }
    for (const entry of this.#parts.entries) entry.own()
    if (this.#parts.settings().offlineMax > 0 || this.waiting.qos0 === 0) return
    this.#parts.counters.dropped.offline += this.waiting.qos0
    this.waiting.remove(entry => entry.outQos === 0)
    this.#resumeSource()
  }

  /** The target has a message, or the first half of one: it is not stuck. */
  progress(entry: Entry): void {
    this.#acknowledged++
    if (!this.#quarantine.isOn) return
    const suspect = this.#suspect
    this.#quarantine.lift()
    this.close()
    const { connection } = this.#parts.target
    if (connection === null) return
    this.#resend(connection, suspect ?? entry)
    queueMicrotask(() => this.pump())
  }

  /** The target is done with a message. */
  leaves(entry: Entry): void {
    this.inFlight--
    this.#bytesInFlight -= entry.size
  }

  /** QoS 2: sends PUBREL. */
  release(entry: Entry): void {
    entry.state = RELEASED
    if (!this.#quarantine.isOn) this.#parts.target.connection?.acknowledge(PUBREL_BYTE, entry.outId)
  }

  /** As release(), of a message that an earlier process has sent. */
  releaseUnknown(entry: Entry): void {
    this.inFlight++
    this.release(entry)
  }

  /** Sends what waits, as far as the window and the connection take it. */
  pump(): void {
    const { connection } = this.#parts.target
    if (connection === null || this.#quarantine.isOn) return
    for (let next = this.waiting.peek(); next !== null; next = this.waiting.peek()) {
      if (connection.blocked || connection.isClosed || (next.outQos > 0 && !this.#hasRoom(connection, next))) break
      this.waiting.shift()
      if (next.outQos > 0) this.#send(next, connection, null)
      else {
        connection.output.append(next.bytes, next.start, next.end, false)
        connection.markDirty()
        this.#parts.onSent(null, next.bytes, next.start, next.end)
      }
    }
    this.#resumeSource()
  }

  /** Forgets what has not been sent, but for QoS 0. */
  forgetWaiting(): void {
    this.waiting.remove(entry => {
      if (entry.outQos > 0) this.#parts.entries.delete(entry)
      return entry.outQos > 0
    })
    this.#resumeSource()
  }

  /** Ends what is timed. */
  close(): void {
    if (this.#probation !== null) clearTimeout(this.#probation)
    this.#probation = null
    this.#suspect = null
  }

  /** Whether a message of QoS 1 or 2 fits into what the target is sent before it acknowledges. */
  #hasRoom(connection: Connection, entry: Entry): boolean {
    if (this.#quarantine.isOn || this.inFlight >= this.#parts.settings().window) return false
    if (isFull(connection)) return false
    return this.inFlight === 0 || this.#bytesInFlight + entry.size <= MOST_IN_FLIGHT
  }

  #wait(entry: Entry): void {
    this.waiting.push(entry)
    if (this.waiting.bytes <= MOST_WAITING) return
    const { source, target } = this.#parts
    // Two that wait for each other would wait for ever.
    if (target.connection?.isPaused === true) source.fail('sends more than the other side of the rule takes')
    else source.pause()
  }

  #resumeSource(): void {
    if (this.waiting.bytes <= MOST_WAITING / 2) this.#parts.source.resume()
  }

  #send(entry: Entry, connection: Connection, plan: TopicPlan | null): void {
    const { bytes, start, end, outId, outQos } = entry
    if (outQos === 2 && this.#cleared !== null && !entry.isAgain && !this.#cleared.has(outId)) {
      // An earlier process may have left the identifier half used; then this message would be taken for that one.
      this.#cleared.add(outId)
      connection.output.acknowledge(PUBREL_BYTE, outId)
    }
    entry.state = SENT
    this.inFlight++
    this.#bytesInFlight += end - start
    this.#sent++
    connection.output.append(bytes, start, end, false)
    connection.markDirty()
    this.#parts.onSent(plan, bytes, start, end)
  }

  /** The target has forgotten everything: what it has not got for good it gets anew. */
  #beginAgain(): void {
    for (const entry of this.#parts.entries) {
      if ((entry.state !== RECEIVED && entry.state !== RELEASED) || entry.size === 0) continue
      entry.isReleased ||= entry.state === RELEASED
      entry.state = SENT
    }
  }

  #resend(connection: Connection, except: Entry | null): void {
    for (const entry of this.#parts.entries) if (entry !== except) this.#sendAgain(entry, connection)
  }

  /** What is to be said of a message on a new connection. False: nothing. */
  #sendAgain(entry: Entry, connection: Connection): boolean {
    if (entry.state === RELEASED) {
      this.#sent++
      connection.acknowledge(PUBREL_BYTE, entry.outId)
      return true
    }
    if (entry.state !== SENT) return false
    this.#sent++
    this.#parts.counters.duplicates++
    entry.bytes[entry.start] = (entry.bytes[entry.start] as number) | 8 // [MQTT-3.3.1-1]
    connection.output.append(entry.bytes, entry.start, entry.end, false)
    connection.markDirty()
    return true
  }

  #trySuspect(): void {
    this.#probation = null
    const { connection } = this.#parts.target
    if (connection === null) return
    for (const entry of this.#parts.entries) {
      if (!this.#sendAgain(entry, connection)) continue
      this.#suspect = entry
      this.#suspectSentAt = performance.now()
      return
    }
    this.#quarantine.lift()
    this.pump()
  }
}

function isFull(connection: Connection): boolean {
  return connection.blocked && connection.output.size > MOST_UNWRITTEN
}

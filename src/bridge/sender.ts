import { PUBREL_BYTE } from '../wire/index.ts'
import type { Connection } from './connection.ts'
import type { Entries } from './entries.ts'
import { Entry, NOBODY, RELEASED, SENT } from './entry.ts'
import type { FlowCounters } from './flow-counters.ts'
import type { FlowEnd, FlowSettings } from './flow-end.ts'
import type { Outgoing } from './outgoing.ts'
import { PROBATION_MS, Quarantine } from './quarantine.ts'
import type { TopicPlan } from './topic-map.ts'
import { Waiting } from './waiting.ts'

/** QoS 0 for a target that does not keep up is dropped above this much unwritten output. */
const MOST_UNWRITTEN = 1_048_576
/** Above this much that waits the source is not read any further, until half of it has gone. */
const MOST_WAITING = 16_777_216

export interface SenderParts {
  readonly source: FlowEnd
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
    if (connection !== null && this.#mayPass(entry.outQos)) this.#send(entry, connection, plan)
    else this.#wait(entry)
  }

  /** Sends a message of QoS 0 now, or when it may go, or drops it. */
  offerQos0({ bytes, start, end }: Outgoing, plan: TopicPlan, now: number): void {
    const { counters, target } = this.#parts
    const { connection } = target
    const isBusy = connection !== null && connection.blocked && connection.output.size > MOST_UNWRITTEN
    if (connection !== null && !isBusy && this.#mayPass(0)) {
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
    const nobody = { id: 0, qos: 0, epoch: NOBODY, isAgain: false }
    this.#wait(new Entry(nobody, { id: 0, qos: 0 }, { bytes, start, end }, now))
  }

  /** There is a connection: what was not acknowledged goes again, in order [MQTT-4.4.0-1], then what waits. */
  up(connection: Connection, sessionPresent: boolean): void {
    this.#sent = 0
    this.#acknowledged = 0
    if (!this.#hasMetTarget && sessionPresent) this.#cleared = new Set()
    if (!sessionPresent) this.#cleared = null
    this.#hasMetTarget = true
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
      this.inFlight--
      this.#parts.onGivenUp(suspect)
    }
    for (const entry of this.#parts.entries) entry.own()
    if (this.#parts.settings().offlineMax > 0 || this.waiting.qos0 === 0) return
    this.#parts.counters.dropped.offline += this.waiting.qos0
    this.waiting.remove(entry => entry.outQos === 0)
  }

  /** The target is done with a message, or with the first half of one: it is not stuck. */
  progress(entry: Entry): void {
    this.#acknowledged++
    if (!this.#quarantine.isOn) return
    this.#quarantine.lift()
    this.#suspect = null
    const { connection } = this.#parts.target
    if (connection === null) return
    this.#resend(connection, entry)
    queueMicrotask(() => this.pump())
  }

  /** Sends what waits, as far as the window and the connection take it. */
  pump(): void {
    const { target, source } = this.#parts
    const { connection } = target
    if (connection === null || this.#quarantine.isOn) return
    const { window } = this.#parts.settings()
    for (let next = this.waiting.peek(); next !== null; next = this.waiting.peek()) {
      if ((next.outQos > 0 && this.inFlight >= window) || connection.blocked || connection.isClosed) break
      this.waiting.shift()
      if (next.outQos > 0) this.#send(next, connection, null)
      else {
        connection.output.append(next.bytes, next.start, next.end, false)
        connection.markDirty()
        this.#parts.onSent(null, next.bytes, next.start, next.end)
      }
    }
    if (this.waiting.bytes <= MOST_WAITING / 2) source.connection?.resume()
  }

  /** Ends what is timed. */
  close(): void {
    if (this.#probation !== null) clearTimeout(this.#probation)
    this.#probation = null
    this.#suspect = null
  }

  /** Whether a message may go now without overtaking another, or leaving the window. */
  #mayPass(outQos: number): boolean {
    if (this.waiting.length > 0 || this.#quarantine.isOn) return false
    return outQos === 0 || this.inFlight < this.#parts.settings().window
  }

  #wait(entry: Entry): void {
    this.waiting.push(entry)
    if (this.waiting.bytes <= MOST_WAITING) return
    const { source, target } = this.#parts
    // Two that wait for each other would wait for ever.
    if (target.connection?.isPaused === true) source.fail('sends more than the other side of the rule takes')
    else source.connection?.pause()
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
    this.#sent++
    connection.output.append(bytes, start, end, false)
    connection.markDirty()
    this.#parts.onSent(plan, bytes, start, end)
  }

  #resend(connection: Connection, except: Entry | null): void {
    for (const entry of this.#parts.entries) {
      if (entry.state === RELEASED) connection.acknowledge(PUBREL_BYTE, entry.outId)
      else if (entry.state === SENT && entry !== except) this.#sendAgain(entry, connection)
    }
  }

  #sendAgain(entry: Entry, connection: Connection): void {
    this.#sent++
    this.#parts.counters.duplicates++
    entry.bytes[entry.start] = (entry.bytes[entry.start] as number) | 8 // [MQTT-3.3.1-1]
    connection.output.append(entry.bytes, entry.start, entry.end, false)
    connection.markDirty()
  }

  #trySuspect(): void {
    this.#probation = null
    const { connection } = this.#parts.target
    if (connection === null) return
    for (const entry of this.#parts.entries) {
      if (entry.state === RELEASED) connection.acknowledge(PUBREL_BYTE, entry.outId)
      if (entry.state !== SENT || this.#suspect !== null) continue
      this.#suspect = entry
      this.#suspectSentAt = performance.now()
      this.#sendAgain(entry, connection)
    }
    if (this.#suspect !== null) return
    this.#quarantine.lift()
    this.pump()
  }
}

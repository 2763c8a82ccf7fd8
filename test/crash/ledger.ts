import { SessionRecord } from './session-record.ts'
import { Stream, type StreamOptions } from './stream.ts'

/** What can go wrong, and how the table names it. */
export const KINDS = {
  lost: 'an acknowledged message did not reach a session that was subscribed before it was published',
  order: 'messages of one publisher and topic came in another order than they were sent',
  twice: 'a QoS 2 message was delivered twice',
  repeated: 'a QoS 1 message came again although its PUBACK had been processed',
  retained: 'a retained message is older than the last acknowledged one, or one that was cleared is back',
  session: 'a session or its removal was confirmed and is forgotten',
  stray: 'a message reached a session that was not subscribed',
  premature: 'a message was acknowledged although the disk could not store it',
  stuck: 'something that has to work does not: publishing, draining, recovering',
  broken: 'packets or payloads that nobody asked for',
  ended: 'the broker ended by itself or does not start',
} as const

export type Kind = keyof typeof KINDS

/** An acknowledgement of a subscriber may be stored this much later; before that a crash may forget it. */
const SETTLING_MS = 1000
const RECOVERY_MS = 5000
const MAX_DETAILS = 40

/** A time with a failing disk. */
interface Fault {
  /** performance.now() */
  readonly since: number
  until: number
  /** On the ledger's clock, when no message sent from then on can be stored; else Infinity. */
  readonly nothingStoredSince: number
}

/** Everything that was sent, acknowledged and received, and the violations found in it. */
export class Ledger {
  readonly streams: Stream[] = []
  readonly sessions: SessionRecord[] = []
  readonly details: string[] = []
  readonly #violations = new Map<Kind, number>()
  readonly #kills: number[] = []
  readonly #faults: Fault[] = []
  #clock = 0

  /** Numbers events: of two events the later has the higher number. */
  tick(): number {
    return ++this.#clock
  }

  stream(options: Omit<StreamOptions, 'index'>): Stream {
    const stream = new Stream({ ...options, index: this.streams.length })
    this.streams.push(stream)
    return stream
  }

  session(clientId: string): SessionRecord {
    const session = new SessionRecord(clientId, this)
    this.sessions.push(session)
    return session
  }

  violation(kind: Kind, what: string): void {
    const count = (this.#violations.get(kind) ?? 0) + 1
    this.#violations.set(kind, count)
    if (count <= 5 && this.details.length < MAX_DETAILS) {
      this.details.push(`${kind}: ${what} (after ${this.#kills.length} kills)`)
    }
  }

  count(kind: Kind): number {
    return this.#violations.get(kind) ?? 0
  }

  // --- What happened to the broker ------------------------------------------------------------------------------------

  killed(): void {
    this.#kills.push(performance.now())
  }

  /**
   * From now on the disk fails, and a PUBACK that a subscriber sends may be forgotten by a kill. `storesNothing`: it
   * fails so thoroughly that whatever is sent from now on can't be acknowledged.
   */
  faultBegins(storesNothing: boolean): void {
    const nothingStoredSince = storesNothing ? this.tick() : Number.POSITIVE_INFINITY
    this.#faults.push({ since: performance.now(), until: Number.POSITIVE_INFINITY, nothingStoredSince })
  }

  faultEnds(): void {
    const fault = this.#faults.at(-1)
    if (fault?.until === Number.POSITIVE_INFINITY) fault.until = performance.now()
  }

  get #fault(): Fault | null {
    const fault = this.#faults.at(-1)
    return fault?.until === Number.POSITIVE_INFINITY ? fault : null
  }

  /** Whether a hub may refuse what needs the disk: while it fails, and until the hub has seen that it works again. */
  get isFaulty(): boolean {
    return (this.#faults.at(-1)?.until ?? Number.NEGATIVE_INFINITY) + RECOVERY_MS > performance.now()
  }

  /** An acknowledgement came: PUBACK, PUBREC or PUBCOMP. */
  promised(stream: Stream, number: number): void {
    const fault = this.#fault
    if (fault !== null && (stream.sentAt[number] as number) > fault.nothingStoredSince) {
      this.violation('premature', `${stream.topic} ${number} of ${stream.publisher}`)
    }
  }

  /** Whether a PUBACK that a round trip at `settledAt` confirmed must still be known to the broker. */
  isCertain(settledAt: number): boolean {
    if (settledAt === 0) return false
    const kill = this.#kills.find(at => at >= settledAt)
    if (kill === undefined) return true
    const end = settledAt + SETTLING_MS
    return kill >= end && !this.#faults.some(fault => fault.since < end && fault.until > settledAt)
  }

  // --- The verdict ----------------------------------------------------------------------------------------------------

  /** Pairs of session and message that are due and have not come. */
  countMissing(): number {
    return this.sessions.reduce((sum, session) => sum + session.countMissing(), 0)
  }

  /** Finds what can only be said when everything is over. */
  conclude(): { lostMessages: number } {
    const lost = new Set<string>()
    for (const session of this.sessions) {
      session.forEachMissing((stream, number) => {
        lost.add(`${stream.index} ${number}`)
        const from = `${stream.topic} ${number} of ${stream.publisher} at QoS ${stream.qos}`
        this.violation('lost', `${from} never reached ${session.clientId}`)
      })
      session.forEachStray((stream, number) => {
        this.violation('stray', `${stream.topic} ${number} of ${stream.publisher} reached ${session.clientId}`)
      })
    }
    for (const stream of this.streams) {
      const open = stream.length - stream.acknowledged
      if (open > 0)
        this.violation('stuck', `${open} messages of ${stream.publisher} to ${stream.topic} stay unacknowledged`)
    }
    return { lostMessages: lost.size }
  }
}

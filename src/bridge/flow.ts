import type { Logger } from '../common/index.ts'
import { PUBACK, PUBACK_BYTE, PUBCOMP, PUBCOMP_BYTE, PUBREC, PUBREC_BYTE, PUBREL_BYTE } from '../wire/index.ts'
import type { Connection } from './connection.ts'
import { Entries } from './entries.ts'
import { ANSWERED, DONE, Entry, NOBODY, RECEIVED, RELEASED, SENT } from './entry.ts'
import type { Direction, DropReason, FlowFigures } from './figures.ts'
import { FlowCounters } from './flow-counters.ts'
import type { FlowEnd, FlowSettings } from './flow-end.ts'
import { Outgoing } from './outgoing.ts'
import { Sender } from './sender.ts'
import { SourceSide } from './source-side.ts'
import type { TopicMap, TopicPlan } from './topic-map.ts'

const NO_ID = 'packet identifier 0 [MQTT-2.3.1-1]'

/**
 * One direction of a rule: takes what the source sends, sends it to the target, and tells the source that a message has
 * arrived when the target has said so. What the target has not acknowledged when a connection breaks is sent again, in the
 * order in which it came; what the source repeats after its own connection broke is recognised.
 *
 * QoS 2 is relayed step by step under the same packet identifier: PUBLISH, PUBREC, PUBREL, PUBCOMP. So the two brokers hold
 * all there is to know, and a bridge that starts anew can't make a second message of one.
 */
export class Flow {
  readonly direction: Direction
  readonly counters = new FlowCounters()
  readonly #source: SourceSide
  readonly #target: FlowEnd
  readonly #log: Logger
  #settings: FlowSettings
  readonly #entries = new Entries()
  readonly #outgoing = new Outgoing()
  readonly #sender: Sender
  #isStopping = false
  #onDrained: (() => void) | null = null
  #drained: Promise<void> | null = null

  constructor(direction: Direction, ends: { source: FlowEnd; target: FlowEnd }, settings: FlowSettings, log: Logger) {
    this.direction = direction
    this.#source = new SourceSide(ends.source)
    this.#target = ends.target
    this.#settings = settings
    this.#log = log
    this.#sender = new Sender({
      source: this.#source,
      target: this.#target,
      entries: this.#entries,
      counters: this.counters,
      settings: () => this.#settings,
      onSent: (plan, bytes, start, end) => this.#sent(plan, bytes, start, end),
      onGivenUp: entry => this.#giveUp(entry),
    })
  }

  get topics(): TopicMap {
    return this.#settings.topics
  }

  /** Whether no message has this identifier at the target. */
  isFree(packetId: number): boolean {
    return this.#entries.ofTarget(packetId) === undefined
  }

  /** Puts other settings in force. */
  use(settings: FlowSettings): void {
    this.#settings = settings
    this.#sender.pump()
  }

  /** `now` on the clock of performance.now(). */
  figures(now: number): FlowFigures {
    const { dropped, ...counters } = this.counters
    const { waiting, inFlight } = this.#sender
    let oldest = waiting.peek()?.at ?? now
    for (const entry of this.#entries) {
      if (entry.isFinished) continue
      oldest = Math.min(oldest, entry.at)
      break
    }
    const lagMs = Math.round(now - oldest)
    const { direction } = this
    return { direction, ...counters, dropped: { ...dropped }, inFlight, waiting: waiting.length, lagMs }
  }

  /** Takes a PUBLISH packet of the source. Returns what is wrong with it; null: nothing. */
  publish(connection: Connection, chunk: Buffer, start: number, body: number, end: number): string | null {
    const first = chunk[start] as number
    const qos = (first >> 1) & 3
    const topicLength = body + 2 > end ? 0 : ((chunk[body] as number) << 8) | (chunk[body + 1] as number)
    const topicEnd = body + 2 + topicLength
    const payloadAt = qos > 0 ? topicEnd + 2 : topicEnd
    if (payloadAt > end || qos === 3) return 'a PUBLISH that is too short, or of QoS 3'
    const plan = this.#settings.topics.find(chunk, body + 2, topicLength)
    if (plan === null) return 'a topic that is no well-formed UTF-8 [MQTT-1.5.3-1]'
    const id = qos > 0 ? ((chunk[topicEnd] as number) << 8) | (chunk[topicEnd + 1] as number) : 0
    if (qos > 0 && id === 0) return NO_ID
    if (this.#isStopping && qos > 0) return null // not acknowledged, so the source has it for the next start
    this.counters.received++
    const isAgain = (first & 8) !== 0
    if (qos > 0) {
      if (this.#source.isRepeating && !isAgain) this.#repeated()
      if (this.#entries.size > 0 && this.#isKnown(id, isAgain, chunk, payloadAt, end)) return null
      this.#source.reopen(id)
    }
    const now = connection.lastRead
    const reason = this.#refusal(plan, chunk, payloadAt, end, now)
    if (reason !== null) {
      this.#drop(reason, plan, qos, id)
      return null
    }
    const outQos = Math.min(qos, plan.qos)
    const firstByte = 0x30 | (outQos << 1) | (plan.clearsRetain ? 0 : first & 1)
    if (plan.targetBytes === null && qos > 0 === outQos > 0)
      this.#outgoing.keep(chunk, connection.isShared, start, end, firstByte)
    else this.#outgoing.rewrite(chunk, start, topicEnd, payloadAt, end, plan.targetBytes, firstByte)
    if (outQos > 0) this.#forward(plan, id, qos, isAgain, outQos, now)
    else {
      this.#sender.offerQos0(this.#outgoing, plan, now)
      if (qos > 0) this.#source.takes(qos, id)
    }
    return null
  }

  /**
   * The source sends a message of `length` bytes, more than are taken; its head lies in chunk[start..end). Returns what is
   * wrong with it; null: nothing else.
   */
  oversize(chunk: Buffer, start: number, body: number, end: number, length: number): string | null {
    const qos = ((chunk[start] as number) >> 1) & 3
    const topicEnd = body + 2 + (((chunk[body] as number) << 8) | (chunk[body + 1] as number))
    if (topicEnd + 2 > end || qos === 3) return 'a PUBLISH that is too short, or of QoS 3'
    const id = ((chunk[topicEnd] as number) << 8) | (chunk[topicEnd + 1] as number)
    if (qos > 0 && id === 0) return NO_ID
    if (this.#isStopping && qos > 0) return null
    this.counters.received++
    this.counters.dropped.oversize++
    const topic = chunk.toString('utf8', body + 2, topicEnd)
    this.#log.error({ direction: this.direction, topic, bytes: length }, 'bridge.message_oversize')
    if (qos > 0) this.#source.takes(qos, id)
    return null
  }

  /** All of what was read has been looked at. */
  readEnd(): void {
    this.#outgoing.release()
  }

  /** PUBREL from the source. */
  released(id: number): void {
    const source = this.#source
    if (id === 0) return source.fail(`sends PUBREL with ${NO_ID}`)
    const entry = this.#entries.ofSource(id)
    if (entry === undefined) {
      if (this.#isStopping) return
      // Begun by an earlier process: the target knows it by the same identifier, unless that is taken by now.
      const isRelayed = !source.closes(id) && this.#entries.ofTarget(id) === undefined && this.topics.maxQos === 2
      if (isRelayed) this.#relayPubrel(id)
      else source.pubcomp(id)
      return
    }
    entry.epoch = source.epoch
    if (entry.isFinished) {
      this.#entries.delete(entry)
      source.pubcomp(id)
    } else if (entry.state === RECEIVED) this.#sender.release(entry)
    else entry.isReleased = true
  }

  /** PUBACK, PUBREC or PUBCOMP from the target. */
  acknowledged(type: number, id: number): void {
    if (id === 0) return this.#target.fail(`acknowledges ${NO_ID}`)
    const entry = this.#entries.ofTarget(id)
    if (type === PUBACK) {
      if (entry?.state === SENT && entry.outQos === 1) this.#arrived(entry, PUBACK_BYTE)
    } else if (type === PUBREC) {
      if (entry === undefined || entry.state === RELEASED) this.#target.connection?.acknowledge(PUBREL_BYTE, id)
      else if (entry.state === SENT && entry.outQos === 2) {
        entry.state = RECEIVED
        this.#sender.progress(entry)
        if (entry.epoch === NOBODY || entry.isReleased) this.#sender.release(entry)
        else this.#source.tell(entry, PUBREC_BYTE)
      }
    } else if (type === PUBCOMP && entry?.state === RELEASED) this.#arrived(entry, PUBCOMP_BYTE)
  }

  /** The source has a new connection. */
  sourceUp(sessionPresent: boolean): void {
    this.#source.up(sessionPresent)
    if (sessionPresent) return
    // Who has forgotten everything repeats nothing and asks for nothing; its next messages may have any identifier.
    for (const entry of this.#entries) this.#leave(entry)
  }

  /** The connection to the source is over. */
  sourceDown(): void {
    this.#checkDrained()
  }

  /** The target has a new connection. */
  targetUp(connection: Connection, sessionPresent: boolean): void {
    this.#sender.up(connection, sessionPresent)
  }

  /** The connection to the target is over. */
  targetDown(isByPeer: boolean): void {
    this.#sender.down(isByPeer)
    this.#checkDrained()
  }

  /** The target takes output again. */
  writable(): void {
    this.#sender.pump()
  }

  /**
   * Takes no more from the source. Resolves when the target has acknowledged all that it was sent, or can't because one of the
   * two is away; what was not sent stays with the source.
   */
  drain(): Promise<void> {
    this.#isStopping = true
    this.#sender.forgetWaiting()
    this.#drained ??= new Promise<void>(resolve => {
      this.#onDrained = resolve
    })
    this.#checkDrained()
    return this.#drained
  }

  /** There is no more time. */
  close(): void {
    this.#isStopping = true
    this.#sender.close()
    this.#onDrained?.()
  }

  /** Whether the source repeats what is on its way. Answers what can be answered. */
  #isKnown(id: number, isAgain: boolean, chunk: Buffer, payloadAt: number, end: number): boolean {
    const entry = this.#entries.ofSource(id)
    if (entry === undefined) return false
    if (!isAgain || !entry.hasPayload(chunk, payloadAt, end)) {
      this.#leave(entry) // another message under that identifier: the source is done with the one that had it
      return false
    }
    const { state } = entry
    entry.epoch = this.#source.epoch
    if (state === DONE && entry.sourceQos === 1) {
      this.#entries.delete(entry)
      this.#source.tell(entry, PUBACK_BYTE)
    } else if (state === DONE || state === ANSWERED || state === RECEIVED) {
      if (state === DONE) entry.state = ANSWERED
      this.#source.tell(entry, PUBREC_BYTE)
    }
    return true
  }

  /** The source sends something new: it has repeated all that it wanted to, and knows nothing of the rest. */
  #repeated(): void {
    this.#source.isRepeating = false
    const { epoch } = this.#source
    // PUBREL may be all that it says of a message that was received, and that may come later.
    for (const entry of this.#entries) {
      if (entry.epoch !== epoch && entry.state !== RECEIVED && entry.state !== ANSWERED && entry.state !== RELEASED)
        this.#leave(entry)
    }
  }

  /** The source knows nothing of a message any more. */
  #leave(entry: Entry): void {
    if (entry.isFinished) this.#entries.delete(entry)
    else {
      this.#entries.orphan(entry)
      if (entry.state === RECEIVED) this.#sender.release(entry)
    }
  }

  #refusal(plan: TopicPlan, chunk: Buffer, payloadAt: number, end: number, now: number): DropReason | null {
    if (plan.qos < 0) return 'unmatched'
    if (plan.problem !== '') return 'invalid'
    const { guard } = this.#settings
    if (guard?.isEcho(plan, chunk, payloadAt, end, now) === true) return 'echo'
    return plan.limit !== null && plan.limit.admit(1, now) === 0 ? 'limited' : null
  }

  #forward(plan: TopicPlan, id: number, qos: number, isAgain: boolean, outQos: number, now: number): void {
    const outId = this.#entries.idFor(id)
    if (outId === 0) {
      this.#source.fail('sends more messages than there are packet identifiers')
      return
    }
    this.#outgoing.identify(outId)
    if (isAgain) this.counters.duplicates++
    const { bytes, start, end } = this.#outgoing
    const entry = new Entry(bytes, start, end, now)
    entry.sourceId = id
    entry.sourceQos = qos
    entry.epoch = this.#source.epoch
    entry.isAgain = isAgain
    entry.outId = outId
    entry.outQos = outQos
    this.#entries.add(entry)
    this.#sender.offer(entry, plan)
  }

  #sent(plan: TopicPlan | null, bytes: Buffer, start: number, end: number): void {
    this.counters.forwarded++
    this.counters.forwardedBytes += end - start
    this.#settings.guard?.sent(plan, bytes, start, end)
  }

  /** The target has taken a message for good. */
  #arrived(entry: Entry, byte: number): void {
    const sender = this.#sender
    this.counters.acknowledged++
    sender.leaves(entry)
    this.#finish(entry, byte)
    sender.progress(entry)
    if (sender.waiting.length > 0) sender.pump()
    this.#checkDrained()
  }

  /** Tells the source that it need not keep a message any longer, now or when it asks. */
  #finish(entry: Entry, byte: number): void {
    const isHalf = byte === PUBACK_BYTE && entry.sourceQos === 2
    const isTold = this.#source.tell(entry, isHalf ? PUBREC_BYTE : byte)
    if ((isTold && !isHalf) || entry.epoch === NOBODY) this.#entries.delete(entry)
    else {
      entry.state = isTold ? ANSWERED : DONE
      entry.seal()
    }
  }

  #giveUp(entry: Entry): void {
    // Of a message that an earlier process has sent only the end is given up.
    if (entry.size > 0) this.counters.dropped.rejected++
    const fields = { direction: this.direction, topic: entry.topic(), bytes: entry.size }
    this.#log.error(fields, 'bridge.message_rejected')
    this.#finish(entry, entry.state === RELEASED ? PUBCOMP_BYTE : PUBACK_BYTE)
  }

  #drop(reason: DropReason, plan: TopicPlan, qos: number, id: number): void {
    const isFirst = this.counters.dropped[reason]++ === 0
    if (isFirst && (reason === 'unmatched' || reason === 'invalid')) {
      const { topic, problem } = plan
      this.#log.warn({ direction: this.direction, topic, reason, problem }, 'bridge.message_dropped')
    }
    if (qos > 0) this.#source.takes(qos, id)
  }

  #relayPubrel(id: number): void {
    const entry = Entry.ofPubrel(performance.now())
    entry.sourceId = id
    entry.sourceQos = 2
    entry.epoch = this.#source.epoch
    entry.outId = id
    entry.outQos = 2
    this.#entries.add(entry)
    this.#sender.releaseUnknown(entry)
  }

  #checkDrained(): void {
    if (this.#onDrained === null) return
    if (this.#target.connection !== null && this.#sender.inFlight > 0) {
      for (const { state } of this.#entries) {
        if (state === SENT || state === RELEASED || (state === RECEIVED && this.#source.isThere)) return
      }
    }
    this.#onDrained()
  }
}

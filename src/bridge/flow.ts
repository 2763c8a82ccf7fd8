import type { Logger } from '../common/index.ts'
import { PUBACK, PUBACK_BYTE, PUBCOMP, PUBCOMP_BYTE, PUBREC, PUBREC_BYTE, PUBREL_BYTE } from '../wire/index.ts'
import type { Connection } from './connection.ts'
import { Entries } from './entries.ts'
import { ANSWERED, DONE, Entry, NOBODY, RECEIVED, RELEASED, SENT } from './entry.ts'
import type { Direction, DropReason, FlowFigures } from './figures.ts'
import { FlowCounters } from './flow-counters.ts'
import type { FlowEnd, FlowSettings } from './flow-end.ts'
import { Outgoing, type PublishParts } from './outgoing.ts'
import { Sender } from './sender.ts'
import type { TopicMap, TopicPlan } from './topic-map.ts'

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
  readonly #source: FlowEnd
  readonly #target: FlowEnd
  readonly #log: Logger
  #settings: FlowSettings
  readonly #entries = new Entries()
  readonly #outgoing = new Outgoing()
  readonly #sender: Sender
  /** Counts the connections of the source. */
  #epoch = 0
  /** The source has come back, and repeats what it was not told of before it sends anything new. */
  #isRepeating = false
  #isStopping = false
  #onDrained: (() => void) | null = null

  constructor(direction: Direction, ends: { source: FlowEnd; target: FlowEnd }, settings: FlowSettings, log: Logger) {
    this.direction = direction
    this.#source = ends.source
    this.#target = ends.target
    this.#settings = settings
    this.#log = log
    this.#sender = new Sender({
      ...ends,
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
      if (entry.state === DONE || entry.state === ANSWERED) continue
      oldest = Math.min(oldest, entry.at)
      break
    }
    const lagMs = Math.round(now - oldest)
    return {
      direction: this.direction,
      ...counters,
      dropped: { ...dropped },
      inFlight,
      waiting: waiting.length,
      lagMs,
    }
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
    if (qos > 0 && id === 0) return 'packet identifier 0 [MQTT-2.3.1-1]'
    if (this.#isStopping && qos > 0) return null // not acknowledged, so the source has it for the next start
    this.counters.received++
    const outQos = Math.min(qos, plan.qos)
    if (plan.qos >= 0 && plan.problem === '')
      this.#make(connection, chunk, { start, topicEnd, payloadAt, end }, plan, outQos)
    else this.#outgoing.none()
    const isAgain = (first & 8) !== 0
    if (qos > 0) {
      if (this.#isRepeating && !isAgain) this.#repeated()
      if (this.#entries.size > 0 && this.#isKnown(id, isAgain)) return null
    }
    const now = connection.lastRead
    const reason = this.#refusal(plan, chunk, payloadAt, end, now)
    if (reason !== null) this.#drop(reason, plan, qos, id)
    else if (outQos > 0) this.#forward(plan, { id, qos, epoch: this.#epoch, isAgain }, outQos, now)
    else {
      this.#sender.offerQos0(this.#outgoing, plan, now)
      if (qos > 0) this.#answer(qos, id)
    }
    return null
  }

  /** The source sends a message of `length` bytes, more than are taken; its head lies in chunk[start..end). */
  oversize(chunk: Buffer, start: number, body: number, end: number, length: number): void {
    const qos = ((chunk[start] as number) >> 1) & 3
    const topicEnd = body + 2 + (((chunk[body] as number) << 8) | (chunk[body + 1] as number))
    if (topicEnd + 2 > end || (this.#isStopping && qos > 0)) return
    this.counters.received++
    this.counters.dropped.oversize++
    const topic = chunk.toString('utf8', body + 2, topicEnd)
    this.#log.error({ direction: this.direction, topic, bytes: length }, 'bridge.message_oversize')
    if (qos > 0) this.#answer(qos, ((chunk[topicEnd] as number) << 8) | (chunk[topicEnd + 1] as number))
  }

  /** All of what was read has been looked at. */
  readEnd(): void {
    this.#outgoing.release()
  }

  /** PUBREL from the source. */
  released(id: number): void {
    const entry = this.#entries.ofSource(id)
    if (entry === undefined) {
      if (this.#isStopping) return
      // Begun by an earlier process: the target knows it by the same identifier, unless that is taken by now.
      if (this.#entries.ofTarget(id) === undefined && this.#mayRelay2()) this.#relayPubrel(id)
      else this.#source.connection?.acknowledge(PUBCOMP_BYTE, id)
      return
    }
    entry.epoch = this.#epoch
    if (entry.state === ANSWERED || entry.state === DONE) {
      this.#entries.delete(entry)
      this.#source.connection?.acknowledge(PUBCOMP_BYTE, id)
    } else if (entry.state === RECEIVED) this.#release(entry)
  }

  /** PUBACK, PUBREC or PUBCOMP from the target. */
  acknowledged(type: number, id: number): void {
    const entry = this.#entries.ofTarget(id)
    if (type === PUBACK) {
      if (entry?.state === SENT && entry.outQos === 1) this.#arrived(entry, PUBACK_BYTE)
    } else if (type === PUBREC) {
      if (entry === undefined || entry.state === RELEASED) this.#target.connection?.acknowledge(PUBREL_BYTE, id)
      else if (entry.state === SENT && entry.outQos === 2) {
        entry.state = RECEIVED
        this.#sender.progress(entry)
        if (entry.epoch === NOBODY) this.#release(entry)
        else this.#tell(entry, PUBREC_BYTE)
      }
    } else if (type === PUBCOMP && entry?.state === RELEASED) this.#arrived(entry, PUBCOMP_BYTE)
  }

  /** The source has a new connection. */
  sourceUp(sessionPresent: boolean): void {
    this.#epoch++
    this.#isRepeating = sessionPresent
    if (sessionPresent) return
    // Who has forgotten everything repeats nothing and asks for nothing; its next messages may have any identifier.
    this.#entries.forgetFinished(() => true)
    for (const entry of this.#entries) {
      this.#entries.orphan(entry)
      if (entry.state === RECEIVED) this.#release(entry)
    }
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
   * Takes no more from the source. Resolves when the target has acknowledged all that it was sent, or can't because it is away;
   * what was not sent stays with the source.
   */
  async drain(): Promise<void> {
    this.#isStopping = true
    this.#sender.waiting.remove(entry => {
      if (entry.outQos > 0) this.#entries.delete(entry)
      return entry.outQos > 0
    })
    await new Promise<void>(resolve => {
      this.#onDrained = resolve
      this.#checkDrained()
    })
  }

  /** There is no more time. */
  close(): void {
    this.#isStopping = true
    this.#sender.close()
    this.#onDrained?.()
  }

  #make(connection: Connection, chunk: Buffer, parts: PublishParts, plan: TopicPlan, outQos: number): void {
    const first = chunk[parts.start] as number
    const firstByte = 0x30 | (outQos << 1) | (plan.clearsRetain ? 0 : first & 1)
    const hasId = (first & 0x06) !== 0
    if (plan.targetBytes === null && hasId === outQos > 0)
      this.#outgoing.keep(chunk, connection.isShared, parts, firstByte)
    else this.#outgoing.rewrite(chunk, parts, plan.targetBytes, firstByte)
  }

  /** Whether the source repeats what is on its way. Answers what can be answered. */
  #isKnown(id: number, isAgain: boolean): boolean {
    const entry = this.#entries.ofSource(id)
    if (entry === undefined) return false
    const { state, bytes, start, end } = entry
    if (isAgain && this.#outgoing.isSameAs(bytes, start, end)) {
      const isNews = entry.epoch !== this.#epoch
      entry.epoch = this.#epoch
      if (state === DONE && entry.sourceQos === 2) entry.state = ANSWERED
      else if (state === DONE) this.#entries.delete(entry)
      if (state === DONE || state === ANSWERED || (state === RECEIVED && isNews)) this.#answer(entry.sourceQos, id)
      return true
    }
    // Another message under that identifier: the source is done with the one that had it.
    if (state === DONE || state === ANSWERED) this.#entries.delete(entry)
    else this.#entries.orphan(entry)
    return false
  }

  /** The source sends something new: it has repeated all that it wanted to. */
  #repeated(): void {
    this.#isRepeating = false
    this.#entries.forgetFinished(entry => entry.state === DONE && entry.epoch !== this.#epoch)
  }

  #refusal(plan: TopicPlan, chunk: Buffer, payloadAt: number, end: number, now: number): DropReason | null {
    if (plan.qos < 0) return 'unmatched'
    if (plan.problem !== '') return 'invalid'
    const { guard } = this.#settings
    if (guard?.isEcho(this, plan, chunk, payloadAt, end, now) === true) return 'echo'
    return plan.limit !== null && plan.limit.admit(1, now) === 0 ? 'limited' : null
  }

  #forward(
    plan: TopicPlan,
    source: { id: number; qos: number; epoch: number; isAgain: boolean },
    outQos: number,
    now: number,
  ): void {
    const outId = this.#entries.idFor(source.id)
    if (outId === 0) {
      this.#source.fail('sends more messages than there are packet identifiers')
      return
    }
    this.#outgoing.identify(outId)
    if (source.isAgain) this.counters.duplicates++
    const entry = new Entry(source, { id: outId, qos: outQos }, this.#outgoing, now)
    this.#entries.add(entry)
    this.#sender.offer(entry, plan)
  }

  #sent(plan: TopicPlan | null, bytes: Buffer, start: number, end: number): void {
    this.counters.forwarded++
    this.counters.forwardedBytes += end - start
    this.#settings.guard?.sent(this, plan, bytes, start, end)
  }

  /** The target has taken a message for good. */
  #arrived(entry: Entry, byte: number): void {
    const sender = this.#sender
    sender.inFlight--
    this.counters.acknowledged++
    this.#finish(entry, byte)
    sender.progress(entry)
    if (sender.waiting.length > 0) sender.pump()
    this.#checkDrained()
  }

  /** Tells the source that it need not keep a message any longer, now or when it asks. */
  #finish(entry: Entry, byte: number): void {
    const isHalf = byte === PUBACK_BYTE && entry.sourceQos === 2
    if (this.#tell(entry, isHalf ? PUBREC_BYTE : byte)) {
      if (isHalf) entry.state = ANSWERED
      else this.#entries.delete(entry)
    } else if (entry.epoch === NOBODY) this.#entries.delete(entry)
    else entry.state = DONE
  }

  #giveUp(entry: Entry): void {
    this.counters.dropped.rejected++
    const fields = { direction: this.direction, topic: entry.topic(), bytes: entry.size }
    this.#log.error(fields, 'bridge.message_rejected')
    this.#finish(entry, PUBACK_BYTE)
  }

  #drop(reason: DropReason, plan: TopicPlan, qos: number, id: number): void {
    const isFirst = this.counters.dropped[reason]++ === 0
    if (isFirst && (reason === 'unmatched' || reason === 'invalid')) {
      const { topic, problem } = plan
      this.#log.warn({ direction: this.direction, topic, reason, problem }, 'bridge.message_dropped')
    }
    if (qos > 0) this.#answer(qos, id)
  }

  /** Tells the source of a message. False when it can't be told on this connection. */
  #tell(entry: Entry, byte: number): boolean {
    const { connection } = this.#source
    if (connection === null || entry.epoch !== this.#epoch) return false
    connection.acknowledge(byte, entry.sourceId)
    return true
  }

  /** Tells the source that a message of this QoS is taken. */
  #answer(qos: number, id: number): void {
    this.#source.connection?.acknowledge(qos === 2 ? PUBREC_BYTE : PUBACK_BYTE, id)
  }

  #relayPubrel(id: number): void {
    const source = { id, qos: 2, epoch: this.#epoch, isAgain: true }
    const entry = new Entry(source, { id, qos: 2 }, { bytes: NOTHING, start: 0, end: 0 }, performance.now())
    this.#entries.add(entry)
    this.#sender.inFlight++
    this.#release(entry)
  }

  #release(entry: Entry): void {
    entry.state = RELEASED
    this.#target.connection?.acknowledge(PUBREL_BYTE, entry.outId)
  }

  #mayRelay2(): boolean {
    return this.#settings.topics.filters.some(({ qos }) => qos === 2)
  }

  #checkDrained(): void {
    if (this.#sender.inFlight === 0 || this.#target.connection === null) this.#onDrained?.()
  }
}

const NOTHING = Buffer.alloc(0)

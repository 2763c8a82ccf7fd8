import type { Ledger } from './ledger.ts'
import type { Stream } from './stream.ts'

/** A time during which a session has a subscription, on the ledger's clock. Infinity: not yet. */
export interface Span {
  readonly filter: string
  /** SUBSCRIBE was sent: from now on it may hold. */
  readonly askedAt: number
  /** SUBACK came: from now on it holds for certain. */
  heldFrom: number
  /** UNSUBSCRIBE was sent: from now on it may not hold any more. */
  leavingAt: number
  /** UNSUBACK came: it must not hold any more. */
  goneAt: number
}

/** A message as one session got it. */
export interface Copy {
  deliveries: number
  atQos2: number
  /** Deliveries whose PUBACK the broker certainly had when the message came again. */
  settled: number
  /** When a round trip behind the last PUBACK was over, of performance.now(); 0: it is not. */
  settledAt: number
  connection: number
  /** Deliveries without DUP on this connection. */
  fresh: number
}

interface Received {
  readonly stream: Stream
  readonly copies: (Copy | undefined)[]
  highest: number
}

export interface Delivery {
  readonly stream: Stream
  readonly number: number
  readonly qos: number
  readonly dup: boolean
  /** Counts the connections of the client. */
  readonly connection: number
}

/** What one persistent session is due and what it got. */
export class SessionRecord {
  readonly clientId: string
  readonly #ledger: Ledger
  readonly #spans: Span[] = []
  readonly #received = new Map<number, Received>()
  delivered = 0
  duplicates = 0

  constructor(clientId: string, ledger: Ledger) {
    this.clientId = clientId
    this.#ledger = ledger
  }

  /** SUBSCRIBE is being sent. */
  ask(filter: string): Span {
    const never = Number.POSITIVE_INFINITY
    const span = { filter, askedAt: this.#ledger.tick(), heldFrom: never, leavingAt: never, goneAt: never }
    this.#spans.push(span)
    return span
  }

  /** The application of a correct client got a message. */
  receive(delivery: Delivery): Copy {
    const { stream, number, qos, dup, connection } = delivery
    const received = this.#of(stream)
    const fresh = dup ? 0 : 1
    const known = received.copies[number]
    if (known === undefined) {
      this.delivered++
      if (number > received.highest) received.highest = number
      else if (this.#wasDueAllTheTime(stream, number)) this.#report('order', delivery, `behind ${received.highest}`)
      const atQos2 = qos === 2 ? 1 : 0
      const copy = { deliveries: 1, atQos2, settled: 0, settledAt: 0, connection, fresh }
      received.copies[number] = copy
      return copy
    }
    this.duplicates++
    known.deliveries++
    if (qos === 2) {
      if (++known.atQos2 > 1) this.#report('twice', delivery, `for the ${known.deliveries}. time`)
    } else {
      if (this.#ledger.isCertain(known.settledAt)) known.settled++
      if (known.connection !== connection) known.fresh = 0
      known.fresh += fresh
      const instances = stream.instances(number)
      if (known.settled >= instances) this.#report('repeated', delivery, `dup ${dup}`)
      else if (known.fresh > instances) this.#report('repeated', delivery, 'without DUP on the same connection')
    }
    known.connection = connection
    known.settledAt = 0
    return known
  }

  countMissing(): number {
    let count = 0
    this.forEachMissing(() => {
      count++
    })
    return count
  }

  /** Every message that is due here and has not come. `before`: only those acknowledged before, on the ledger's clock. */
  forEachMissing(visit: (stream: Stream, number: number) => void, before = Number.POSITIVE_INFINITY): void {
    for (const stream of this.#ledger.streams) {
      const spans = this.#spansOf(stream)
      if (spans.length === 0) continue
      const copies = this.#received.get(stream.index)?.copies
      for (let number = 0; number < stream.length; number++) {
        const sentAt = stream.sentAt[number] as number
        const acknowledgedAt = stream.acknowledgedAt[number] as number
        if (acknowledgedAt >= before || copies?.[number] !== undefined) continue
        if (spans.some(span => span.heldFrom < sentAt && acknowledgedAt < span.leavingAt)) visit(stream, number)
      }
    }
  }

  /** Every message that came although no subscription held at any time it can have been routed. */
  forEachStray(visit: (stream: Stream, number: number) => void): void {
    for (const { stream, copies } of this.#received.values()) {
      const spans = this.#spansOf(stream)
      copies.forEach((_copy, number) => {
        const sentAt = stream.sentAt[number] as number
        const acknowledgedAt = stream.acknowledgedAt[number] as number
        if (!spans.some(span => span.askedAt < acknowledgedAt && sentAt < span.goneAt)) visit(stream, number)
      })
    }
  }

  /**
   * Whether a subscription has held since before the message was first sent. Without one it may have been routed before
   * the session subscribed and, published again after a crash, once more behind younger ones.
   */
  #wasDueAllTheTime(stream: Stream, number: number): boolean {
    const sentAt = stream.sentAt[number] as number
    return this.#spansOf(stream).some(span => span.heldFrom < sentAt && span.leavingAt === Number.POSITIVE_INFINITY)
  }

  #spansOf(stream: Stream): Span[] {
    return this.#spans.filter(span => matches(span.filter, stream.topic))
  }

  #of(stream: Stream): Received {
    let received = this.#received.get(stream.index)
    if (received === undefined) {
      received = { stream, copies: [], highest: -1 }
      this.#received.set(stream.index, received)
    }
    return received
  }

  #report(kind: 'order' | 'twice' | 'repeated', { stream, number, qos }: Delivery, how: string): void {
    const what = `${stream.topic} ${number} of ${stream.publisher} at ${this.clientId}, QoS ${qos}, ${how}`
    this.#ledger.violation(kind, what)
  }
}

/** Section 4.7, without topics that begin with `$`. */
export function matches(filter: string, topic: string): boolean {
  const wanted = filter.split('/')
  const levels = topic.split('/')
  for (const [i, level] of wanted.entries()) {
    if (level === '#') return true
    if (i >= levels.length || (level !== '+' && level !== levels[i])) return false
  }
  return wanted.length === levels.length
}

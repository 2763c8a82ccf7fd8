import type { Cursor, EntryHead, SessionHead } from './records.ts'

/** A kept session, as it is stored. */
export interface SessionSummary {
  readonly clientId: string
  /** Who had it last; '' for nobody with a name. */
  readonly principal: string
  /** When its client went away, milliseconds since 1970; null: it was connected when the hub ended. */
  readonly leftAt: number | null
  readonly subscriptions: number
  /** QoS 2 messages from its client whose PUBREL has not come. */
  readonly receipts: number
  /** Messages that its client has not acknowledged, those included that were sent. */
  readonly messages: number
  /** Bytes of their topics and payloads. */
  readonly bytes: number
  /** When the oldest of them was published, milliseconds since 1970; null: there is none. */
  readonly oldest: number | null
}

/** Counts what is stored of one session. */
export class SessionTally {
  subscriptions = 0
  receipts = 0
  messages = 0
  bytes = 0
  oldest = Number.POSITIVE_INFINITY
  /** It has a record of its own; what has none belongs to a session that has ended. */
  head: SessionHead | null = null
  #next = 0
  /** Numbers of messages that were sent; they come in any order. */
  #sent: readonly number[] = []

  set cursor({ next, sent }: Cursor) {
    this.#next = next
    this.#sent = sent.map(({ seq }) => seq).filter(seq => seq > 0)
  }

  /** Returns how many messages of the entry its client still has to get. */
  entry(seq: number, { count, size, time }: EntryHead): number {
    const end = seq + count
    let left = Math.max(end - Math.max(this.#next, seq), 0)
    for (const sent of this.#sent) if (sent >= seq && sent < end && sent < this.#next) left++
    left = Math.min(left, count)
    this.messages += left
    this.bytes += (size * left) / count
    if (left > 0 && time < this.oldest) this.oldest = time
    return left
  }

  summary({ clientId, principal, leftAt }: SessionHead): SessionSummary {
    const { subscriptions, receipts, messages, oldest } = this
    return {
      clientId,
      principal,
      leftAt: leftAt === 0 ? null : leftAt,
      subscriptions,
      receipts,
      messages,
      bytes: Math.round(this.bytes),
      oldest: Number.isFinite(oldest) ? oldest : null,
    }
  }
}

import type { Hub } from '../hub.ts'
import type { Session } from '../session.ts'

/** Sessions listed. */
const MOST_SESSIONS = 10_000

/** What the broker has taken and not passed on. */
export interface BrokerStats {
  readonly broker_stats: {
    readonly ingress_buffered_message_qos0: number
    readonly ingress_buffered_message_qos1: number
    readonly egress_buffered_offset: number
  }
}

/** What each way out of the broker has before it. */
export interface RuleStats {
  /** Ways out: two of the router, one of each session. */
  readonly rule_count: number
  /** By `$rule/msgqos0`, `$rule/topic` and `$session/<client identifier>`. */
  readonly rule_stats: Readonly<Record<string, RuleStat>>
}

export interface RuleStat {
  /** The number of the last message that is done with, as text; `-` where none is stored. */
  readonly persisted_offset: string
  /** Acknowledgements that are not stored yet. */
  readonly buffered_offset: number
  readonly buffered_message_qos0: number
  readonly buffered_message_qos1: number
  /** Messages sent and not acknowledged. */
  readonly buffered_message_ack: number
}

/** The two objects that OpenEdge's hub reports, with its keys. */
export function openedgeReport(hub: Hub): readonly [BrokerStats, RuleStats] {
  const { store } = hub.state
  const unstored = store === null ? 0 : store.nextSeq - store.committedEnd
  const stats: [string, RuleStat][] = [
    // Messages pass through the router in the turn they are read in: nothing waits there but what is being stored.
    ['$rule/msgqos0', statOf({})],
    ['$rule/topic', statOf({ done: store === null ? null : store.committedEnd - 1, qos1: unstored })],
  ]
  let unstoredOffsets = 0
  let listed = 0
  for (const session of hub.sessions.all()) {
    if (session.log?.isTouched === true) unstoredOffsets++
    if (listed++ < MOST_SESSIONS) stats.push([`$session/${session.clientId}`, statOfSession(hub, session)])
  }
  return [
    {
      broker_stats: {
        ingress_buffered_message_qos0: 0, // they are delivered in the turn they are read in
        ingress_buffered_message_qos1: unstored,
        egress_buffered_offset: unstoredOffsets,
      },
    },
    { rule_count: listed + 2, rule_stats: Object.fromEntries(stats) },
  ]
}

function statOfSession(hub: Hub, session: Session): RuleStat {
  const { log, queued, receiver, unacknowledged } = session
  const behind = log?.behind.length ?? 0
  const written = receiver === null ? 0 : receiver.pendingQos0
  return statOf({
    done: log === null ? null : Math.min(log.lowest, hub.state.store?.nextSeq ?? log.lowest) - 1,
    offsets: log?.isTouched === true ? 1 : 0,
    qos0: written + behind,
    qos1: queued,
    unacknowledged,
  })
}

interface Waiting {
  readonly done?: number | null
  readonly offsets?: number
  readonly qos0?: number
  readonly qos1?: number
  readonly unacknowledged?: number
}

function statOf({ done = null, offsets = 0, qos0 = 0, qos1 = 0, unacknowledged = 0 }: Waiting): RuleStat {
  return {
    persisted_offset: done === null ? '-' : String(done),
    buffered_offset: offsets,
    buffered_message_qos0: qos0,
    buffered_message_qos1: qos1,
    buffered_message_ack: unacknowledged,
  }
}

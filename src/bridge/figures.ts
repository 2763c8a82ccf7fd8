/** Which end of a rule a connection leads to. */
export type Side = 'hub' | 'remote'

/**
 * `out`: from the hub to the remote. `in`: from the remote to the hub. The words of mosquitto.
 */
export type Direction = 'out' | 'in'

/** `waiting`: the last attempt failed and the next one comes after a pause. */
export type LinkPhase = 'connecting' | 'connected' | 'waiting' | 'stopped'

/** One connection of a rule, as it is now. */
export interface LinkFigures {
  readonly side: Side
  /** As configured, without a query. */
  readonly address: string
  readonly clientId: string
  readonly phase: LinkPhase
  /** Since when it is connected, or is not, or is stopped; milliseconds since 1970. */
  readonly since: number
  /** Connections that were made, the one that stands among them. */
  readonly connects: number
  /** Why it is not connected, or was not the last time; empty: it never failed. */
  readonly lastError: string
  /** A stable code such as `ERR_BRIDGE_REFUSED`; empty: it never failed. */
  readonly lastErrorCode: string
  /** Milliseconds since 1970; 0: it never failed. */
  readonly lastErrorAt: number
  /** Filters that the broker refused. */
  readonly refused: readonly string[]
  /** The broker knows that this is a bridge, and does not send back what came from it. */
  readonly isPrivate: boolean
}

/** Why messages went no further. All of them but `rejected` and `oversize` are by intent of the configuration. */
export type DropReason =
  /** QoS 0 while the target was away, or beyond what it takes. */
  | 'offline'
  /** Above the limit of its subscription. */
  | 'limited'
  /** No subscription of the rule takes its topic: a session still has one that was configured earlier. */
  | 'unmatched'
  /** The target topic that the template makes is not valid. */
  | 'invalid'
  /** It came from where it would go. */
  | 'echo'
  /** The target closes the connection whenever it gets this message. */
  | 'rejected'
  /** Longer than message.length.max. */
  | 'oversize'

/** What one direction of a rule has done since the rule was started. */
export interface FlowFigures {
  readonly direction: Direction
  /** Messages that came from the source. */
  readonly received: number
  /** Messages handed to the target, each once. */
  readonly forwarded: number
  readonly forwardedBytes: number
  /** Messages of QoS 1 and 2 that the target took over. */
  readonly acknowledged: number
  /** Messages sent again because an acknowledgement did not come before a connection broke: the target may have them twice. */
  readonly duplicates: number
  readonly dropped: Readonly<Record<DropReason, number>>
  /** Sent to the target and not acknowledged. */
  readonly inFlight: number
  /** Taken from the source and not yet sent. */
  readonly waiting: number
  /** How long the oldest of these has been here, milliseconds; 0: there is none. */
  readonly lagMs: number
}

/** A rule of a bridge. */
export interface RuleFigures {
  readonly name: string
  /** The name of its remote. */
  readonly remote: string
  readonly links: readonly [hub: LinkFigures, remote: LinkFigures]
  /** Only directions that have a subscription, `out` first. */
  readonly flows: readonly FlowFigures[]
}

/** All of a bridge. */
export interface BridgeFigures {
  /** Milliseconds since 1970. */
  readonly startedAt: number
  readonly rules: readonly RuleFigures[]
}

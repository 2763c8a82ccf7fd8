import type {
  BridgeFigures,
  Direction,
  DropReason,
  FlowFigures,
  LinkFigures,
  RuleFigures,
  Side,
} from '../../../src/bridge/figures.ts'

export const NO_DROPS: Readonly<Record<DropReason, number>> = {
  offline: 0,
  limited: 0,
  unmatched: 0,
  invalid: 0,
  echo: 0,
  rejected: 0,
  oversize: 0,
}

/** A connection that stands. */
function linkFigures(side: Side, changes: Partial<LinkFigures> = {}): LinkFigures {
  return {
    side,
    address: side === 'hub' ? 'tcp://127.0.0.1:1883' : 'ssl://cloud.example:8883',
    clientId: `client-${side}`,
    phase: 'connected',
    since: 1_700_000_000_000,
    connects: 1,
    lastError: '',
    lastErrorCode: '',
    lastErrorAt: 0,
    refused: [],
    isPrivate: true,
    ...changes,
  }
}

/** A direction in which nothing has happened. */
export function flowFigures(direction: Direction, changes: Partial<FlowFigures> = {}): FlowFigures {
  return {
    direction,
    received: 0,
    forwarded: 0,
    forwardedBytes: 0,
    acknowledged: 0,
    duplicates: 0,
    dropped: NO_DROPS,
    inFlight: 0,
    waiting: 0,
    lagMs: 0,
    ...changes,
  }
}

export interface RuleChanges {
  readonly remote?: string
  readonly hub?: Partial<LinkFigures>
  readonly cloud?: Partial<LinkFigures>
  readonly flows?: readonly FlowFigures[]
}

/** A rule that is connected on both ends and has done nothing in both directions. */
export function ruleFigures(name: string, { remote = 'cloud', hub, cloud, flows }: RuleChanges = {}): RuleFigures {
  return {
    name,
    remote,
    links: [linkFigures('hub', hub), linkFigures('remote', cloud)],
    flows: flows ?? [flowFigures('out'), flowFigures('in')],
  }
}

export function bridgeFigures(...rules: readonly RuleFigures[]): BridgeFigures {
  return { startedAt: 1_700_000_000_000, rules }
}

import type { Random } from '../crash/random.ts'

export type FaultKind = 'remote killed' | 'hub killed' | 'bridge killed' | 'network cut' | 'half-open'

export interface Fault {
  readonly kind: FaultKind
  /** Seconds after the beginning of the flow; later when an earlier fault takes longer. */
  readonly atS: number
  /** How long it lasts. */
  readonly downMs: number
  /** Half-open: connections are reset at its end, else what was held goes on. */
  readonly isReset: boolean
  /** The bridge is killed as well, and started again, while the fault lasts: what it holds then can't have gone further. */
  readonly takesBridge: boolean
  /** How long the flow may take to recover before the next fault may come: short ones meet a flow that catches up. */
  readonly patienceMs: number
}

export interface PlanOptions {
  readonly seconds: number
  readonly counts: Readonly<Record<FaultKind, number>>
  readonly cutMs: number
  readonly random: Random
}

/** What happens in ten minutes. */
export const FULL_COUNTS: Readonly<Record<FaultKind, number>> = {
  'remote killed': 20,
  'hub killed': 5,
  'bridge killed': 10,
  'network cut': 2,
  'half-open': 3,
}

/** At the end nothing fails any more. */
const LAST_FAULT = 0.97
/** How long a flow may take to come back; then it is stuck. */
export const RECOVERY_MS = 60_000

/** All faults, mixed, spread over the time. */
export function planOf({ seconds, counts, cutMs, random }: PlanOptions): Fault[] {
  const kinds = (Object.keys(counts) as FaultKind[]).flatMap(kind => Array.from({ length: counts[kind] }, () => kind))
  for (let i = kinds.length - 1; i > 0; i--) {
    const j = random.between(0, i)
    const kind = kinds[i] as FaultKind
    kinds[i] = kinds[j] as FaultKind
    kinds[j] = kind
  }
  const step = (seconds * LAST_FAULT) / kinds.length
  return kinds.map((kind, i) => ({
    kind,
    atS: step * (i + 0.2 + 0.5 * random.next()),
    downMs: durationOf(kind, cutMs, random),
    isReset: random.chance(0.5),
    takesBridge: WITH_BRIDGE.includes(kind) && random.chance(0.3),
    patienceMs: random.chance(0.3) ? random.between(100, 1500) : RECOVERY_MS,
  }))
}

/** The remote is away: in these the bridge may go as well. */
const WITH_BRIDGE: readonly FaultKind[] = ['remote killed', 'network cut', 'half-open']

function durationOf(kind: FaultKind, cutMs: number, random: Random): number {
  if (kind === 'network cut') return cutMs
  if (kind === 'half-open') return random.between(2000, Math.max(4000, cutMs / 3))
  return random.chance(0.5) ? random.between(0, 200) : random.between(200, 2000)
}

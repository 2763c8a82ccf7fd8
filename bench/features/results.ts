import { median } from '../e2e/summary.ts'
import type { Round, SideResult } from './compare.ts'
import type { Comparison, ComparisonName } from './comparisons.ts'
import type { ReloadResult } from './reload.ts'
import type { StartResult } from './startup.ts'

export interface Compared {
  name: ComparisonName
  comparison: Comparison
  rounds: readonly Round[]
  /** What went wrong, a line for each measurement that counts for nothing. */
  failures: readonly string[]
}

export interface Results {
  compared: Compared[]
  /** Without rules and with, as often as there are rounds. */
  starts: StartResult[]
  reload: ReloadResult | null
  /** What could not be measured, of `start` and `reload`. */
  failures: string[]
}

/** Microseconds of the hub's CPU for each delivery. */
export function cpuOf({ load }: SideResult): number {
  return load.cpuUsPerDelivered
}

export function rateOf({ load }: SideResult): number {
  return load.deliveredPerSecond
}

/**
 * Deliveries a second that the hub could make if its core had nothing else to do, in millions: what its figures take is
 * the same however many messages there are.
 */
export function capacityOf({ load, restCpuShare }: SideResult): number {
  const cpuUs = load.cpuUsPerDelivered - (restCpuShare * 1e6) / load.deliveredPerSecond
  return (1 - restCpuShare) / cpuUs
}

/** Throughput of the other side as a share of the base's: the median over the rounds, whose sides were neighbours. */
export function cpuRatio({ rounds }: Compared): number | null {
  return median(rounds.map(({ base, other }) => capacityOf(other) / capacityOf(base)))
}

export function rateRatio({ rounds }: Compared): number | null {
  return median(rounds.map(({ base, other }) => rateOf(other) / rateOf(base)))
}

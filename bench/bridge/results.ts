import { median } from '../e2e/summary.ts'
import type { Case } from './cases.ts'
import type { FlowResult } from './load/flow-result.ts'
import type { MemoryResult } from './memory.ts'

export interface MeasuredCase extends Omit<Case, 'measure'> {
  rounds: FlowResult[]
  /** What went wrong, a line for each measurement that counts for nothing. */
  failures: string[]
}

export interface Results {
  cases: MeasuredCase[]
  memory: MemoryResult[]
  /** What could not be measured of `memory`. */
  failures: string[]
}

export type Figure = (result: FlowResult) => number

export function medianOf({ rounds }: MeasuredCase, figure: Figure): number | null {
  return median(rounds.map(figure))
}

/** The case that differs from this one by its name alone. */
export function sibling(cases: readonly MeasuredCase[], of: MeasuredCase, name: Case['name']): MeasuredCase | null {
  const { part, direction, qos } = of
  return (
    cases.find(each => each.name === name && each.part === part && each.direction === direction && each.qos === qos) ??
    null
  )
}

/** By how much a figure is above that of another case; both are medians. Null when one of them was not measured. */
export function above(measured: MeasuredCase, base: MeasuredCase | null, figure: Figure): number | null {
  const own = medianOf(measured, figure)
  const other = base === null ? null : medianOf(base, figure)
  return own === null || other === null ? null : own - other
}

/**
 * CPU of the bridge for each message in microseconds: of its process, or what a broker with a bridge in it takes more
 * than without, where a subscriber of its own is in the bridge's place.
 */
export function bridgeCpu(cases: readonly MeasuredCase[], measured: MeasuredCase): number | null {
  const figure: Figure = ({ forwarderCpuUs }) => forwarderCpuUs
  if (measured.name === 'plain' || measured.name === 'direct') return null
  if (measured.name === 'builtin') return above(measured, sibling(cases, measured, 'plain'), figure)
  return medianOf(measured, figure)
}

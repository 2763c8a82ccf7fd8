import type { DropReason } from './figures.ts'

/** What a flow has done since it was made. */
export class FlowCounters {
  received = 0
  forwarded = 0
  forwardedBytes = 0
  acknowledged = 0
  duplicates = 0
  readonly dropped: Record<DropReason, number> = {
    offline: 0,
    limited: 0,
    unmatched: 0,
    invalid: 0,
    echo: 0,
    rejected: 0,
    oversize: 0,
  }
}

import type { Hub } from '../hub.ts'

/** What all sessions together have, counted in one pass. */
export interface SessionTotals {
  /** Kept for clients that are not connected. */
  readonly absent: number
  /** Messages that wait for room in a window, or for their client. */
  readonly queued: number
  /** Those of them that are kept sessions' and stored. */
  readonly stored: number
  /** Messages sent and not acknowledged. */
  readonly unacknowledged: number
  /** Bytes of topics and payloads that wait on disk only. */
  readonly diskBytes: number
}

export function sessionTotals(hub: Hub): SessionTotals {
  let absent = 0
  let queued = 0
  let stored = 0
  let unacknowledged = 0
  let diskBytes = 0
  for (const session of hub.sessions.all()) {
    const waiting = session.queued
    if (session.receiver === null) absent++
    queued += waiting
    unacknowledged += session.unacknowledged
    if (session.log === null) continue
    stored += waiting
    diskBytes += session.log.disk.bytes
  }
  return { absent, queued, stored, unacknowledged, diskBytes: Math.round(diskBytes) }
}

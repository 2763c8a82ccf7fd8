import { setTimeout as sleep } from 'node:timers/promises'

export interface Course {
  /** For the lines of progress. */
  what: string
  /** What was reached so far, and what is to be reached. */
  count: () => number
  total: number
  /** How long the count may stand still, and how long it may take altogether. */
  stallMs: number
  limitMs: number
  /** Breaks it off. */
  signal: AbortSignal
}

const POLL_MS = 5
const PROGRESS_MS = 5000

/**
 * Waits until the count has reached its total, and returns the seconds it took; null when it stood still for too long
 * or took too long. Tells the progress from time to time. Rejects when broken off.
 */
export async function follow({ what, count, total, stallMs, limitMs, signal }: Course): Promise<number | null> {
  const start = performance.now()
  let before = count()
  let changedAt = start
  let toldAt = start
  for (;;) {
    signal.throwIfAborted()
    const now = performance.now()
    const current = count()
    if (current >= total) return (now - start) / 1000
    if (current !== before) {
      before = current
      changedAt = now
    }
    if (now - changedAt > stallMs || now - start > limitMs) return null
    if (now - toldAt > PROGRESS_MS) {
      toldAt = now
      const perSecond = (current / ((now - start) / 1000)).toFixed(0)
      console.error(`  ${what}: ${current}${Number.isFinite(total) ? ` of ${total}` : ''}, ${perSecond}/s`)
    }
    await sleep(POLL_MS)
  }
}

/** The same for what has to be reached: rejects when it was not. */
export async function reach(course: Course): Promise<number> {
  const seconds = await follow(course)
  if (seconds === null) throw new Error(`${course.what}: only ${course.count()} of ${course.total}`)
  return seconds
}

import { setTimeout as sleep } from 'node:timers/promises'

/** Settles as the work does, but rejects when that takes too long. */
export async function inTime<T>(work: Promise<T>, limitMs: number): Promise<T> {
  const timer = new AbortController()
  const late = sleep(limitMs, null, { signal: timer.signal }).then(() => {
    throw new Error(`not done after ${(limitMs / 1000).toFixed(0)} s`)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    timer.abort()
    late.catch(() => {})
  }
}

import { setTimeout as sleep } from 'node:timers/promises'

const STEP_MS = 20

/** Asks again and again whether it is so. Returns false when it is not in time. */
export async function until(isSo: () => boolean, timeoutMs: number, stepMs = STEP_MS): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (!isSo()) {
    if (performance.now() >= deadline) return false
    await sleep(stepMs)
  }
  return true
}

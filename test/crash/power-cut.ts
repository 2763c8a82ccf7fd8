import { existsSync, readdirSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { FaultShim } from './fault-shim.ts'
import type { TrialOptions } from './plain.ts'
import type { Random } from './random.ts'
import { type Outcome, Stage } from './stage.ts'

/** Files of LevelDB that grow; the others are written whole and renamed. */
const GROWING = /^(?:\d+\.(?:log|ldb)|MANIFEST-\d+)$/

/**
 * Kill, and what was not synced is gone too, as when the power fails. A kill alone leaves it in the memory of the
 * system, which writes it later; so this is what tells whether the hub waits for the disk at all.
 */
export async function runPowerCut({ rounds, broker, dir, ...options }: TrialOptions): Promise<Outcome | string> {
  const folder = join(dir, 'data')
  const shim = FaultShim.make(dir, folder, true)
  if (typeof shim === 'string') return shim
  const stage = new Stage({ name: 'power cut', broker: { ...broker, dir, env: shim.env }, ...options })
  const synced = new Map<string, number>()
  return stage.run(rounds, async () => {
    await stage.pause(200, 1500)
    await stage.kill()
    for (const [path, size] of shim.takeSynced()) synced.set(path, size)
    cutTails(folder, synced, stage.random)
    await stage.resume()
  })
}

/** Cuts each file anywhere behind what was synced of it: all of the rest is lost, or the end of it. */
function cutTails(folder: string, synced: ReadonlyMap<string, number>, random: Random): void {
  if (!existsSync(folder)) return
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name)
    if (!GROWING.test(name.slice(name.lastIndexOf('/') + 1))) continue
    const { size } = statSync(path)
    const sure = Math.min(synced.get(path) ?? 0, size)
    if (sure < size) truncateSync(path, random.chance(0.5) ? sure : random.between(sure, size))
  }
}

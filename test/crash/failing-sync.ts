import { join } from 'node:path'
import { type FaultMode, FaultShim } from './fault-shim.ts'
import type { TrialOptions } from './plain.ts'
import { recovers, watchAlarm } from './recovery.ts'
import { type Outcome, Stage } from './stage.ts'

/** What the disk answers, round by round. */
const FAULTS: readonly (readonly [mode: FaultMode, errno: 'EIO' | 'ENOSPC'])[] = [
  ['sync', 'EIO'],
  ['write', 'EIO'],
  ['sync', 'ENOSPC'],
  ['write', 'ENOSPC'],
]

/**
 * The disk fails for a while. Nothing is acknowledged that was sent meanwhile. Every other time the hub is killed while
 * it fails, else it has to get going by itself when the disk does.
 */
export async function runFailingSync({ rounds, broker, dir, ...options }: TrialOptions): Promise<Outcome | string> {
  const folder = join(dir, 'data')
  const shim = FaultShim.make(dir, folder, false)
  if (typeof shim === 'string') return shim
  const stage = new Stage({ name: 'fsync fails', broker: { ...broker, dir, env: shim.env }, ...options })
  const alarm = watchAlarm(stage)
  return stage.run(rounds, async round => {
    const [mode, errno] = FAULTS[(round >> 1) % FAULTS.length] as (typeof FAULTS)[number]
    await stage.pause(200, 700)
    shim.arm(mode, errno)
    stage.ledger.faultBegins(true)
    await stage.pause(300, 1000)
    if (round % 2 === 0) {
      await stage.kill()
      shim.disarm()
      stage.ledger.faultEnds()
      await stage.resume()
    } else {
      await alarm.expect(['failed', 'full'])
      const since = performance.now()
      stage.ledger.faultEnds()
      shim.disarm()
      await recovers(stage, since)
      await alarm.expect(['ok'])
      await stage.resume()
    }
  })
}

import { join } from 'node:path'
import type { TrialOptions } from './plain.ts'
import { recovers, watchAlarm } from './recovery.ts'
import { type Outcome, Stage } from './stage.ts'
import { Subscriber } from './subscriber.ts'
import { Volume } from './volume.ts'
import { until } from './wait.ts'

const VOLUME_MB = 128
const DRAIN_MS = 15_000

/**
 * The disk is full for a while. A consumer that comes back meanwhile gets what was acknowledged before. Every other time
 * the hub is killed while it is full, else publishing has to go on by itself when there is space again.
 */
export async function runDiskFull({ rounds, broker, dir, ...options }: TrialOptions): Promise<Outcome | string> {
  const volume = Volume.mount(join(dir, 'volume'), VOLUME_MB)
  if (typeof volume === 'string') return volume
  try {
    const stage = new Stage({
      name: 'disk full',
      broker: { ...broker, dir, storageDir: 'volume/data' },
      ...options,
    })
    const alarm = watchAlarm(stage)
    const drainer = new Subscriber({ id: 'drains', filters: [['m/#', 2]] }, stage)
    stage.invite(drainer)
    return await stage.run(rounds, async round => {
      await makeBacklog(stage, drainer)
      volume.fill()
      stage.ledger.faultBegins(false)
      const filledAt = stage.ledger.tick()
      await stage.pause(200, 600)
      await drains(stage, drainer, filledAt)
      // Half of the time whatever the hub gives up to go on is taken as well.
      if (stage.random.chance(0.5)) volume.fill()
      await stage.pause(100, 500)
      if (round % 2 === 0) {
        await stage.kill()
        volume.free()
        stage.ledger.faultEnds()
        await stage.resume()
      } else {
        await alarm.expect(['full', 'failed'])
        const since = performance.now()
        volume.free()
        stage.ledger.faultEnds()
        await recovers(stage, since)
        await alarm.expect(['ok'])
        await stage.resume()
      }
      drainer.goOnline()
    })
  } finally {
    volume.unmount()
  }
}

/** Messages for a consumer that is not there. */
async function makeBacklog(stage: Stage, drainer: Subscriber): Promise<void> {
  drainer.goOnline()
  await until(() => drainer.isConnected && drainer.isSettled, DRAIN_MS)
  drainer.goOffline(stage.random.chance(0.5))
  await stage.pause(300, 900)
}

/** The consumer comes back and gets what was acknowledged before the disk was full; else that is a violation. */
async function drains(stage: Stage, drainer: Subscriber, before: number): Promise<void> {
  const missing = (): number => {
    let count = 0
    drainer.record.forEachMissing(() => {
      count++
    }, before)
    return count
  }
  const due = missing()
  drainer.goOnline()
  await until(() => missing() === 0 || !stage.broker.isRunning, DRAIN_MS)
  const left = missing()
  if (left > 0) stage.ledger.violation('stuck', `${left} of ${due} messages do not drain while the disk is full`)
}

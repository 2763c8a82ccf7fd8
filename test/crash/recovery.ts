import { Reader } from './bystanders.ts'
import type { Stage } from './stage.ts'
import { until } from './wait.ts'

const RECOVERY_MS = 15_000
const ALARM_MS = 5000
const ALARM_FILTER = '$SYS/+/alarms/storage'

/** Waits until every publisher gets acknowledgements again; that it takes too long is a violation. */
export async function recovers(stage: Stage, since: number): Promise<void> {
  const { publishers } = stage.cast
  const isWell = await until(() => publishers.every(({ acknowledgedAt }) => acknowledgedAt > since), RECOVERY_MS)
  if (isWell || !stage.broker.isRunning) return
  const ids = publishers.filter(({ acknowledgedAt }) => acknowledgedAt <= since).map(({ id }) => id)
  stage.ledger.violation('stuck', `${ids.join(', ')} get no acknowledgement ${RECOVERY_MS} ms after the disk is well`)
}

/** Follows what the hub says of its store. */
export function watchAlarm(stage: Stage): { expect(states: readonly string[]): Promise<void> } {
  let last = 'nothing'
  const reader = new Reader('watches-alarm', ALARM_FILTER, ({ payload }) => void (last = payload.toString()), stage)
  stage.invite(reader)
  return {
    /** That it does not say so within a while is a violation. */
    async expect(states) {
      reader.goOnline()
      const says = await until(() => states.some(state => last.includes(state)), ALARM_MS)
      if (says || !stage.broker.isRunning) return
      stage.ledger.violation('stuck', `${ALARM_FILTER} says ${last}, not ${states.join(' or ')}`)
    },
  }
}

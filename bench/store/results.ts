import type { BrokerName } from '../e2e/brokers.ts'
import type { BacklogResult } from './backlog.ts'
import type { LostResult } from './lost-after-kill.ts'
import type { RestartResult } from './restart.ts'

export interface Measured<R> {
  variant: string
  broker: BrokerName
  /** Null when nothing could be measured. */
  result: R | null
  /** Why not, null when it was. */
  failure: string | null
}

export interface Results {
  lost: Measured<LostResult>[]
  backlog: Measured<BacklogResult>[]
  restart: Measured<RestartResult>[]
}

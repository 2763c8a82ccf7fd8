import { isDeepStrictEqual } from 'node:util'
import { GatewayError, messageOf } from '../../common/index.ts'
import type { HubConfig, ListenAddress } from '../../config/index.ts'
import { RuleTable } from '../../router/index.ts'
import type { Hub } from '../hub.ts'
import { type ListenerGroup, readTlsMaterial } from '../listeners/index.ts'
import { applyAccess } from './access.ts'
import type { Change } from './change.ts'
import { applyLimits } from './limits.ts'
import type { Reporting } from './reporting.ts'

/** What a configuration is put in force for. */
interface Parts {
  readonly hub: Hub
  readonly listeners: ListenerGroup
  readonly reporting: Reporting
}

interface Replacement {
  readonly before: HubConfig
  readonly next: HubConfig
  /** What `next` listens on. */
  readonly addresses: readonly ListenAddress[]
  readonly baseDir: string
  /** A stop of the hub: nothing is opened any more. */
  readonly signal: AbortSignal
}

/**
 * Puts another configuration in force for a running hub. First everything is done that can fail, and undone when some of
 * it does; `accepted` is called when nothing can fail any more, in the turn in which the hub begins to obey.
 */
export async function reloadHub(parts: Parts, replacement: Replacement, accepted: () => void): Promise<void> {
  const { hub, listeners, reporting } = parts
  const { before, next, addresses, baseDir, signal } = replacement
  const authenticator = hub.door.prepare(next)
  const material = readTlsMaterial(next.certificate, baseDir)
  const hasOtherRules = !isDeepStrictEqual(before.subscriptions, next.subscriptions)
  if (hasOtherRules) checkRules(next)
  const changes: Change[] = []
  try {
    changes.push(await listeners.prepare(addresses, material, signal))
    changes.push(await reporting.prepare(next.metrics, signal))
    signal.throwIfAborted()
  } catch (failure) {
    throw await undo(changes, failure)
  }
  accepted()
  applyLimits(hub, next)
  applyAccess(hub, authenticator)
  // As they are they go on within their rates.
  if (hasOtherRules) hub.useRules(next.subscriptions)
  for (const change of changes) await change.commit()
}

function checkRules({ subscriptions }: HubConfig): void {
  try {
    void new RuleTable(subscriptions)
  } catch (cause) {
    throw new GatewayError('ERR_CONFIG_RULES', `the rules can not be used: ${messageOf(cause)}`, { cause })
  }
}

/** Why nothing has changed, or why it is not as before. */
async function undo(changes: Change[], failure: unknown): Promise<unknown> {
  let reason = failure
  for (const change of changes.toReversed()) {
    try {
      await change.rollBack()
    } catch (again) {
      const code = again instanceof GatewayError ? again.code : 'ERR_LIFECYCLE_ROLL_BACK'
      reason = new GatewayError(code, `${messageOf(reason)}; ${messageOf(again)}`, { cause: again })
    }
  }
  return reason
}

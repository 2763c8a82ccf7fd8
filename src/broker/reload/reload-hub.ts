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
 * it does; `accepted` is called when there is no way back, in the turn in which the hub begins to obey. What goes wrong
 * from then on against all expectation is logged and does not keep the rest from being done.
 */
export async function reloadHub(parts: Parts, replacement: Replacement, accepted: () => void): Promise<void> {
  const { hub, listeners, reporting } = parts
  const { before, next, addresses, baseDir, signal } = replacement
  const authenticator = hub.door.prepare(next)
  const material = readTlsMaterial(next.certificate, baseDir)
  const hasOtherRules = !isDeepStrictEqual(before.subscriptions, next.subscriptions)
  if (hasOtherRules) checkRules(next)
  const changes: Change[] = []
  const ports = { listeners: listeners.portsFor(addresses), reporting: reporting.portsFor(next.metrics) }
  const endpointMoves = ports.listeners.closed.includes(ports.reporting.opened)
  if (endpointMoves && ports.listeners.opened.includes(ports.reporting.closed)) throw swapped(ports.reporting)
  const report = async (): Promise<number> =>
    changes.push(await reporting.prepare(next.metrics, signal, ports.listeners.opened))
  try {
    // Who comes to a new listener has to wait: it is opened last, unless it has to go out of the way.
    if (!endpointMoves) await report()
    changes.push(await listeners.prepare(addresses, material, signal, [ports.reporting.opened]))
    if (endpointMoves) await report()
    signal.throwIfAborted()
  } catch (failure) {
    throw await undo(changes, failure)
  }
  accepted()
  const failed = (error: unknown): void => hub.log.error({ error }, 'config.reload.partly_failed')
  const guarded = (step: () => void): void => {
    try {
      step()
    } catch (error) {
      failed(error)
    }
  }
  guarded(() => applyLimits(hub, next))
  guarded(() => applyAccess(hub, authenticator))
  // As they are they go on within their rates.
  if (hasOtherRules) guarded(() => hub.useRules(next.subscriptions))
  // In this turn each begins: those who wait at new listeners come in.
  for (const result of await Promise.allSettled(changes.map(change => change.commit())))
    if (result.status === 'rejected') failed(result.reason)
}

function swapped({ opened, closed }: { opened: number; closed: number }): GatewayError {
  return new GatewayError(
    'ERR_LISTEN_ADDRESS_IN_USE',
    `metrics.listen and listen can't change the ports ${opened} and ${closed} with each other: free one in one reload and take it in the next`,
  )
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

import type { BridgeRuleConfig } from './schema/bridge-rule.ts'
import type { RemoteConfig } from './schema/client.ts'

/** What fits into a topic and into a line of a log. */
const MAX_NAME = 128

/**
 * The rules with their names and client identifiers, as OpenEdge finds them: on the remote that of the rule, else that of the
 * remote, else the name of the remote; on the hub that of the rule, else the one on the remote.
 */
export function resolveRules(remotes: readonly RemoteConfig[], rules: readonly BridgeRuleConfig[]): BridgeRuleConfig[] {
  const byName = new Map(remotes.map(remote => [remote.name, remote]))
  return rules.map(rule => resolveRule(rule, byName.get(rule.remote.name)))
}

export function resolveRule(
  rule: BridgeRuleConfig,
  remote: Pick<RemoteConfig, 'clientId'> | undefined,
): BridgeRuleConfig {
  const onRemote = rule.remote.clientId || remote?.clientId || rule.remote.name
  const onHub = rule.hub.clientId || onRemote
  return {
    ...rule,
    name: cleanName(rule.name || onHub),
    hub: { ...rule.hub, clientId: onHub },
    remote: { ...rule.remote, clientId: onRemote },
  }
}

function cleanName(name: string): string {
  return name.replace(/[^A-Za-z0-9._-]/gu, '_').slice(0, MAX_NAME)
}

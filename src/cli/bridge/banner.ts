import type { BridgeConfig, BridgeRuleConfig, BridgeSubscriptionConfig } from '../../config/index.ts'
import { oneLine } from '../text.ts'

/** Rules, and filters of one direction, that are listed; of more it is said how many. */
const MOST_RULES = 20
const MOST_FILTERS = 8

/** What a bridge says at its start: who is connected with whom, and what goes which way. */
export function bridgeBanner(config: BridgeConfig, { version, file }: { version: string; file: string }): string {
  const title = `OpenEdge ${version} bridge, configured by ${file}, forwards`
  const { rules } = config
  if (rules.length === 0) return `${title}\n  nothing: no rules in the configuration`
  const lines = rules.slice(0, MOST_RULES).flatMap(rule => ruleLines(rule, config))
  const more = rules.length > MOST_RULES ? [`  and ${rules.length - MOST_RULES} more rules`] : []
  return [title, ...lines, ...more].join('\n')
}

function ruleLines(rule: BridgeRuleConfig, { hub, remotes }: BridgeConfig): string[] {
  const remote = remotes.find(({ name }) => name === rule.remote.name)
  return [
    oneLine(
      `  ${rule.name}: hub ${shown(hub)} -> ${rule.remote.name}${remote === undefined ? '' : ` ${shown(remote)}`}`,
    ),
    ...directionLines('out', rule.hub.subscriptions),
    ...directionLines('in', rule.remote.subscriptions),
  ]
}

/** Without the query of a WebSocket's address, which may be a secret. */
function shown({ address }: Pick<BridgeConfig['hub'], 'address'>): string {
  return address.split('?', 1)[0] ?? ''
}

function directionLines(direction: string, subscriptions: readonly BridgeSubscriptionConfig[]): string[] {
  if (subscriptions.length === 0) return []
  const first = subscriptions.slice(0, MOST_FILTERS).map(({ topic, qos, target }) => {
    const renamed = target.topic === '' || target.topic === topic ? '' : ` -> ${target.topic}`
    return oneLine(`${topic}${renamed} (QoS ${Math.min(qos, target.qos)})`)
  })
  const more = subscriptions.length > MOST_FILTERS ? [`and ${subscriptions.length - MOST_FILTERS} more`] : []
  return [`    ${direction.padEnd(3)} ${[...first, ...more].join(', ')}`]
}

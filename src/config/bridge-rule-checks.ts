import { nearestWord, type TopicLimits, topicFilterProblem } from '../common/index.ts'
import { resolveRule } from './bridge-names.ts'
import { mqttTextProblem } from './client-checks.ts'
import type { Collect } from './findings.ts'
import { shorten } from './loose.ts'
import type { Path } from './problem.ts'
import type { BridgeRuleConfig, BridgeSubscriptionConfig } from './schema/bridge-rule.ts'
import { readTarget } from './target-topic.ts'

/** The protocol's limits: what the two brokers allow, they say themselves. */
export const PROTOCOL_LIMITS: TopicLimits = { maxBytes: 65_535, maxLevels: Number.POSITIVE_INFINITY }
const TARGET_LIMITS = { ...PROTOCOL_LIMITS, kind: 'bridge', isDollarAllowed: true } as const
/** Comparing every name with every other takes its time. */
const MAX_SUGGESTIONS = 20

/** What rules want to know of the remotes, which may be wrong otherwise. */
export interface NamedRemote {
  readonly index: number
  readonly clientId: string
  /** What broker it is: equal for the same one. Null: its address is wrong. */
  readonly broker: string | null
}

export interface BridgeRuleCheck {
  /** Undefined where a rule is wrong. */
  readonly rules: readonly (BridgeRuleConfig | undefined)[]
  readonly remotes: ReadonlyMap<string, NamedRemote>
  /** As {@link NamedRemote.broker}. */
  readonly hub: string | null
  readonly wrong: Collect
  readonly warn: Collect
}

/** A rule with its client identifiers and its name, and what it says itself. */
interface ResolvedRule {
  readonly index: number
  readonly written: BridgeRuleConfig
  readonly rule: BridgeRuleConfig
  readonly remote: NamedRemote | undefined
}

/** The rules of a bridge, each for itself and all together. */
export function checkBridgeRules(check: BridgeRuleCheck): void {
  const { rules, remotes, wrong, warn } = check
  const resolved: ResolvedRule[] = []
  let unknown = 0
  for (const [index, written] of rules.entries()) {
    if (written === undefined) continue
    const path = ['rules', index]
    const remote = remotes.get(written.remote.name)
    if (remote === undefined) {
      const isSuggested = unknown++ < MAX_SUGGESTIONS
      reportUnknownRemote(written.remote.name, path, isSuggested ? remotes.keys() : [], wrong)
    }
    resolved.push({ index, written, remote, rule: resolveRule(written, remote) })
    for (const side of ['hub', 'remote'] as const) {
      checkSubscriptions(written[side].subscriptions, [...path, side, 'subscriptions'], wrong, warn)
    }
    if (written.hub.subscriptions.length + written.remote.subscriptions.length > 0) continue
    warn({ path, message: 'has no subscriptions: it connects, but forwards nothing' })
  }
  checkClientIds(resolved, check)
  checkNames(resolved, wrong)
}

function reportUnknownRemote(name: string, path: Path, known: Iterable<string>, wrong: Collect): void {
  const at = [...path, 'remote', 'name']
  if (name === '') {
    wrong({ path: at, message: 'is missing; name one of the remotes' })
    return
  }
  const nearest = nearestWord(name, known)
  const message = `remote (${shorten(name)}) not found`
  wrong({ path: at, message, ...(nearest !== null && { suggestion: `did you mean ${nearest}?` }) })
}

function checkSubscriptions(
  subscriptions: readonly BridgeSubscriptionConfig[],
  path: Path,
  wrong: Collect,
  warn: Collect,
): void {
  const seen = new Map<string, number>()
  for (const [i, { topic, target }] of subscriptions.entries()) {
    const filterProblem = checkFilter(topic)
    if (filterProblem !== null) {
      wrong({ path: [...path, i, 'topic'], message: `topic filter (${shorten(topic)}) invalid: it ${filterProblem}` })
    }
    const first = seen.get(topic)
    if (first === undefined) seen.set(topic, i)
    else if (filterProblem === null) {
      const message = `is the filter of subscriptions[${first}] too; of the two the one with the higher qos counts, or the first`
      warn({ path: [...path, i, 'topic'], message })
    }
    const at = [...path, i, 'target', 'topic']
    if (target.topic === '') {
      if (!topic.startsWith('$SYS/')) continue
      const message = 'is below $SYS/, and has no target: brokers take nothing there'
      warn({ path: [...path, i, 'topic'], message, suggestion: 'give it a target, such as figures/{#}' })
      continue
    }
    const template = readTarget(target.topic, topic, TARGET_LIMITS)
    // Of a filter that is wrong nobody knows what its placeholders are.
    if (!('problem' in template) || (filterProblem !== null && template.at > 0)) continue
    const place = template.at > 0 ? ` (character ${template.at})` : ''
    const message = `target topic (${shorten(target.topic)}) invalid: it ${template.problem}${place}`
    wrong({ path: at, message })
  }
}

function checkFilter(filter: string): string | null {
  const problem = topicFilterProblem(filter, PROTOCOL_LIMITS)
  if (problem !== null) return problem
  return filter.startsWith('$share/') ? 'is a shared subscription, which MQTT 3.1.1 does not have' : null
}

/** A client identifier at a broker, and whose it is. */
interface Claim {
  readonly resolved: ResolvedRule
  readonly side: 'hub' | 'remote'
}

/** Two connections with one client identifier would end each other for ever [MQTT-3.1.4-2]. */
function checkClientIds(rules: readonly ResolvedRule[], { hub, wrong }: BridgeRuleCheck): void {
  const claims = new Map<string, Claim>()
  for (const resolved of rules) {
    const { remote, rule, written } = resolved
    if (remote === undefined) continue
    // The other side of the same two rules, when its identifier is the same because it comes from here.
    let reported: ResolvedRule | null = null
    for (const side of ['remote', 'hub'] as const) {
      const id = rule[side].clientId
      const problem = mqttTextProblem(id)
      if (problem !== null && written[side].clientId !== '') {
        wrong({ path: idPath(resolved, side), message: `client identifier (${shorten(id)}) invalid: it ${problem}` })
      }
      // Without its address a broker is still the one of that name.
      const broker = (side === 'hub' ? hub : remote.broker) ?? `${side} ${side === 'hub' ? '' : rule.remote.name}`
      const key = `${broker}\0${id}`
      const first = claims.get(key)
      if (first === undefined) {
        claims.set(key, { resolved, side })
        continue
      }
      if (reported === first.resolved && written.hub.clientId === '') continue
      reported = first.resolved
      wrong({ path: idPath(resolved, side), message: conflict(id, { resolved, side }, first), suggestion: GIVE_ID })
    }
  }
}

const GIVE_ID = 'give each a clientid of its own'

function conflict(id: string, claim: Claim, first: Claim): string {
  const where = placeOf(claim)
  const firstWhere = placeOf(first)
  const other = first.resolved === claim.resolved ? 'it has' : `${labelOf(first.resolved)} has`
  const there = firstWhere === where ? 'there' : `on ${firstWhere}, which is the same broker`
  return `${labelOf(claim.resolved)} has client identifier ${shorten(id)} on ${where}, as ${other} ${there}: each connection would end the other`
}

function placeOf({ resolved, side }: Claim): string {
  return side === 'hub' ? 'the hub' : `remote ${shorten(resolved.rule.remote.name)}`
}

function labelOf({ index, rule }: ResolvedRule): string {
  return `rules[${index}] (${rule.name})`
}

/** The key that says which client identifier it is. */
function idPath({ index, written }: ResolvedRule, side: 'hub' | 'remote'): Path {
  const path = ['rules', index]
  if (side === 'hub' && written.hub.clientId !== '') return [...path, 'hub', 'clientid']
  return [...path, 'remote', written.remote.clientId === '' ? 'name' : 'clientid']
}

/** Names say whose figures are whose. */
function checkNames(rules: readonly ResolvedRule[], wrong: Collect): void {
  const seen = new Map<string, ResolvedRule>()
  for (const resolved of rules) {
    const { index, written, rule } = resolved
    const first = seen.get(rule.name)
    if (first === undefined) {
      seen.set(rule.name, resolved)
      continue
    }
    // That the two are one client of the hub is told already.
    const areDerived = written.name === '' && first.written.name === ''
    if (areDerived && first.rule.hub.clientId === rule.hub.clientId) continue
    const own = written.name === '' ? `, from its client identifier on the hub,` : ''
    const message = `rules[${index}] has the name ${rule.name}${own} as rules[${first.index}] has`
    const path = written.name === '' ? idPath(resolved, 'hub') : ['rules', index, 'name']
    wrong({ path, message, suggestion: `give rules[${index}] a name of its own` })
  }
}

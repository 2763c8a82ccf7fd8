import { topicNameProblem } from '../common/index.ts'
import { checkBridgeRules, type NamedRemote, PROTOCOL_LIMITS } from './bridge-rule-checks.ts'
import { checkClient } from './client-checks.ts'
import type { ClientAddress } from './client-url.ts'
import type { Circumstances, Collect, Findings } from './findings.ts'
import { isRecord, items, shorten, valid, validItems } from './loose.ts'
import type { Finding } from './problem.ts'
import { bridgeEntries } from './schema/bridge.ts'
import { bridgeRuleSchema } from './schema/bridge-rule.ts'
import { checkControlSocket, checkMetricsListen } from './service-checks.ts'

/** Each rule is two connections. */
const MAX_RULES = 1000
const MAX_REMOTES = 1000
/** Stands for the name of the rule in the topic of its state. */
const RULE = '{rule}'

/**
 * The rules that concern several keys, or that a schema can't say. They judge what is well formed, however wrong the rest
 * of the file is, so that people see all problems at once.
 *
 * @param value what {@link bridgeEntries} reads, before validation
 */
export function checkBridge(value: unknown, circumstances: Circumstances): Findings {
  const errors: Finding[] = []
  const warnings: Finding[] = []
  const wrong: Collect = finding => errors.push(finding)
  const warn: Collect = finding => warnings.push(finding)
  const file = isRecord(value) ? value : {}
  const about = { circumstances, wrong, warn }
  const ruleCount = items(file['rules']).length
  const remoteCount = items(file['remotes']).length
  if (ruleCount > MAX_RULES) wrong({ path: ['rules'], message: `has ${ruleCount} rules; ${MAX_RULES} are allowed` })
  if (remoteCount > MAX_REMOTES) {
    wrong({ path: ['remotes'], message: `has ${remoteCount} remotes; ${MAX_REMOTES} are allowed` })
  }
  if (ruleCount > MAX_RULES || remoteCount > MAX_REMOTES) return { errors, warnings }
  // An empty file is a bridge that forwards nothing.
  const hub = checkClient({ ...about, value: file['hub'], path: ['hub'] }, ruleCount > 0)
  const remotes = new Map<string, NamedRemote>()
  for (const [index, remote] of items(file['remotes']).entries()) {
    const path = ['remotes', index]
    const address = checkClient({ ...about, value: remote, path }, true)
    if (!isRecord(remote)) continue
    const name = remote['name'] ?? ''
    const clientid = remote['clientid'] ?? ''
    if (typeof name !== 'string' || typeof clientid !== 'string') continue
    const first = remotes.get(name)
    if (name === '') wrong({ path: [...path, 'name'], message: 'is missing; rules call the remote by it' })
    else if (first === undefined) remotes.set(name, { index, clientId: clientid, broker: brokerOf(address) })
    else {
      wrong({ path: [...path, 'name'], message: `remote (${shorten(name)}) duplicate: remotes[${first.index}] too` })
    }
  }
  const rules = validItems(bridgeRuleSchema, file['rules'])
  checkBridgeRules({ rules, remotes, hub: brokerOf(hub), wrong, warn })
  warnOfUnused(file, remotes, warn)
  checkStatus(valid(bridgeEntries.status, file['status'])?.topic ?? 'none', ruleCount, wrong)
  const metrics = valid(bridgeEntries.metrics, file['metrics'])
  checkMetricsListen(metrics?.listen ?? '', new Map(), wrong, warn)
  checkControlSocket(valid(bridgeEntries.control, file['control'])?.socket ?? 'auto', new Map(), wrong)
  return { errors, warnings }
}

/** Equal for addresses of one broker, as far as they say so. */
function brokerOf(address: ClientAddress | null): string | null {
  if (address === null) return null
  const host = address.host.toLowerCase().replace(/\.$/, '')
  const isHere = host === 'localhost' || host === '::1' || host === '127.0.0.1'
  return `${isHere ? 'localhost' : host} ${address.port} ${address.path}`
}

function warnOfUnused(
  file: Readonly<Record<string, unknown>>,
  remotes: ReadonlyMap<string, NamedRemote>,
  warn: Collect,
): void {
  const rules = items(file['rules'])
  if (rules.length === 0) {
    warn({ path: ['rules'], message: 'is empty: nothing is forwarded' })
    return
  }
  const used = new Set(rules.map(rule => (isRecord(rule) && isRecord(rule['remote']) ? rule['remote']['name'] : null)))
  for (const [name, { index }] of remotes) {
    if (!used.has(name)) warn({ path: ['remotes', index, 'name'], message: `no rule uses remote (${shorten(name)})` })
  }
}

function checkStatus(topic: string, ruleCount: number, wrong: Collect): void {
  if (topic === 'none') return
  const path = ['status', 'topic']
  const problem = topicNameProblem(topic.replaceAll(RULE, 'rule'), PROTOCOL_LIMITS)
  const [unknown] = topic.replaceAll(RULE, '').match(/\{[^}]*\}?/) ?? []
  if (problem !== null) wrong({ path, message: `topic (${shorten(topic)}) invalid: it ${problem}` })
  else if (unknown !== undefined) {
    wrong({ path, message: `has a placeholder ${shorten(unknown)}; only ${RULE} is known` })
  } else if (!topic.includes(RULE) && ruleCount > 1) {
    const message = `is the same topic for each of ${ruleCount} rules`
    wrong({ path, message, suggestion: `put ${RULE} into it, which stands for the name of the rule` })
  }
}

import { nearestWord, topicFilterProblem } from '../common/index.ts'
import type { Collect } from './findings.ts'
import { isRecord, items, shorten, validItems } from './loose.ts'
import type { Finding } from './problem.ts'
import { type RuleConfig, ruleSchema } from './schema/rule.ts'
import { readTarget, type TargetLimits } from './target-topic.ts'
import { findCircles } from './topic-rules.ts'
import type { TopicTemplate } from './topic-template.ts'

/** What a file of the largest size may just hold. */
const MAX_RULES = 10_000
const ANONYMOUS = 'anonymous'

/** The rules of a file, each for itself and all together. */
export function checkRules(file: Readonly<Record<string, unknown>>, limits: TargetLimits, wrong: Collect): void {
  const rules = validItems(ruleSchema, file['subscriptions'])
  if (rules.length > MAX_RULES) {
    wrong({ path: ['subscriptions'], message: `has ${rules.length} rules; ${MAX_RULES} are allowed` })
    return
  }
  checkNames(file, rules, wrong)
  const forwards: { source: string; target: TopicTemplate; text: string; index: number }[] = []
  const pairs = new Map<string, number>()
  for (const [index, rule] of rules.entries()) {
    if (rule === undefined) continue
    const [source, text] = [rule.source.topic, rule.target.topic]
    const path = ['subscriptions', index]
    const sourceProblem = topicFilterProblem(source, limits)
    if (sourceProblem !== null) {
      const message = `source topic (${shorten(source)}) invalid: it ${sourceProblem}`
      wrong({ path: [...path, 'source', 'topic'], message })
    }
    const target = readTarget(text, source, limits)
    if ('problem' in target) {
      // Of a source that is wrong nobody knows what its placeholders are.
      if (sourceProblem !== null && target.at > 0) continue
      const place = target.at > 0 ? ` (character ${target.at})` : ''
      const message = `target topic (${shorten(text)}) invalid: it ${target.problem}${place}`
      wrong({ path: [...path, 'target', 'topic'], message })
      continue
    }
    if (sourceProblem !== null) continue
    const pair = `${source}\0${JSON.stringify(target.parts)}`
    const first = pairs.get(pair)
    if (first === undefined) {
      pairs.set(pair, index)
      forwards.push({ source, target, text, index })
    } else {
      const message = `duplicate source and target config: ${source} -> ${text} is subscriptions[${first}] too`
      wrong({ path, message })
    }
  }
  const circles = findCircles(forwards)
  if (circles === null) {
    const message = 'overlap in too many ways to be searched for circles; use fewer {#} and wildcards'
    wrong({ path: ['subscriptions'], message })
  }
  for (const circle of circles ?? []) {
    const steps = circle.map(i => forwards[i]).filter(forward => forward !== undefined)
    const shown = steps.map(({ source, text }) => `${source} -> ${text}`).join(', ')
    const message = `found cycle in source and target config: ${shown}`
    wrong({ path: ['subscriptions', steps[0]?.index ?? 0], message })
  }
}

/** Principals that rules name. */
function checkNames(
  file: Readonly<Record<string, unknown>>,
  rules: readonly (RuleConfig | undefined)[],
  wrong: Collect,
): void {
  const names = namesOf(file)
  const checkName = (name: string, path: Finding['path']) => {
    if (name === '' || names === null || names.has(name)) return
    const nearest = nearestWord(name, names)
    const message = `is no principal of this file: ${shorten(name)}`
    wrong({ path, message, ...(nearest !== null && { suggestion: `did you mean ${nearest}?` }) })
  }
  for (const [index, rule] of rules.entries()) {
    if (rule === undefined) continue
    const path = ['subscriptions', index]
    checkName(rule.source.principal, [...path, 'source', 'principal'])
    checkName(rule.principal, [...path, 'principal'])
    if (rule.authorize && rule.principal === '') {
      const message = 'is true, but there is no principal beside it whose permissions count'
      wrong({ path: [...path, 'authorize'], message })
    }
    if (!rule.authorize && rule.principal !== '') {
      const message = 'has no effect without authorize: true'
      const suggestion = 'to take the messages of one principal only, see source.principal'
      wrong({ path: [...path, 'principal'], message, suggestion })
    }
  }
}

/** Whom rules may name; null: the file says nothing that can be understood. */
function namesOf(file: Readonly<Record<string, unknown>>): Set<string> | null {
  const principals = file['principals'] ?? []
  if (!Array.isArray(principals)) return null
  const names = new Set<string>()
  for (const principal of items(principals)) {
    const name = isRecord(principal) ? principal['username'] : undefined
    if (typeof name === 'string' && name !== '') names.add(name)
  }
  if ((file['anonymous'] ?? null) !== null) names.add(ANONYMOUS)
  return names
}

import { startsWithDollar, type TopicLimits, topicNameProblem } from '../common/index.ts'
import { leastOf, patternsOf, type TopicPattern, textLevel } from './topic-pattern.ts'
import {
  isTemplateProblem,
  parseTemplate,
  type TemplateKind,
  type TemplateProblem,
  type TopicTemplate,
} from './topic-template.ts'

const SYS = textLevel('$SYS').key
const BROKERS = { hub: 'hub', bridge: 'broker' } as const

/** What rules may do with topics. */
export interface TargetLimits extends TopicLimits {
  readonly kind: TemplateKind
  readonly isDollarAllowed: boolean
}

/**
 * The template of a target, or what is wrong with it, whatever its placeholders stand for: at a character from 1, or at 0 when it is wrong as a whole.
 */
export function readTarget(text: string, source: string, limits: TargetLimits): TopicTemplate | TemplateProblem {
  const template = parseTemplate(text, source, limits.kind)
  if (isTemplateProblem(template)) return template
  const [only] = template.parts
  if (template.isPlain && only?.kind === 'text') {
    const dollar = startsWithDollar(only.text) ? dollarProblem(patternsOf(template, source), limits) : null
    const problem = dollar ?? topicNameProblem(only.text, limits)
    return problem === null ? template : { problem, at: 0 }
  }
  const withoutPlaceholders = text.replace(PLACEHOLDER, found =>
    found.startsWith('\\') ? found : '.'.repeat(found.length),
  )
  const bad = withoutPlaceholders.search(NOT_IN_TOPIC)
  if (bad !== -1) return { problem: text[bad] === '\0' ? 'has a null character' : 'has a wildcard', at: bad + 1 }
  const patterns = patternsOf(template, source)
  const problem = dollarProblem(patterns, limits) ?? sizeProblem(patterns, limits)
  return problem === null ? template : { problem, at: 0 }
}

const PLACEHOLDER = /\\[{}]|\{[^}]*\}/g
const NOT_IN_TOPIC = /[+#\0]/

function dollarProblem(patterns: readonly TopicPattern[], limits: TargetLimits): string | null {
  if (!patterns.every(([first]) => first?.kind === 'level' && first.dollar === 'always')) return null
  if (!limits.isDollarAllowed) return 'begins with $, which limits.topic.dollar denies'
  const isSys = patterns.every(([first, ...below]) => first?.kind === 'level' && first.key === SYS && below.length > 0)
  return isSys ? `is below $SYS/, where nobody publishes but the ${BROKERS[limits.kind]} itself` : null
}

function sizeProblem(patterns: readonly TopicPattern[], { maxBytes, maxLevels }: TopicLimits): string | null {
  const least = patterns.map(leastOf)
  const levels = Math.min(...least.map(each => each.levels))
  if (levels > maxLevels) return `has too many levels (${levels} at least; ${maxLevels} are allowed)`
  const bytes = Math.min(...least.map(each => each.bytes))
  return bytes > maxBytes ? `has ${bytes} bytes at least; ${maxBytes} are allowed` : null
}

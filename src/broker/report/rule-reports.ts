import type { Rule } from '../../router/index.ts'
import type { Hub } from '../hub.ts'
import { mostOf } from './most.ts'

/** What a rule has done since it was made. */
export interface RuleReport {
  /** `source -> target`. */
  readonly name: string
  /** The topics of both, as in the configuration. */
  readonly source: string
  readonly target: string
  readonly matched: number
  readonly forwarded: number
  readonly dropped: number
  /** Why it dropped a message last; null: it never did. */
  readonly lastError: string | null
  /** Milliseconds since 1970. */
  readonly lastErrorAt: number | null
}

/** The rules that matched most, the first of them first. */
export function rulesOf(hub: Hub, limit = Number.POSITIVE_INFINITY): RuleReport[] {
  return mostOf(hub.state.rules.rules, limit, byMatched).map(reportOf)
}

function byMatched(a: Rule, b: Rule): number {
  return b.matched - a.matched
}

function reportOf({ config, name, matched, forwarded, dropped, lastError, lastErrorAt }: Rule): RuleReport {
  return {
    name,
    source: config.source.topic,
    target: config.target.topic,
    matched,
    forwarded,
    dropped,
    lastError: lastError === '' ? null : lastError,
    lastErrorAt: lastErrorAt === 0 ? null : lastErrorAt,
  }
}

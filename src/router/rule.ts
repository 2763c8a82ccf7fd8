import { isTemplateProblem, parseTemplate, type RuleConfig, type TopicTemplate } from '../config/index.ts'
import { RateLimit } from './rate-limit.ts'

/** A rule of the router and what it has done since it was made. */
export class Rule {
  readonly config: RuleConfig
  /** `source -> target`, for people. */
  readonly name: string
  readonly template: TopicTemplate
  limit: RateLimit | null
  /** Messages that it took, whatever became of them. */
  matched = 0
  forwarded = 0
  /** Beyond its limit, not permitted, or with nowhere to go. */
  dropped = 0
  /** Why it dropped a message last; empty: it never did. */
  lastError = ''
  /** Milliseconds since 1970; 0: never. */
  lastErrorAt = 0

  /** Throws a RangeError when the target is no template; the configuration sees to it that it is. */
  constructor(config: RuleConfig) {
    this.config = config
    this.name = `${config.source.topic} -> ${config.target.topic}`
    const template = parseTemplate(config.target.topic, config.source.topic)
    if (isTemplateProblem(template)) throw new RangeError(`target topic (${config.target.topic}) ${template.problem}`)
    this.template = template
    this.limit = config.limit === null ? null : new RateLimit(config.limit.rate, config.limit.burst)
  }

  /** It depends on who published. */
  get isPersonal(): boolean {
    return this.template.isPersonal || this.config.source.principal !== ''
  }

  /** Source and target, which no other rule has both. */
  get key(): string {
    return `${this.config.source.topic}\0${this.config.target.topic}`
  }

  /** QoS only goes down: what comes, or is taken, with 0 leaves with 0; the rest with no more than the target's. */
  qosFor(published: number): number {
    const { source, target } = this.config
    return Math.min(published, source.qos, target.qos)
  }

  /** Whether its copy is retained, of a message that came with this RETAIN flag. */
  retains(retain: boolean): boolean {
    const { retain: wanted } = this.config.target
    return wanted === 'set' || (wanted === 'keep' && retain)
  }

  drop(count: number, why: string): void {
    this.dropped += count
    this.lastError = why
    this.lastErrorAt = Date.now()
  }

  /** Goes on counting where another left off. */
  continues(other: Rule): void {
    const { limit } = this.config
    const before = other.config.limit
    if (limit?.rate === before?.rate && limit?.burst === before?.burst) this.limit = other.limit
    this.matched = other.matched
    this.forwarded = other.forwarded
    this.dropped = other.dropped
    this.lastError = other.lastError
    this.lastErrorAt = other.lastErrorAt
  }
}

import type { RuleConfig } from '../config/index.ts'
import { Rule } from './rule.ts'
import { SubscriptionTree } from './subscription-tree.ts'

/** All rules, found by the topic of a message. */
export class RuleTable {
  static readonly EMPTY = new RuleTable([])
  readonly rules: readonly Rule[]
  readonly #tree = new SubscriptionTree<Rule>()

  /** Rules that were in `before` too go on counting. */
  constructor(configs: readonly RuleConfig[], before: RuleTable | null = null) {
    const known = new Map((before?.rules ?? []).map(rule => [rule.key, rule]))
    this.rules = configs.map(config => {
      const rule = new Rule(config)
      const old = known.get(rule.key)
      if (old !== undefined) rule.continues(old)
      this.#tree.add(config.source.topic, rule, config.source.qos)
      return rule
    })
  }

  get isEmpty(): boolean {
    return this.rules.length === 0
  }

  /** Rules whose source matches the topic: the highest source QoS first, then the highest target QoS. */
  matching(topic: string): Rule[] {
    const found: Rule[] = []
    this.#tree.match(topic, rule => found.push(rule))
    return found.toSorted(
      (a, b) => b.config.source.qos - a.config.source.qos || b.config.target.qos - a.config.target.qos,
    )
  }
}

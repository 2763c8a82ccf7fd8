import type { Principal } from '../auth/index.ts'
import { type Rule, renderTopic, type TopicContext } from '../router/index.ts'
import type { Route } from './route.ts'

/** Who published, as far as rules ask. */
export interface Voice extends TopicContext {
  /** Name of the principal. */
  readonly principal: string
}

/** A principal without configuration has no name of its own: then it is who the client says it is. */
export function voiceOf(clientId: string, username: string | undefined, { name, source }: Principal): Voice {
  const known = source === 'embedder' ? (username ?? '') : source === 'anonymous' ? '' : name
  return { clientId, username: known, principal: name }
}

/** One copy of a message: where it goes, and the rules that want it there, the one that decides first. */
export interface Copy {
  readonly route: Route
  readonly rules: Rule[]
}

/** A rule that takes the message and can't forward it. */
export interface Refusal {
  readonly rule: Rule
  readonly why: string
}

/** What rules make of the messages of one topic. */
export interface Forwards {
  readonly matched: readonly Rule[]
  readonly copies: readonly Copy[]
  readonly refused: readonly Refusal[]
  /** Copies may meet again at one topic, by way of further rules: then messages are forwarded one by one. */
  readonly isForked: boolean
}

export interface Surroundings {
  readonly routeOf: (topic: string) => Route
  /** Whose permissions a rule with `authorize` is subject to. */
  readonly principalOf: (name: string) => Principal | undefined
}

const SHOWN = 100

/**
 * Decides for a topic and a publisher. `rules` match the topic, the one with the highest QoS first: of several with one
 * target the first decides [OpenEdge: one copy].
 */
export function forwardsOf(
  topic: string,
  rules: readonly Rule[],
  voice: Voice | null,
  { routeOf, principalOf }: Surroundings,
): Forwards {
  const matched: Rule[] = []
  const copies = new Map<string, Copy>()
  const refused: Refusal[] = []
  for (const rule of rules) {
    const { source, authorize, principal } = rule.config
    if (source.principal !== '' && source.principal !== voice?.principal) continue
    matched.push(rule)
    const target = renderTopic(rule.template, source.topic, topic, voice)
    if (typeof target !== 'string') {
      refused.push({ rule, why: target.problem })
      continue
    }
    const route = routeOf(target)
    const spokesman = authorize ? principalOf(principal) : undefined
    if (route.problem !== null) {
      refused.push({ rule, why: `target topic (${shown(target)}) invalid: it ${route.problem}` })
    } else if (authorize && spokesman?.maySubscribe(topic) !== true) {
      refused.push({ rule, why: `topic (${shown(topic)}) not permitted to subscribe for principal (${principal})` })
    } else if (authorize && spokesman?.mayPublish(target) !== true) {
      refused.push({
        rule,
        why: `target topic (${shown(target)}) not permitted to publish for principal (${principal})`,
      })
    } else {
      const copy = copies.get(target)
      if (copy === undefined) copies.set(target, { route, rules: [rule] })
      else copy.rules.push(rule)
    }
  }
  const made = [...copies.values()]
  const isForked = made.length > 1 && made.some(({ route }) => route.rules.length > 0)
  return { matched, copies: made, refused, isForked }
}

function shown(topic: string): string {
  return topic.length > SHOWN ? `${topic.slice(0, SHOWN)}...` : topic
}

import { type ForestSource, type Publisher, SourceForest } from './source-forest.ts'
import type { Places } from './source-tree.ts'
import { patternsOf, type TopicPattern } from './topic-pattern.ts'
import type { TopicTemplate } from './topic-template.ts'

/** Source filter and target of a rule, both valid, and where they are when there are several brokers. */
export interface Forward {
  readonly source: string
  readonly target: TopicTemplate
  /** Where it takes messages, and by which client; the principal is the one whose messages it takes only. */
  readonly from?: End
  /** Where it publishes, and by which client, and as whom. */
  readonly to?: End
}

/** A broker, and what is known of somebody there. Empty: the only broker, no client that is to be told from others, anybody. */
interface End {
  readonly broker: string
  readonly client: string
  readonly principal: string
}

/** After so many circles the rest is more of the same. */
const MAX_CIRCLES = 20
/** Circles that are looked at: many may be made of the same rules. */
const MAX_SEEN = 1000
/** What the search may take: about a second, and 100 MB. Ten thousand rules rarely take a tenth of it. */
const MAX_STEPS = 2_000_000

const ONLY_BROKER: End = { broker: '', client: '', principal: '' }
const NOBODY: Publisher = { writer: '', principal: '' }

class Entangled extends Error {}

/**
 * Circles among rules: a message that came back to where it was taken would run for ever. A rule leads to another when the
 * other takes a topic that its target may be, whatever the placeholders stand for: from the same broker, not by the client
 * that published it, and not of another principal only.
 *
 * @returns for each circle, the positions of its rules in `forwards`, each rule leading to the next and the last to the first,
 * which is the one with the lowest position. There are some when there is any, but not every one. Null: the topics overlap in
 * so many ways that it would take too long to tell.
 */
export function findCircles(forwards: readonly Forward[]): number[][] | null {
  const circles = new Map<string, number[]>()
  let seen = 0
  try {
    new RuleGraph(forwards).search(path => {
      const circle = fromLowest(path)
      circles.set(circle.join(), circle)
      return circles.size < MAX_CIRCLES && ++seen < MAX_SEEN
    })
  } catch (thrown) {
    if (!(thrown instanceof Entangled)) throw thrown
    if (circles.size === 0) return null
  }
  return [...circles.values()]
}

function fromLowest(circle: readonly number[]): number[] {
  const first = circle.indexOf(circle.reduce((a, b) => Math.min(a, b)))
  return [...circle.slice(first), ...circle.slice(0, first)]
}

/** What is published under a target. */
interface Published {
  readonly patterns: readonly TopicPattern[]
  readonly broker: string
  readonly publisher: Publisher
}

/**
 * Sources, targets and the places between them, by numbers: a source leads to the targets of its rules, a target to the
 * places where sources end that take it, and a place to its sources. So rules of the same source, or of the same target,
 * share what follows.
 */
class RuleGraph {
  /** What each node leads to; null: not looked up yet. */
  readonly #next: (readonly number[] | null)[] = []
  /** Of each source, the rules that lead to its targets. */
  readonly #rules: number[][] = []
  readonly #published = new Map<number, Published>()
  readonly #forests = new Map<string, SourceForest>()
  #steps = 0

  constructor(forwards: readonly Forward[]) {
    const sources = new Map<string, number>()
    const byBroker = new Map<string, { sources: ForestSource[]; writers: Set<string> }>()
    const brokerOf = (name: string) => {
      let broker = byBroker.get(name)
      if (broker === undefined) byBroker.set(name, (broker = { sources: [], writers: new Set() }))
      return broker
    }
    const targetsOf: number[][] = []
    const sourceOfRule = forwards.map(({ source: filter, from = ONLY_BROKER }) => {
      const { broker, client: reader, principal } = from
      const key = [broker, reader, principal, filter].join('\0')
      const known = sources.get(key)
      if (known !== undefined) return known
      const targets: number[] = []
      const node = this.#add(targets)
      targetsOf.push(targets)
      this.#rules.push([])
      sources.set(key, node)
      brokerOf(broker).sources.push({ filter, node, reader, principal })
      return node
    })
    const targets = new Map<string, number>()
    for (const [rule, { source, target, to = ONLY_BROKER }] of forwards.entries()) {
      const { broker, client: writer, principal } = to
      const patterns = patternsOf(target, source)
      const shape = patterns.map(pattern => pattern.map(element => element.key).join('/'))
      const key = [broker, writer, principal, ...shape].join('\0')
      let node = targets.get(key)
      if (node === undefined) {
        targets.set(key, (node = this.#add(null)))
        this.#published.set(node, { patterns, broker, publisher: { writer, principal } })
        brokerOf(broker).writers.add(writer)
      }
      const number = sourceOfRule[rule] as number
      targetsOf[number]?.push(node)
      this.#rules[number]?.push(rule)
    }
    const places: Places = {
      ofSource: source => source,
      ofAll: all => this.#add(all),
      spend: steps => {
        this.#steps += steps
        if (this.#steps > MAX_STEPS) throw new Entangled()
      },
    }
    for (const [name, broker] of byBroker) {
      this.#forests.set(name, new SourceForest(broker.sources, broker.writers, places))
    }
  }

  #add(next: readonly number[] | null): number {
    return this.#next.push(next) - 1
  }

  /** Walks along every edge once. Tells of circles, by their rules, until `found` says that it has enough. */
  search(found: (rules: number[]) => boolean): void {
    const onPath = new Map<number, number>() // where
    const done = new Set<number>()
    for (let start = 0; start < this.#rules.length; start++) {
      if (done.has(start)) continue
      const path = [{ node: start, at: 0 }]
      onPath.set(start, 0)
      for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
        const node = this.#following(last.node)[last.at++]
        if (node === undefined) {
          done.add(last.node)
          onPath.delete(last.node)
          path.pop()
          continue
        }
        const back = onPath.get(node)
        if (back !== undefined) {
          const rules = path.slice(back).map(step => this.#rules[step.node]?.[step.at - 1])
          if (!found(rules.filter(rule => rule !== undefined))) return
        } else if (!done.has(node)) {
          onPath.set(node, path.length)
          path.push({ node, at: 0 })
        }
      }
    }
  }

  #following(node: number): readonly number[] {
    let next = this.#next[node]
    if (next === null || next === undefined) {
      const { patterns = [], broker = '', publisher = NOBODY } = this.#published.get(node) ?? {}
      const forest = this.#forests.get(broker)
      next = patterns.flatMap(pattern => forest?.matching(pattern, publisher) ?? [])
      this.#next[node] = next
    }
    return next
  }
}

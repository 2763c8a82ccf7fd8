import { SourceTree } from './source-tree.ts'
import { patternsOf, type TopicPattern } from './topic-pattern.ts'
import type { TopicTemplate } from './topic-template.ts'

/** Source filter and target of a rule, both valid. */
export interface Forward {
  readonly source: string
  readonly target: TopicTemplate
}

/** After so many circles the rest is more of the same. */
const MAX_CIRCLES = 20
/** Circles that are looked at: many may be made of the same rules. */
const MAX_SEEN = 1000
/** What the search may take: about a second, and 100 MB. Ten thousand rules rarely take a tenth of it. */
const MAX_STEPS = 2_000_000

class Entangled extends Error {}

/**
 * Circles among rules: a message that came back to where it was taken would run for ever. A rule leads to another when the
 * other takes a topic that its target may be, whatever the placeholders stand for.
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
  readonly #patterns = new Map<number, TopicPattern[]>()
  readonly #tree: SourceTree
  #steps = 0

  constructor(forwards: readonly Forward[]) {
    const sources = new Map<string, number>()
    for (const { source } of forwards) if (!sources.has(source)) sources.set(source, sources.size)
    const targetsOf = Array.from(sources, (): number[] => [])
    this.#rules = targetsOf.map(() => [])
    this.#next.push(...targetsOf)
    const targets = new Map<string, number>()
    for (const [rule, { source, target }] of forwards.entries()) {
      const patterns = patternsOf(target, source)
      const key = patterns.map(pattern => pattern.map(element => element.key).join('/')).join('\0')
      let node = targets.get(key)
      if (node === undefined) {
        targets.set(key, (node = this.#add(null)))
        this.#patterns.set(node, patterns)
      }
      const number = sources.get(source) as number
      targetsOf[number]?.push(node)
      this.#rules[number]?.push(rule)
    }
    this.#tree = new SourceTree([...sources.keys()], {
      ofSource: source => source,
      ofAll: places => this.#add(places),
      spend: steps => {
        this.#steps += steps
        if (this.#steps > MAX_STEPS) throw new Entangled()
      },
    })
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
      next = (this.#patterns.get(node) ?? []).flatMap(pattern => this.#tree.matching(pattern))
      this.#next[node] = next
    }
    return next
  }
}

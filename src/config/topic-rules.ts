import { startsWithDollar } from '../common/index.ts'

/** Source filter and target topic of a rule, both valid. */
export interface Forward {
  readonly source: string
  readonly target: string
}

/** After so many circles the rest is more of the same. */
const MAX_CIRCLES = 20

/**
 * Circles among rules: a message that came back to where it was taken would run for ever. A rule leads to another when its
 * target is a topic that the other takes.
 *
 * @returns for each circle, the positions of its rules in `forwards`, each rule leading to the next and the last to the first.
 * There are some when there is any, but not every one.
 */
export function findCircles(forwards: readonly Forward[]): number[][] {
  const sources = new SourceTree(forwards)
  const following = (rule: number) => sources.rulesOf(forwards[rule]?.target ?? '')
  const state = new Uint8Array(forwards.length) // 0 not seen, 1 on the path, 2 done
  const circles: number[][] = []
  for (let start = 0; start < forwards.length && circles.length < MAX_CIRCLES; start++) {
    if (state[start] !== 0) continue
    state[start] = 1
    const path = [{ rule: start, next: following(start) }]
    for (let last = path.at(-1); last !== undefined && circles.length < MAX_CIRCLES; last = path.at(-1)) {
      const rule = last.next.pop()
      if (rule === undefined) {
        state[last.rule] = 2
        path.pop()
      } else if (state[rule] === 0) {
        state[rule] = 1
        path.push({ rule, next: following(rule) })
      } else if (state[rule] === 1) {
        circles.push(path.slice(path.findIndex(step => step.rule === rule)).map(step => step.rule))
      }
    }
  }
  return circles
}

interface Level {
  readonly children: Map<string, Level>
  /** Rules whose source ends at this level. */
  readonly rules: number[]
}

/** The sources of all rules, level by level. */
class SourceTree {
  readonly #root: Level = { children: new Map(), rules: [] }

  constructor(forwards: readonly Forward[]) {
    for (const [i, { source }] of forwards.entries()) {
      let level = this.#root
      for (const name of source.split('/')) {
        let child = level.children.get(name)
        if (child === undefined) level.children.set(name, (child = { children: new Map(), rules: [] }))
        level = child
      }
      level.rules.push(i)
    }
  }

  /** Rules that take messages published to `topic`. A new array. */
  rulesOf(topic: string): number[] {
    const rules: number[] = []
    const names = topic.split('/')
    let levels: Level[] = [this.#root]
    for (const [depth, name] of names.entries()) {
      // Wildcards at the first level don't reach below $ [MQTT-4.7.2-1].
      const wildcards = depth > 0 || !startsWithDollar(topic)
      const next: Level[] = []
      for (const { children } of levels) {
        if (wildcards) rules.push(...(children.get('#')?.rules ?? []))
        const matching = wildcards ? [children.get(name), children.get('+')] : [children.get(name)]
        for (const child of matching) if (child !== undefined) next.push(child)
      }
      levels = next
    }
    // A filter that ends in /# also matches the level above it.
    for (const level of levels) rules.push(...level.rules, ...(level.children.get('#')?.rules ?? []))
    return rules
  }
}

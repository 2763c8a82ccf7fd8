import { NameIndex } from './name-index.ts'
import { canBe, type PatternLevel, type TopicPattern } from './topic-pattern.ts'

/** Numbers the places of {@link SourceTree} where sources end, so that they can be the nodes of a graph. */
export interface Places {
  /** A place where the source with this number ends. */
  ofSource(source: number): number
  /** A place that is all of these. */
  ofAll(places: readonly number[]): number
  /** Called before so many steps, of which each takes memory; may throw when there have been too many. */
  spend(steps: number): void
}

/**
 * The source filters of rules, level by level. A topic pattern may go down to many levels of the tree at once; these become
 * one level then, made when it is asked for, kept for the next pattern, and sharing what is below with the levels it is
 * made of. So thousands of patterns that each match thousands of sources take no millions of steps.
 */
export class SourceTree {
  readonly #root: Level
  readonly #places: Places

  constructor(sources: readonly string[], places: Places) {
    this.#places = places
    this.#root = Level.single(places)
    for (const [i, source] of sources.entries()) {
      let level = this.#root
      for (const name of source.split('/')) level = level.grow(name)
      level.end(i)
    }
  }

  /** Where the sources end that may take a topic of this pattern. */
  matching(pattern: TopicPattern): number[] {
    const places: number[] = []
    const end = (level: Level | undefined) => {
      const place = level?.place() ?? null
      if (place !== null) places.push(place)
    }
    let levels: Level[] = [this.#root]
    for (const element of pattern) {
      this.#places.spend(levels.length)
      const next: Level[] = []
      for (const level of levels) {
        const isRoot = level === this.#root
        if (element.kind === 'gap') {
          if (isRoot) next.push(level)
          // Below the root wildcards take what begins with $ too.
          for (const below of isRoot ? level.all() : [level]) next.push(below.deep())
          continue
        }
        const wildcards = !isRoot || element.dollar !== 'always'
        if (wildcards) end(level.children().get('#'))
        next.push(...level.below(element, wildcards))
      }
      levels = next
    }
    for (const level of levels) {
      // No topic has no levels: at the root there are some that are not known, which # takes.
      if (level !== this.#root) end(level)
      // A filter that ends in /# also takes the level above it.
      end(level.children().get('#'))
    }
    return places
  }
}

type Children = ReadonlyMap<string, Level>

/** A level of the tree, or several that are taken for one. */
class Level {
  readonly #places: Places
  readonly #parts: readonly Level[]
  #children: Map<string, Level> | null
  #source: number | null = null
  /** Undefined: not known yet. Null: no source ends here. */
  #place: number | null | undefined
  #deep: Level | null = null
  #names: NameIndex | null = null
  readonly #leads = new Map<string, readonly Level[]>()

  private constructor(places: Places, parts: readonly Level[]) {
    this.#places = places
    this.#parts = parts
    this.#children = parts.length === 0 ? new Map() : null
  }

  static single(places: Places): Level {
    return new Level(places, [])
  }

  #mergeOf(parts: readonly Level[]): Level {
    const [first] = parts
    return parts.length === 1 && first !== undefined ? first : new Level(this.#places, parts)
  }

  /** The child of that name, made when it is absent. */
  grow(name: string): Level {
    const children = (this.#children ??= new Map<string, Level>())
    let child = children.get(name)
    if (child === undefined) children.set(name, (child = Level.single(this.#places)))
    return child
  }

  end(source: number): void {
    this.#source = source
  }

  children(): Children {
    if (this.#children !== null) return this.#children
    const lists = new Map<string, Level[]>()
    for (const part of this.#parts) {
      const children = part.children()
      this.#places.spend(children.size + 1)
      for (const [name, child] of children) {
        const list = lists.get(name)
        if (list === undefined) lists.set(name, [child])
        else list.push(child)
      }
    }
    this.#children = new Map()
    for (const [name, list] of lists) this.#children.set(name, this.#mergeOf(list))
    return this.#children
  }

  /** The place where its sources end; null when none does. */
  place(): number | null {
    if (this.#place !== undefined) return this.#place
    if (this.#parts.length === 0) {
      this.#place = this.#source === null ? null : this.#places.ofSource(this.#source)
    } else {
      const places = this.#parts.map(part => part.place()).filter(place => place !== null)
      const [first = null] = places
      this.#place = places.length > 1 ? this.#places.ofAll(places) : first
    }
    return this.#place
  }

  /** The levels that a level of a pattern leads to. */
  below(level: PatternLevel, wildcards: boolean): readonly Level[] {
    const [first = '', ...others] = level.pieces
    const children = this.children()
    const found = wildcards ? [children.get('+')] : []
    if (others.length === 0) {
      found.push(children.get(first))
      return found.filter(child => child !== undefined)
    }
    return this.#lead(level.key, () => {
      this.#names ??= new NameIndex(children.keys())
      for (const name of this.#names.like(first, others.at(-1) ?? '')) {
        if (name !== '+' && name !== '#' && canBe(level, name)) found.push(children.get(name))
      }
      return found
    })
  }

  /** All levels below it, as one. */
  all(): readonly Level[] {
    return this.#lead('', () => [...this.children()].map(([name, child]) => (name === '#' ? undefined : child)))
  }

  /** The children that are found, as one; none when there are none. What has the same key finds the same. */
  #lead(key: string, find: () => (Level | undefined)[]): readonly Level[] {
    let lead = this.#leads.get(key)
    if (lead === undefined) {
      const found = find().filter(child => child !== undefined)
      lead = found.length === 0 ? [] : [this.#mergeOf(found)]
      this.#leads.set(key, lead)
    }
    return lead
  }

  /** It and all levels below it as one. */
  deep(): Level {
    if (this.#deep !== null) return this.#deep
    const levels: Level[] = [this]
    for (let i = 0; i < levels.length; i++) {
      this.#places.spend(1)
      for (const [name, child] of (levels[i] as Level).children()) if (name !== '#') levels.push(child)
    }
    this.#deep = this.#mergeOf(levels)
    return this.#deep
  }
}

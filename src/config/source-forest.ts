import { type Places, SourceTree } from './source-tree.ts'
import type { TopicPattern } from './topic-pattern.ts'

/** A source filter of a broker, and who takes messages by it. */
export interface ForestSource {
  readonly filter: string
  /** The node of the graph that it is. */
  readonly node: number
  /** The client that subscribes with it; empty: none, so that it takes messages of every client. */
  readonly reader: string
  /** The principal whose messages it takes only; empty: everybody's. */
  readonly principal: string
}

/** Who publishes; empty: nobody knows. */
export interface Publisher {
  readonly writer: string
  readonly principal: string
}

/**
 * The source filters of one broker, searched without those of the client that publishes: a broker sends nothing back to
 * where it came from. There may be hundreds of such clients, so no tree is made for each of them to be without: trees are of
 * one client, of two, of four and so on, and a search takes the few that make up all the others.
 */
export class SourceForest {
  /** By the principal that they take messages of; trees of everybody's first. */
  readonly #groups = new Map<string, Group>()

  /** @param writers clients that publish to this broker */
  constructor(sources: readonly ForestSource[], writers: ReadonlySet<string>, places: Places) {
    for (const [principal, members] of groupBy(sources, source => source.principal)) {
      this.#groups.set(principal, new Group(members, writers, places))
    }
  }

  /** Where the sources end that may take a topic of this pattern from this publisher. */
  matching(pattern: TopicPattern, { writer, principal }: Publisher): number[] {
    const places: number[] = []
    for (const [wanted, group] of this.#groups) {
      if (wanted !== '' && principal !== '' && wanted !== principal) continue
      for (const tree of group.without(writer)) places.push(...tree.matching(pattern))
    }
    return places
  }
}

class Group {
  readonly #places: Places
  readonly #clients: readonly (readonly ForestSource[])[]
  /** Where the sources of a client that publishes as well stand in the list. */
  readonly #position = new Map<string, number>()
  /** By the range of clients that they are of. */
  readonly #trees = new Map<string, SourceTree>()

  constructor(sources: readonly ForestSource[], writers: ReadonlySet<string>, places: Places) {
    this.#places = places
    // Those who never publish need not be told apart.
    const clients = groupBy(sources, ({ reader }) => (writers.has(reader) ? reader : ''))
    this.#clients = [...clients.values()]
    for (const [position, client] of [...clients.keys()].entries()) {
      if (client !== '') this.#position.set(client, position)
    }
  }

  /** Trees that have all sources but those of this client. */
  *without(client: string): Generator<SourceTree> {
    const position = this.#position.get(client)
    let [start, end] = [0, this.#clients.length]
    if (position === undefined) {
      yield this.#tree(start, end)
      return
    }
    while (end - start > 1) {
      const middle = (start + end) >>> 1
      if (position < middle) {
        yield this.#tree(middle, end)
        end = middle
      } else {
        yield this.#tree(start, middle)
        start = middle
      }
    }
  }

  #tree(start: number, end: number): SourceTree {
    const key = `${start}-${end}`
    let tree = this.#trees.get(key)
    if (tree === undefined) {
      const sources = this.#clients.slice(start, end).flat()
      this.#places.spend(sources.length)
      this.#trees.set(key, (tree = treeOf(sources, this.#places)))
    }
    return tree
  }
}

function treeOf(sources: readonly ForestSource[], places: Places): SourceTree {
  const nodes = [...groupBy(sources, ({ filter }) => filter)].map(([filter, alike]) => ({
    filter,
    nodes: alike.map(({ node }) => node),
  }))
  return new SourceTree(
    nodes.map(({ filter }) => filter),
    {
      ...places,
      ofSource(source) {
        const alike = nodes[source]?.nodes ?? []
        const [only] = alike
        return alike.length === 1 && only !== undefined ? only : places.ofAll(alike)
      },
    },
  )
}

function groupBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}

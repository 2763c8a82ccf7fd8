import { GatewayError, startsWithDollar, topicFilterProblem } from '../common/index.ts'

const UNLIMITED = { maxBytes: Number.POSITIVE_INFINITY, maxLevels: Number.POSITIVE_INFINITY }

/** One level of the permits. Every permit is one path from the root, so no node can be reached in two ways. */
class PermitNode {
  /** The next level, spelled out. Names come from a file, hence a Map. */
  readonly children = new Map<string, PermitNode>()
  /** The next level as `+`. */
  plus: PermitNode | null = null
  /** True when a permit goes on with `#` here: this level itself and all below it. */
  hash = false
  /** True when a permit ends here. */
  end = false
}

/**
 * What one principal may do with one action: topic filters, of which one must cover what is asked for.
 *
 * A filter that is asked for is covered only by a single permit: with `a/b` and `a/c` permitted, `a/+` is not, however
 * few topics there are; unions of permits are not computed. Level by level, `#` covers everything from there on and the
 * level above it; `+` covers one level, an empty one and an asked for `+` included; any other level covers itself.
 * An asked for `#` is covered by nothing but `#`: `a/+` does not open `a/#`.
 *
 * A wildcard as the first level does not cover what starts with `$`; such topics have to be permitted by name, as in
 * `$SYS/#` [MQTT-4.7.2-1].
 */
export class PermitTree {
  readonly #root: PermitNode

  private constructor(root: PermitNode) {
    this.#root = root
  }

  /** Throws `ERR_AUTH_BAD_PERMIT` when one of `filters` is not a topic filter. */
  static compile(filters: readonly string[]): PermitTree {
    const root = new PermitNode()
    for (const filter of filters) {
      const problem = topicFilterProblem(filter, UNLIMITED)
      if (problem !== null) throw new GatewayError('ERR_AUTH_BAD_PERMIT', `permit ${JSON.stringify(filter)} ${problem}`)
      insert(root, filter)
    }
    return new PermitTree(root)
  }

  /** `topic` is a valid topic name: it has no wildcards. */
  allowsTopic(topic: string): boolean {
    return covers(this.#root, topic)
  }

  /** `filter` is a valid topic filter. */
  allowsFilter(filter: string): boolean {
    return covers(this.#root, filter)
  }
}

function insert(root: PermitNode, filter: string): void {
  let node = root
  for (const level of filter.split('/')) {
    if (level === '#') {
      node.hash = true
      return
    }
    if (level === '+') {
      node.plus ??= new PermitNode()
      node = node.plus
      continue
    }
    let child = node.children.get(level)
    if (child === undefined) {
      child = new PermitNode()
      node.children.set(level, child)
    }
    node = child
  }
  node.end = true
}

/**
 * Walks all permits at once, one level after the other. `nodes` are those reached so far; a node has one parent, so it
 * is in there once at most and the work is bounded by the size of the tree, whatever is asked for.
 */
function covers(root: PermitNode, asked: string): boolean {
  let nodes: PermitNode[] = [root]
  // [MQTT-4.7.2-1] a leading wildcard does not match a leading `$`.
  let namedOnly = startsWithDollar(asked)
  let start = 0
  while (start <= asked.length) {
    const slash = asked.indexOf('/', start)
    const stop = slash === -1 ? asked.length : slash
    const level = asked.slice(start, stop)
    const next: PermitNode[] = []
    for (const node of nodes) {
      if (!namedOnly) {
        if (node.hash) return true
        if (level === '#') continue
        if (node.plus !== null) next.push(node.plus)
      }
      // No child is called `+`: an asked for `+` finds none.
      const child = node.children.get(level)
      if (child !== undefined) next.push(child)
    }
    if (next.length === 0) return false
    nodes = next
    namedOnly = false
    start = stop + 1
  }
  return nodes.some(node => node.end || node.hash)
}

import { startsWithDollar } from '../common/index.ts'

class Node<S> {
  /** Children by level; `+` and `#` stand apart because every match visits them. */
  children: Map<string, Node<S>> | null = null
  plus: Node<S> | null = null
  hash: Node<S> | null = null
  /** Who subscribed with the filter that ends here, with the granted QoS. */
  subscribers: Map<S, number> | null = null

  isEmpty(): boolean {
    return this.children === null && this.plus === null && this.hash === null && this.subscribers === null
  }
}

/** Called for every subscription that matches; one subscriber may come several times, once a filter. */
export type Visit<S> = (subscriber: S, qos: number) => void

/**
 * Topic filters and who holds them. Matching costs what it finds: one map look-up a level and a visit of the `+` and
 * `#` beside it. Filters are taken as valid: check them with topicFilterProblem first.
 */
export class SubscriptionTree<S> {
  readonly #root = new Node<S>()
  #size = 0

  /** How many (filter, subscriber) pairs are held. */
  get size(): number {
    return this.#size
  }

  /** Adds a subscription, or replaces its QoS [MQTT-3.8.4-3]. Returns true when it is new. */
  add(filter: string, subscriber: S, qos: number): boolean {
    let node = this.#root
    for (const level of filter.split('/')) node = descend(node, level)
    node.subscribers ??= new Map()
    const isNew = !node.subscribers.has(subscriber)
    node.subscribers.set(subscriber, qos)
    if (isNew) this.#size++
    return isNew
  }

  /** Removes a subscription and what it leaves empty. Returns false when there was none. */
  remove(filter: string, subscriber: S): boolean {
    const levels = filter.split('/')
    const path: Node<S>[] = [this.#root]
    for (const level of levels) {
      const next = childOf(path[path.length - 1] as Node<S>, level)
      if (next === null) return false
      path.push(next)
    }
    const leaf = path[path.length - 1] as Node<S>
    if (leaf.subscribers === null || !leaf.subscribers.delete(subscriber)) return false
    this.#size--
    if (leaf.subscribers.size === 0) leaf.subscribers = null
    for (let i = path.length - 1; i > 0 && (path[i] as Node<S>).isEmpty(); i--) {
      detach(path[i - 1] as Node<S>, levels[i - 1] as string)
    }
    return true
  }

  /**
   * Visits every subscription whose filter matches the topic name [MQTT-4.7.1-2] [MQTT-4.7.1-3]. A filter that starts
   * with a wildcard does not match topics that start with $ [MQTT-4.7.2-1], unless `dollarToo`.
   */
  match(topic: string, visit: Visit<S>, dollarToo = false): void {
    matchFrom(this.#root, topic.split('/'), 0, !dollarToo && startsWithDollar(topic), visit)
  }
}

function descend<S>(node: Node<S>, level: string): Node<S> {
  if (level === '+') {
    node.plus ??= new Node()
    return node.plus
  }
  if (level === '#') {
    node.hash ??= new Node()
    return node.hash
  }
  node.children ??= new Map()
  let child = node.children.get(level)
  if (child === undefined) {
    child = new Node()
    node.children.set(level, child)
  }
  return child
}

function childOf<S>(node: Node<S>, level: string): Node<S> | null {
  if (level === '+') return node.plus
  if (level === '#') return node.hash
  return node.children?.get(level) ?? null
}

function detach<S>(parent: Node<S>, level: string): void {
  if (level === '+') parent.plus = null
  else if (level === '#') parent.hash = null
  else if (parent.children !== null) {
    parent.children.delete(level)
    if (parent.children.size === 0) parent.children = null
  }
}

function matchFrom<S>(node: Node<S>, levels: string[], depth: number, noWildcards: boolean, visit: Visit<S>): void {
  if (!noWildcards && node.hash !== null) visitAll(node.hash, visit)
  if (depth === levels.length) {
    if (node.subscribers !== null) visitAll(node, visit)
    return
  }
  if (node.children !== null) {
    const child = node.children.get(levels[depth] as string)
    if (child !== undefined) matchFrom(child, levels, depth + 1, false, visit)
  }
  if (!noWildcards && node.plus !== null) matchFrom(node.plus, levels, depth + 1, false, visit)
}

function visitAll<S>(node: Node<S>, visit: Visit<S>): void {
  if (node.subscribers === null) return
  for (const [subscriber, qos] of node.subscribers) visit(subscriber, qos)
}

class Node<V> {
  children: Map<string, Node<V>> | null = null
  value: V | undefined = undefined
}

/**
 * Values by topic name, found by topic filter: the index of retained messages. A look-up costs what the filter
 * matches, not what is stored.
 */
export class TopicTree<V> {
  readonly #root = new Node<V>()
  #size = 0

  /** How many topics have a value. */
  get size(): number {
    return this.#size
  }

  get(topic: string): V | undefined {
    let node: Node<V> | undefined = this.#root
    for (const level of topic.split('/')) {
      node = node.children?.get(level)
      if (node === undefined) return undefined
    }
    return node.value
  }

  /** Sets the value of a topic; returns the one it replaces. */
  set(topic: string, value: V): V | undefined {
    let node = this.#root
    for (const level of topic.split('/')) {
      node.children ??= new Map()
      let child = node.children.get(level)
      if (child === undefined) {
        child = new Node()
        node.children.set(level, child)
      }
      node = child
    }
    const old = node.value
    node.value = value
    if (old === undefined) this.#size++
    return old
  }

  /** Removes the value of a topic and returns it. */
  delete(topic: string): V | undefined {
    const levels = topic.split('/')
    const path: Node<V>[] = [this.#root]
    for (const level of levels) {
      const next = (path[path.length - 1] as Node<V>).children?.get(level)
      if (next === undefined) return undefined
      path.push(next)
    }
    const leaf = path[path.length - 1] as Node<V>
    const old = leaf.value
    if (old === undefined) return undefined
    leaf.value = undefined
    this.#size--
    for (let i = path.length - 1; i > 0; i--) {
      const node = path[i] as Node<V>
      if (node.value !== undefined || node.children !== null) break
      const parent = path[i - 1] as Node<V>
      parent.children?.delete(levels[i - 1] as string)
      if (parent.children?.size === 0) parent.children = null
    }
    return old
  }

  /** Visits the value of every topic that the filter matches. */
  match(filter: string, visit: (value: V) => void): void {
    matchFrom(this.#root, filter.split('/'), 0, visit)
  }
}

function matchFrom<V>(node: Node<V>, levels: string[], depth: number, visit: (value: V) => void): void {
  if (depth === levels.length) {
    if (node.value !== undefined) visit(node.value)
    return
  }
  const level = levels[depth] as string
  if (level === '#') {
    visitBelow(node, depth === 0, visit)
  } else if (level === '+') {
    if (node.children === null) return
    for (const [name, child] of node.children) {
      // A leading wildcard does not match topics that start with $ [MQTT-4.7.2-1].
      if (depth === 0 && name.charCodeAt(0) === 36) continue
      matchFrom(child, levels, depth + 1, visit)
    }
  } else {
    const child = node.children?.get(level)
    if (child !== undefined) matchFrom(child, levels, depth + 1, visit)
  }
}

function visitBelow<V>(node: Node<V>, atRoot: boolean, visit: (value: V) => void): void {
  if (node.value !== undefined) visit(node.value) // `a/#` matches `a` too [MQTT-4.7.1-2]
  if (node.children === null) return
  for (const [name, child] of node.children) {
    if (atRoot && name.charCodeAt(0) === 36) continue
    visitBelow(child, false, visit)
  }
}

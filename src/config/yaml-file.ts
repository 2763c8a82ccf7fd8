import { type Alias, isAlias, isCollection, isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml'
import { messageOf } from '../common/index.ts'

/** A problem at a place in the text, in UTF-16 units. */
export interface PlacedMessage {
  readonly offset: number
  readonly message: string
}

/** A YAML file as a tree of nodes that know their place. */
export interface YamlFile {
  readonly text: string
  /** Null when the file is empty. */
  readonly root: Node | null
  /** What each alias stands for. */
  readonly aliases: ReadonlyMap<Alias, Node>
  /** The text is not YAML: the tree may be anything. */
  readonly syntaxErrors: readonly PlacedMessage[]
  /** Keys that occur twice, aliases of nothing. */
  readonly errors: readonly PlacedMessage[]
  readonly warnings: readonly PlacedMessage[]
  position(offset: number): { line: number; column: number }
}

export function parseYaml(text: string): YamlFile {
  const lines = new LineCounter()
  const syntaxErrors: PlacedMessage[] = []
  const errors: PlacedMessage[] = []
  const warnings: PlacedMessage[] = []
  const aliases = new Map<Alias, Node>()
  let root: Node | null = null
  try {
    // The library compares each key with every other of its map: quadratic. Duplicates are found below instead.
    const document = withoutEnvironment(() =>
      parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false }),
    )
    root = document.contents
    for (const { code, message, pos } of document.errors) {
      const several = code === 'MULTIPLE_DOCS'
      syntaxErrors.push({ offset: pos[0], message: several ? 'a second YAML document begins here' : readable(message) })
    }
    for (const warning of document.warnings) warnings.push({ offset: warning.pos[0], message: warning.message })
  } catch (error) {
    syntaxErrors.push({ offset: 0, message: readable(messageOf(error)) })
  }
  const position = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  if (syntaxErrors.length === 0) walk(root, aliases, errors, position)
  return { text, root, aliases, syntaxErrors: firstOfLines(syntaxErrors, position), errors, warnings, position }
}

/**
 * The library looks into process.env for each token, whether to print it. Each look is a call of the system's library:
 * a fifth of the time that ten thousand rules take to parse.
 */
function withoutEnvironment<T>(parse: () => T): T {
  const { env } = process
  process.env = {}
  try {
    return parse()
  } finally {
    process.env = env
  }
}

/** The library recurses, and reports where the text is nested too deeply for its stack. */
function readable(message: string): string {
  return message.includes('call stack') ? 'is nested too deeply' : message
}

/** Behind the first error of a line the parser has lost its way. */
function firstOfLines(errors: readonly PlacedMessage[], position: YamlFile['position']): PlacedMessage[] {
  const lines = new Set<number>()
  return errors.filter(({ offset }) => {
    const { line } = position(offset)
    return !lines.has(line) && lines.add(line)
  })
}

/** Goes through the nodes in the order of the text, so that an alias finds the last anchor of its name before it. */
function walk(
  root: Node | null,
  aliases: Map<Alias, Node>,
  errors: PlacedMessage[],
  position: YamlFile['position'],
): void {
  const anchors = new Map<string, Node>()
  const stack: unknown[] = [root]
  while (stack.length > 0) {
    const node = stack.pop()
    if (isAlias(node)) {
      const anchored = anchors.get(node.source)
      if (anchored === undefined) errors.push({ offset: offsetOf(node), message: `*${node.source} has no anchor` })
      else aliases.set(node, anchored)
      continue
    }
    if (!isScalar(node) && !isCollection(node)) continue
    if (node.anchor !== undefined) anchors.set(node.anchor, node)
    if (isScalar(node)) continue
    const children: unknown[] = []
    const seen = new Map<string, number>()
    for (const item of node.items) {
      if (!isMap(node)) {
        children.push(item)
        continue
      }
      const { key, value } = item as { key: unknown; value: unknown }
      children.push(key, value)
      const name = keyName(key)
      if (name === null) continue
      const first = seen.get(name)
      const offset = offsetOf(key)
      if (first === undefined) seen.set(name, offset)
      else if (name !== '<<') {
        errors.push({ offset, message: `key ${name} occurs twice, first in line ${position(first).line}` })
      }
    }
    for (let i = children.length - 1; i >= 0; i--) stack.push(children[i])
  }
}

/** The text of a key as it stands in the file; null when it is a list, a map or an alias. */
export function keyName(key: unknown): string | null {
  if (!isScalar(key)) return null
  return key.type === 'PLAIN' || typeof key.value !== 'string' ? (key.source ?? '') : key.value
}

export function offsetOf(node: unknown): number {
  if (isScalar(node) || isCollection(node) || isAlias(node)) return node.range?.[0] ?? 0
  return 0
}

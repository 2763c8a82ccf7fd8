import type { GenericSchema } from 'valibot'
import { isAlias, isMap, isScalar, isSeq, type Scalar, type YAMLMap } from 'yaml'
import { type Environment, type Placeholder, substitute, unmark } from './environment.ts'
import { suggestKey } from './nearest-key.ts'
import { type Finding, formatPath, type Path } from './problem.ts'
import { keyPaths, type Shape, shapeOf } from './schema/shape.ts'
import { keyName, offsetOf, type YamlFile } from './yaml-file.ts'

/** Values that a file may have, aliases followed: beyond that it is an attack on our memory. */
const MAX_VALUES = 200_000
const MAX_MERGES = 8
/** Characters that variables may bring into a file. */
const MAX_SUBSTITUTED = 1024 * 1024
/** Unknown keys that are reported. */
const MAX_UNKNOWN = 1000

const VARIABLES = 'variables are ${NAME}, ${NAME:-default} and {{.NAME}}; a literal ${ is written $${'
const QUOTE = 'quote a text that begins with {'
const NAMES = { block: 'a block of keys', list: 'a list' }

/** A finding whose place is known. */
interface PlacedFinding extends Finding {
  readonly offset: number
}

/** The values of a file that its schema knows, as plain JavaScript values, and where each stands. */
export interface Reading {
  readonly value: unknown
  readonly errors: readonly PlacedFinding[]
  readonly warnings: readonly PlacedFinding[]
  /** Keys that the schema does not know. */
  readonly unknown: readonly PlacedFinding[]
  /** Whether the value at that path came from the environment, wholly or in part. */
  isFromEnvironment(path: Path): boolean
  /** Where the value of that path stands, or of the nearest path above it that is in the file. */
  offset(path: Path): number
}

interface ReadOptions {
  readonly schema: GenericSchema
  /** Known keys without meaning, by their path such as `logger.console`, and why. */
  readonly ignored: ReadonlyMap<string, string>
  readonly placeholders: readonly Placeholder[]
  readonly env: Environment
}

/** Reads what `options.schema` knows out of a file. Judges keys and variables; values are left to the schema. */
export function readValues(file: YamlFile, options: ReadOptions): Reading {
  return new Reader(file, options).read()
}

class Reader {
  readonly #file: YamlFile
  readonly #options: ReadOptions
  readonly #keyPaths: readonly string[]
  readonly #fromEnvironment = new Set<string>()
  readonly #errors: PlacedFinding[] = []
  readonly #warnings: PlacedFinding[] = []
  readonly #unknown: PlacedFinding[] = []
  #values = 0
  #substitutable = MAX_SUBSTITUTED

  constructor(file: YamlFile, options: ReadOptions) {
    this.#file = file
    this.#options = options
    this.#keyPaths = keyPaths(options.schema)
  }

  read(): Reading {
    const value = this.#read(this.#file.root, this.#options.schema, [])
    return {
      value,
      errors: this.#errors,
      warnings: this.#warnings,
      unknown: this.#unknown,
      isFromEnvironment: path => this.#fromEnvironment.has(formatPath(path)),
      offset: path => this.#offset(path),
    }
  }

  /** Where a value stands, or the innermost of the blocks around it that is there. Few are asked for. */
  #offset(path: Path): number {
    let offset = path.length === 0 ? 0 : null
    let node = this.#follow(this.#file.root)
    for (const step of path) {
      if (isSeq(node) && typeof step === 'number' && step < node.items.length) {
        const item = node.items[step]
        offset = offsetOf(item)
        node = this.#follow(item)
        continue
      }
      const pair = isMap(node) ? this.#pairs(node, path, 0, true).get(String(step)) : undefined
      if (pair === undefined) break
      // An absent value is reported where its key stands.
      offset = offsetOf(pair.value === null || isEmptyScalar(pair.value) ? pair.key : pair.value)
      node = this.#follow(pair.value)
    }
    return offset ?? 0
  }

  #read(written: unknown, schema: GenericSchema, path: Path): unknown {
    const offset = offsetOf(written)
    if (++this.#values > MAX_VALUES) {
      if (this.#values === MAX_VALUES + 1) {
        this.#errors.push({ path, offset, message: `is value ${MAX_VALUES + 1}; so many are refused` })
      }
      return undefined
    }
    const node = this.#follow(written)
    const shape = shapeOf(schema)
    if (isScalar(node)) return this.#readScalar(node, shape, path, offset)
    if (isMap(node) && shape.kind === 'block') return this.#readBlock(node, shape.entries, path)
    if (isSeq(node) && shape.kind === 'list') return this.#readList(node.items, shape.item, path)
    if (isMap(node) || isSeq(node)) {
      const wanted = shape.kind === 'value' ? 'a single value' : NAMES[shape.kind]
      const message = `must be ${wanted}, got ${NAMES[isMap(node) ? 'block' : 'list']}`
      const suggestion = shape.kind === 'value' ? this.#braceHint(offset) : null
      this.#errors.push({ path, offset, message, ...(suggestion !== null && { suggestion }) })
    }
    return undefined
  }

  /** To YAML, a value that begins with a brace is a map. */
  #braceHint(offset: number): string | null {
    if (this.#file.text.startsWith('{{', offset)) return VARIABLES
    return this.#file.text.startsWith('{', offset) ? QUOTE : null
  }

  #readList(items: readonly unknown[], schema: GenericSchema, path: Path): unknown[] {
    const values: unknown[] = []
    for (const item of items) {
      if (this.#values > MAX_VALUES) break
      values.push(this.#read(item, schema, [...path, values.length]) ?? null)
    }
    return values
  }

  #readBlock(map: YAMLMap, entries: Readonly<Record<string, GenericSchema>>, path: Path): object {
    const values: Record<string, unknown> = {}
    for (const [name, { key, value }] of this.#pairs(map, path, 0)) {
      const keyPath = [...path, name]
      const schema = Object.hasOwn(entries, name) ? entries[name] : undefined
      if (schema === undefined) {
        this.#unknownKey(name, offsetOf(key), keyPath, Object.keys(entries))
        continue
      }
      const read = this.#read(value, schema, keyPath)
      if (read !== undefined) values[name] = read
    }
    return values
  }

  /**
   * The pairs of a map, with those of the maps that it merges (`<<: *base`), which its own keys override. `isAgain`: what is
   * wrong with them was told.
   */
  #pairs(map: YAMLMap, path: Path, depth: number, isAgain = false): Map<string, { key: unknown; value: unknown }> {
    const pairs = new Map<string, { key: unknown; value: unknown }>()
    const merged: unknown[] = []
    for (const { key, value } of map.items) {
      const name = keyName(this.#follow(key))
      if (name === null) {
        if (!isAgain) this.#errors.push({ path, offset: offsetOf(key), message: 'has a key that is not text' })
      } else if (name === '<<') {
        const source = this.#follow(value)
        if (isSeq(source)) merged.push(...source.items)
        else merged.push(value)
      } else {
        if (!isAgain) this.#refuseVariables(name, key, path)
        pairs.set(this.#unmark(name), { key, value })
      }
    }
    for (const item of merged) {
      const source = this.#follow(item)
      if (!isMap(source) || depth >= MAX_MERGES) {
        const message = isMap(source) ? 'merges maps too deeply' : '<< takes a map, or a list of maps'
        if (!isAgain) this.#errors.push({ path, offset: offsetOf(item), message })
        continue
      }
      if (!isAgain) this.#values += source.items.length
      if (this.#values > MAX_VALUES) break
      for (const [name, pair] of this.#pairs(source, path, depth + 1, isAgain))
        if (!pairs.has(name)) pairs.set(name, pair)
    }
    return pairs
  }

  #refuseVariables(name: string, key: unknown, path: Path): void {
    const source = this.#unmark(name)
    if (source === name) return
    const message = `${source} stands in a key; variables are replaced in values only`
    this.#errors.push({ path, offset: offsetOf(key), message })
  }

  #readScalar(node: Scalar, shape: Shape, path: Path, offset: number): unknown {
    const plain = node.type === 'PLAIN' || node.type === undefined
    const isText = shape.kind === 'value' && shape.text
    const source = plain ? (node.source ?? '') : String(node.value)
    if (source.includes('${') || source.includes('{{')) {
      const message = 'has ${ or {{ in it but no variable, and is taken as it stands'
      this.#warnings.push({ path, offset, message, suggestion: VARIABLES })
    }
    const { placeholders, env } = this.#options
    const { value, changed, missing, isTooLong } = substitute(source, placeholders, env, this.#substitutable)
    for (const placeholder of missing) {
      const message = `the environment has no variable ${placeholder.name}`
      const suggestion = `set it, or write \${${placeholder.name}:-default}`
      this.#errors.push({ path, offset: placeholder.offset, message, suggestion })
    }
    if (missing.length > 0) return undefined
    if (isTooLong) {
      this.#errors.push({ path, offset, message: `takes more than ${MAX_SUBSTITUTED} characters from the environment` })
      return undefined
    }
    if (changed) this.#substitutable -= value.length
    if (changed) this.#fromEnvironment.add(formatPath(path))
    if (value !== source) return plain && !isText ? plainValue(value) : value
    return isText && plain && node.value !== null ? source : node.value
  }

  #unknownKey(name: string, offset: number, path: Path, siblings: readonly string[]): void {
    const message = this.#options.ignored.get(formatPath(path).replace(/\[\d+\]/g, '[]'))
    if (message !== undefined) {
      this.#warnings.push({ path, offset, message: `is ignored: ${message}` })
      return
    }
    if (this.#unknown.length >= MAX_UNKNOWN) return
    const suggestion = suggestKey(name, siblings, this.#keyPaths)
    const shown = name.length > 80 ? [...path.slice(0, -1), `${name.slice(0, 80)}...`] : path
    this.#unknown.push({ path: shown, offset, message: 'is no known key', ...(suggestion && { suggestion }) })
  }

  #follow(node: unknown): unknown {
    let target = node
    // An alias can't stand for an alias, but it may stand for a map that holds it.
    while (isAlias(target)) target = this.#file.aliases.get(target)
    return target
  }

  #unmark(text: string): string {
    return unmark(text, this.#options.placeholders)
  }
}

function isEmptyScalar(node: unknown): boolean {
  return node === null || (isScalar(node) && node.value === null && (node.source ?? '') === '')
}

/** What YAML 1.2 takes a plain scalar for. */
function plainValue(text: string): unknown {
  if (/^(?:~|null|Null|NULL)?$/.test(text)) return null
  if (/^(?:true|True|TRUE)$/.test(text)) return true
  if (/^(?:false|False|FALSE)$/.test(text)) return false
  if (/^(?:[-+]?\d+|0o[0-7]+|0x[\da-fA-F]+)$/.test(text)) return Number(text)
  if (/^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/.test(text)) return Number(text)
  return text
}

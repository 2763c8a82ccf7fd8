import { statSync } from 'node:fs'
import { isMap } from 'yaml'
import { markPlaceholders } from './environment.ts'
import { readSmallFile } from './read-file.ts'
import { keyName, parseYaml } from './yaml-file.ts'

/** What a configuration file is of. */
export type FileKindName = 'hub' | 'bridge'

const HUB_KEYS: ReadonlySet<string> = new Set(['listen', 'principals', 'subscriptions', 'anonymous', 'storage'])
const BRIDGE_KEYS: ReadonlySet<string> = new Set(['remotes', 'rules'])
/** Other services of OpenEdge have rules too. */
const FOREIGN_KEYS: ReadonlySet<string> = new Set(['functions', 'timer'])

/**
 * Tells by its top-level keys what a configuration file is of, right or wrong as it may be otherwise. Null when that can't
 * be told: it has the keys of neither or of both, is no YAML, or no file that can be read twice. Never throws.
 */
export function fileKindOf(file: string): FileKindName | null {
  const keys = topLevelKeys(file)
  if (keys.some(key => FOREIGN_KEYS.has(key))) return null
  const isHub = keys.some(key => HUB_KEYS.has(key))
  const isBridge = keys.some(key => BRIDGE_KEYS.has(key))
  if (isHub === isBridge) return null
  return isHub ? 'hub' : 'bridge'
}

function topLevelKeys(file: string): string[] {
  // What comes by a pipe is for whoever loads it.
  if (!isRegularFile(file)) return []
  const read = readSmallFile(file)
  if (typeof read === 'string') return []
  const { root } = parseYaml(markPlaceholders(read.bytes.toString()).text)
  return isMap(root) ? root.items.map(({ key }) => keyName(key) ?? '') : []
}

function isRegularFile(file: string): boolean {
  try {
    return statSync(file).isFile()
  } catch {
    return false
  }
}

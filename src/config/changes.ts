import { isDeepStrictEqual } from 'node:util'
import * as v from 'valibot'
import { type BridgeConfig, bridgeSchema } from './schema/bridge.ts'
import { type HubConfig, hubSchema } from './schema/hub.ts'
import { namesOf } from './schema/renamed.ts'
import { type Shape, shapeOf } from './schema/shape.ts'

/** A key of the file whose value is another one. Never has the value: it may be a password. */
export interface Change {
  /** As in the file, such as `queue.max.bytes`. A list, and `anonymous`, is one key, whatever changed in it. */
  readonly path: string
  /** Whether a running service takes the new value over, or has to be started again. */
  readonly reload: 'hot' | 'restart'
}

/** What differs between two configurations of a hub, in the order of the reference page. */
export function changedFields(before: HubConfig, after: HubConfig): Change[] {
  return changesBetween(hubSchema, before, after)
}

/** As `changedFields`, of a bridge. What a remote says of client identifiers is a change of the rules too that take it over. */
export function changedBridgeFields(before: BridgeConfig, after: BridgeConfig): Change[] {
  return changesBetween(bridgeSchema, before, after)
}

function changesBetween(schema: v.GenericSchema, before: unknown, after: unknown): Change[] {
  const changes: Change[] = []
  compare(schema, '', before, after, changes)
  return changes
}

function compare(schema: v.GenericSchema, path: string, before: unknown, after: unknown, changes: Change[]): void {
  const { reload }: Readonly<Record<string, unknown>> = v.getMetadata(schema)
  if (reload === 'hot' || reload === 'restart') {
    if (!isDeepStrictEqual(before, after)) changes.push({ path, reload })
    return
  }
  const shape = shapeOf(schema)
  if (shape.kind !== 'block') return
  const names = namesOf(schema) ?? Object.fromEntries(Object.keys(shape.entries).map(key => [key, key]))
  for (const [key, name] of Object.entries(names)) {
    const below = schemaAt(schema, name)
    if (below === undefined) continue
    compare(below, path === '' ? name : `${path}.${name}`, valueOf(before, key), valueOf(after, key), changes)
  }
}

function schemaAt(schema: v.GenericSchema, path: string): v.GenericSchema | undefined {
  let found: v.GenericSchema | undefined = schema
  for (const key of path.split('.')) {
    const shape: Shape | null = found === undefined ? null : shapeOf(found)
    found = shape?.kind === 'block' ? shape.entries[key] : undefined
  }
  return found
}

function valueOf(block: unknown, key: string): unknown {
  return (block as Readonly<Record<string, unknown>>)[key]
}

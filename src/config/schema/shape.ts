import type * as v from 'valibot'

/** How a value of a schema is written in a file. */
export type Shape =
  | { readonly kind: 'block'; readonly entries: Readonly<Record<string, v.GenericSchema>> }
  | { readonly kind: 'list'; readonly item: v.GenericSchema }
  /** `text`: whatever stands there is text, also what YAML would take for a number. */
  | { readonly kind: 'value'; readonly text: boolean }

/** Looks through defaults and transformations at what a schema reads. */
export function shapeOf(schema: v.GenericSchema): Shape {
  let current: object = schema
  for (;;) {
    if ('pipe' in current && Array.isArray(current.pipe) && isObject(current.pipe[0])) current = current.pipe[0]
    else if ('wrapped' in current && isObject(current.wrapped)) current = current.wrapped
    else break
  }
  if ('entries' in current) return { kind: 'block', entries: current.entries as Record<string, v.GenericSchema> }
  if ('item' in current) return { kind: 'list', item: current.item as v.GenericSchema }
  return { kind: 'value', text: 'type' in current && current.type === 'string' }
}

/** Paths of all keys of a schema, such as `principals[].username`. */
export function keyPaths(schema: v.GenericSchema, prefix = ''): string[] {
  const shape = shapeOf(schema)
  if (shape.kind === 'list') return keyPaths(shape.item, `${prefix}[]`)
  if (shape.kind === 'value') return []
  const paths: string[] = []
  for (const [key, entry] of Object.entries(shape.entries)) {
    const path = prefix === '' ? key : `${prefix}.${key}`
    paths.push(path, ...keyPaths(entry, path))
  }
  return paths
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

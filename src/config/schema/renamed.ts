import * as v from 'valibot'

/** What stands at a path such as `max.bytes`. */
type At<Value, Path extends string> = Path extends `${infer Key}.${infer Rest}`
  ? Key extends keyof Value
    ? At<Value[Key], Rest>
    : never
  : Path extends keyof Value
    ? Value[Path]
    : never

type Names = Readonly<Record<string, string>>

type Renamed<Value, Paths extends Names> = { -readonly [Key in keyof Paths]: At<Value, Paths[Key]> }

/** A block as the program sees it: each key, and the path in the file that its value comes from. */
export function renamed<Schema extends v.GenericSchema, const Paths extends Names>(schema: Schema, names: Paths) {
  const paths = Object.entries(names)
  const rename = v.transform((value: v.InferOutput<Schema>) => {
    const values = paths.map(([key, path]) => [key, at(value, path)])
    return Object.fromEntries(values) as Renamed<v.InferOutput<Schema>, Paths>
  })
  return v.pipe(schema, { ...rename, names: names as Names })
}

/** The names that {@link renamed} gave; null: the keys are those of the file. */
export function namesOf(schema: object): Names | null {
  if (!('pipe' in schema) || !Array.isArray(schema.pipe)) return null
  const actions: unknown[] = schema.pipe
  for (const action of actions) {
    if (typeof action !== 'object' || action === null) continue
    if ('names' in action) return action.names as Names
    const below = 'pipe' in action ? namesOf(action) : null
    if (below !== null) return below
  }
  return null
}

function at(value: unknown, path: string): unknown {
  let found = value
  for (const key of path.split('.')) found = (found as Readonly<Record<string, unknown>>)[key]
  return found
}

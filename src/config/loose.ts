import * as v from 'valibot'

// Parts of a file that may be anything: the rest of it is judged all the same.

/** The value of a schema; undefined when it is wrong, which validation reports. */
export function valid<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
): v.InferOutput<Schema> | undefined {
  const result = v.safeParse(schema, value)
  return result.success ? result.output : undefined
}

/** The items of a list, each at its position; undefined where one is wrong. */
export function validItems<Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
): (v.InferOutput<Schema> | undefined)[] {
  return items(value).map(item => valid(schema, item))
}

export function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function shorten(topic: string): string {
  return topic.length > 100 ? `${topic.slice(0, 100)}...` : topic
}

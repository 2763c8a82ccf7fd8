// Writes the pages below docs/reference that are made of the schema of the configuration. Run it after a change of the
// schema: node --import tsx docs/generate.ts
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type JsonSchema, toJsonSchema } from '@valibot/to-json-schema'
import * as v from 'valibot'
import { bridgeSchema } from '../src/config/schema/bridge.ts'
import type { FieldMetadata } from '../src/config/schema/fields.ts'
import { hubSchema } from '../src/config/schema/hub.ts'
import { shapeOf } from '../src/config/schema/shape.ts'

/** What all files have in common. */
const VALUES = `- **Durations** are written \`500ms\`, \`20s\`, \`1h30m\` or \`1.5h\`. A bare number counts nanoseconds, as in OpenEdge.
- **Sizes** are written \`512\`, \`32k\`, \`1.5m\` or \`4GiB\`. Multiples are binary: \`1k\` is 1024 bytes.`
const TEXTS = `- **Text** needs no quotes, also when it looks like a number: \`password: 0123\` is the four digits.
- **Variables** of the environment are put in for \`\${NAME}\`, \`\${NAME:-default}\` and \`{{.NAME}}\`, in values but not in keys.
  What is put in is never read as YAML. A variable that is not set and has no default is an error. \`$\${\` is a literal \`\${\`.`
const UNKNOWN =
  '- A key that is not known is a warning, and under `openedge check` an error. A key that occurs twice is an error.'

const HUB = `# Configuration of the hub

\`openedge hub -c service.yml\` reads this file. All keys are optional, and an empty file means all defaults: a hub that
listens nowhere. \`openedge check service.yml\` says what is wrong with a file without starting anything.

This page and [hub.schema.json](hub.schema.json), which editors can check a file with, are made of the program by
\`docs/generate.ts\`.

${VALUES}
- **Zero**, empty text and no value at all mean the default. In \`queue\`, \`session\`, \`storage\` and \`limits\` zero
  has the meaning that stands there, or is refused; an empty \`storage.dir\` keeps nothing on disk.
${TEXTS}
- **Paths** start from the working directory of the hub.
${UNKNOWN}
- **Reload** says whether a running hub takes a changed value over when it reloads the file (\`hot\`: SIGHUP, or
  \`openedge hub reload\`), or has to be started again (\`restart\`). A file with an error in it changes nothing.
`

const BRIDGE = `# Configuration of a bridge

\`openedge bridge -c service.yml\` reads this file; that of OpenEdge's \`openedge-remote-mqtt\` is one. Each rule connects the
hub with one of the remotes. \`openedge check service.yml\` says what is wrong with a file without starting anything.

This page and [bridge.schema.json](bridge.schema.json), which editors can check a file with, are made of the program by
\`docs/generate.ts\`.

${VALUES}
- **Zero**, empty text and no value at all mean the default. In \`limit\` and \`offline\`, and for a QoS, zero is zero.
${TEXTS}
- **Paths** start from the working directory of the bridge.
${UNKNOWN}
- **Client identifiers** are found as OpenEdge finds them. On the remote: \`rules[].remote.clientid\`, else
  \`remotes[].clientid\`, else the name of the remote. On the hub: \`rules[].hub.clientid\`, else the one on the remote. Two
  connections to one broker with the same one would end each other for ever, so that is an error.
- Of several filters of one direction that take a message, the one with the highest \`qos\` decides, and among equals the first:
  a message is forwarded once.
- **Reload** says whether a running bridge takes a changed value over when it reloads the file (\`hot\`: SIGHUP, or
  \`openedge bridge reload\`), or has to be started again (\`restart\`). A file with an error in it changes nothing.
`

/** The kinds of files, with the names of their pages. */
const KINDS = {
  hub: { schema: hubSchema, introduction: HUB, page: 'config.md' },
  bridge: { schema: bridgeSchema, introduction: BRIDGE, page: 'bridge.md' },
}
type Kind = keyof typeof KINDS

interface Row {
  readonly path: string
  readonly metadata: Record<string, unknown>
}

export function referencePage(kind: Kind): string {
  const { schema: file, introduction } = KINDS[kind]
  const shape = shapeOf(file)
  if (shape.kind !== 'block') throw new TypeError('the file is a block')
  const sections = Object.entries(shape.entries).map(([key, schema]) => {
    const { description, kind } = v.getMetadata(schema) as Record<string, unknown>
    const isField = kind !== undefined
    return [`## ${key}`, '', ...(isField ? [] : [String(description), '']), ...table(rows(schema, key)), ''].join('\n')
  })
  return `${introduction}\n${sections.join('\n')}`
}

function rows(schema: v.GenericSchema, path: string): Row[] {
  const metadata: Record<string, unknown> = v.getMetadata(schema)
  const own = metadata['kind'] === undefined ? [] : [{ path, metadata }]
  const shape = shapeOf(schema)
  if (shape.kind === 'list') return [...own, ...rows(shape.item, `${path}[]`)]
  if (shape.kind === 'value') return own
  return [...own, ...Object.entries(shape.entries).flatMap(([key, entry]) => rows(entry, `${path}.${key}`))]
}

function table(rows: readonly Row[]): string[] {
  const lines = rows.map(({ path, metadata }) => {
    const value = String(metadata['defaultText'])
    const shown = value === 'none' || value === 'required' ? value : `\`${value}\``
    const cells = [`\`${path}\``, metadata['kind'], shown, metadata['description'], metadata['reload']]
    return `| ${cells.map(cell => String(cell).replaceAll('|', '\\|')).join(' | ')} |`
  })
  return ['| Key | Type | Default | Meaning | Reload |', '| --- | --- | --- | --- | --- |', ...lines]
}

export function jsonSchema(kind: Kind): string {
  const schema = toJsonSchema(KINDS[kind].schema, { typeMode: 'input' })
  return `${JSON.stringify(tidy(schema), null, 2)}\n`
}

type Options = NonNullable<JsonSchema['anyOf']>

/** What stands for a variable of the environment, which may be a number, a duration, a size or a word. */
const VARIABLE: JsonSchema = { type: 'string', pattern: '\\$\\{|\\{\\{' }

/** The same schema in fewer words, and with variables where the loader allows them. */
function tidy(schema: JsonSchema): JsonSchema {
  const { anyOf, defaultText, kind: _, reload, ...rest } = schema as JsonSchema & Partial<FieldMetadata>
  const options = flatten(anyOf ?? [])
  const values = options.filter(option => typeof option === 'boolean' || option.type !== 'null')
  const [only] = values
  const isSingle = values.length === 1 && typeof only === 'object'
  const merged: JsonSchema = isSingle ? { ...rest, ...only, ...rest } : { ...rest }
  if (merged.properties !== undefined) {
    const entries = Object.entries(merged.properties)
    merged.properties = Object.fromEntries(entries.map(([key, value]) => [key, tidyAny(value)]))
    merged.additionalProperties = false
    delete merged.required
  }
  if (merged.items !== undefined && !Array.isArray(merged.items)) merged.items = tidyAny(merged.items)
  if (typeof merged.default === 'object') delete merged.default
  if (reload !== undefined && typeof merged.description === 'string') {
    merged.description += ` Default: ${defaultText}. Reload: ${reload}.`
  }
  if (options.length === values.length) return merged
  return isSingle ? orAbsent(merged) : { ...merged, anyOf: [...values, VARIABLE, { type: 'null' }] }
}

/** A value may be absent behind its key. */
function orAbsent(schema: JsonSchema): JsonSchema {
  const { type, enum: words, minimum, maximum, ...rest } = schema
  if (words === undefined && type !== 'integer')
    return typeof type === 'string' ? { ...rest, type: [type, 'null'] } : schema
  const value: JsonSchema = {}
  if (type !== undefined) value.type = type
  if (words !== undefined) value.enum = words
  if (minimum !== undefined) value.minimum = minimum
  if (maximum !== undefined) value.maximum = maximum
  return { ...rest, anyOf: [value, VARIABLE, { type: 'null' }] }
}

function tidyAny(schema: JsonSchema | boolean): JsonSchema | boolean {
  return typeof schema === 'boolean' ? schema : tidy(schema)
}

function flatten(options: Options): Options {
  return options.flatMap(option => (typeof option === 'object' && option.anyOf ? flatten(option.anyOf) : [option]))
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const folder = join(import.meta.dirname, 'reference')
  for (const kind of ['hub', 'bridge'] as const) {
    writeFileSync(join(folder, KINDS[kind].page), referencePage(kind))
    writeFileSync(join(folder, `${kind}.schema.json`), jsonSchema(kind))
  }
}

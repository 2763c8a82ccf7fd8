import { isUtf8 } from 'node:buffer'
import * as v from 'valibot'
import { type Environment, markPlaceholders, unmark } from './environment.ts'
import type { Circumstances, Findings } from './findings.ts'
import { ConfigError, formatPath, type Path, type Problem } from './problem.ts'
import { MAX_FILE_BYTES, readSmallFile, TOO_LARGE } from './read-file.ts'
import { readValues } from './reader.ts'
import { type PlacedMessage, parseYaml } from './yaml-file.ts'

/** Problems that are listed of one file, and then one more that says how many there are. */
const MAX_PROBLEMS = 1000
const MAX_MESSAGE = 500
const LINE_FEED = 10

export interface LoadOptions {
  /** Where variables of the file come from, such as `process.env`. */
  readonly env: Environment
  /** Refuse keys that are not known, which are otherwise a warning. Default false. */
  readonly strict?: boolean
}

export interface ParseOptions extends LoadOptions {
  /** What problems call the file. */
  readonly file: string
  /** Whether others than the owner may read the file, which plain passwords are warned of. Default false. */
  readonly isPublicFile?: boolean
}

/** A configuration, and what its author should know. */
export interface Loaded<Config> {
  readonly config: Config
  readonly warnings: readonly Problem[]
}

/** What makes one kind of file different from another. */
export interface FileKind<Schema extends v.GenericSchema> {
  readonly schema: Schema
  /** Keys of older versions that have no meaning, by path such as `logger.console`, and why. */
  readonly ignored: ReadonlyMap<string, string>
  /** Rules beyond the schema. Gets what the schema reads, before validation. */
  check(value: unknown, circumstances: Circumstances): Findings
}

/** Reads and judges a file. @throws ConfigError with all its problems */
export function loadFile<Schema extends v.GenericSchema>(
  kind: FileKind<Schema>,
  file: string,
  options: LoadOptions,
): Loaded<v.InferOutput<Schema>> {
  const read = readSmallFile(file)
  if (typeof read === 'string') throw new ConfigError([wholeFile(file, read)])
  // Windows has other means, and reports a mode that says nothing.
  const isPublicFile = process.platform !== 'win32' && (read.mode & 0o044) !== 0
  return parseText(kind, decode(read.bytes, file), { ...options, file, isPublicFile })
}

/** Judges the text of a file. @throws ConfigError with all its problems */
export function parseText<Schema extends v.GenericSchema>(
  kind: FileKind<Schema>,
  text: string,
  options: ParseOptions,
): Loaded<v.InferOutput<Schema>> {
  const { file, env } = options
  if (Buffer.byteLength(text) > MAX_FILE_BYTES) throw new ConfigError([wholeFile(file, TOO_LARGE)])
  const marked = markPlaceholders(text)
  const yaml = parseYaml(marked.text)
  const show = (message: string) => unmark(message, marked.placeholders)
  const place = ({ path = [], offset, message, suggestion }: Placed): Problem => ({
    file,
    ...yaml.position(offset),
    path: formatPath(path),
    message: shorten(show(message)),
    ...(suggestion !== undefined && { suggestion }),
  })
  // Values of a text that is not YAML would be guesses.
  if (yaml.syntaxErrors.length > 0) {
    throw new ConfigError(
      limited(
        yaml.syntaxErrors.map(error => place(withBraceHint(error, marked.text))),
        file,
      ),
    )
  }

  const reading = readValues(yaml, {
    schema: kind.schema,
    ignored: kind.ignored,
    env,
    placeholders: marked.placeholders,
  })
  const errors: Placed[] = [...yaml.errors, ...reading.errors]
  const warnings: Placed[] = [...yaml.warnings, ...reading.warnings]
  ;(options.strict ? errors : warnings).push(...reading.unknown)

  // One problem a value: a variable that is missing makes the value wrong too.
  const reported = new Set(reading.errors.map(({ path }) => formatPath(path)))
  const report = (path: Path, message: string, suggestion?: string) => {
    if (reported.has(formatPath(path))) return
    errors.push({ path, offset: reading.offset(path), message, ...(suggestion !== undefined && { suggestion }) })
  }
  const result = v.safeParse(kind.schema, reading.value)
  for (const issue of result.issues ?? []) {
    report(pathOf(issue), issue.message)
    reported.add(formatPath(pathOf(issue)))
  }
  const findings = kind.check(reading.value, {
    isPublicFile: options.isPublicFile ?? false,
    isFromEnvironment: path => reading.isFromEnvironment(path),
  })
  for (const { path, message, suggestion } of findings.errors) report(path, message, suggestion)
  for (const finding of findings.warnings) warnings.push({ ...finding, offset: reading.offset(finding.path) })

  const placedWarnings = limited(warnings.map(place), file)
  if (errors.length > 0 || !result.success) throw new ConfigError(limited(errors.map(place), file), placedWarnings)
  return { config: result.output, warnings: placedWarnings }
}

/** A finding, or a message of the YAML library, which knows no paths. */
interface Placed extends PlacedMessage {
  readonly path?: Path
  readonly suggestion?: string
}

/** A placeholder of a template in a line that is not YAML. */
const PLACEHOLDER = /\{(?:[1-9]\d?|#|topic|clientid|username|rule)\}/

/** To YAML, braces are a map where they begin a value, or stand in a list or map in braces. */
function withBraceHint(error: PlacedMessage, text: string): Placed {
  const start = text.lastIndexOf('\n', error.offset - 1) + 1
  const end = text.indexOf('\n', start)
  // A line may have megabytes.
  const line = text.slice(start, Math.min(end === -1 ? text.length : end, start + 1000))
  return PLACEHOLDER.test(line) ? { ...error, suggestion: 'quote a text with {...} in it' } : error
}

function pathOf(issue: v.BaseIssue<unknown>): Path {
  return (issue.path ?? []).map(({ key }) => (typeof key === 'number' ? key : String(key)))
}

function shorten(message: string): string {
  return message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}...` : message
}

/** In the order of the file, and not without end. */
function limited(problems: readonly Problem[], file: string): Problem[] {
  const sorted = problems.toSorted((a, b) => a.line - b.line || a.column - b.column)
  if (sorted.length <= MAX_PROBLEMS) return sorted
  const more = wholeFile(file, `${sorted.length - MAX_PROBLEMS} more problems are not listed`)
  return [...sorted.slice(0, MAX_PROBLEMS), more]
}

function wholeFile(file: string, message: string): Problem {
  return { file, line: 0, column: 0, path: '', message }
}

function decode(bytes: Buffer, file: string): string {
  if (isUtf8(bytes)) return new TextDecoder().decode(bytes)
  let line = 1
  let start = 0
  for (; start < bytes.length; line++) {
    const end = bytes.indexOf(LINE_FEED, start) + 1 || bytes.length
    if (!isUtf8(bytes.subarray(start, end))) break
    start = end
  }
  throw new ConfigError([{ file, line, column: 1, path: '', message: 'is not UTF-8 text' }])
}

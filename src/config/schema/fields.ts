import * as v from 'valibot'
import {
  DURATION_PATTERN,
  formatDuration,
  formatSize,
  nanosToMs,
  parseDuration,
  parseSize,
  SIZE_PATTERN,
} from '../../common/index.ts'

/** Whether a running hub can take over a changed value, or has to be started again. */
type Reload = 'hot' | 'restart'

/** What each key says of itself; the reference page and the JSON Schema are made of it. */
export interface FieldMetadata {
  /** Meaning, unit and what zero means. */
  readonly description: string
  /** How people write the default; `none` and `required` are no values. */
  readonly defaultText: string
  readonly reload: Reload
  /** In the words of the reference page. */
  readonly kind: string
}

interface About {
  readonly description: string
  readonly reload: Reload
}

/** Longest delay that a timer of Node.js takes: a longer one would fire at once. */
const MAX_TIMER = '596h'

/** What fits into the counters of every language that reads such a file. */
const MAX_COUNT = 2_147_483_647

// Zero of a key that OpenEdge knows means its default there, and so it does here. Keys that OpenEdge does not know
// say for themselves what zero means, or refuse it by their `min`.
type Zero = 'default' | 'kept' | 'refused'

/** Text. Empty means the default, unless it is `kept`. What `required` forbids is for a rule to say. */
export function text(
  about: About & { default?: string; kind?: string; required?: boolean; empty?: 'default' | 'kept' },
) {
  const fallback = about.default ?? ''
  const absent = about.required === true ? 'required' : 'none'
  return v.pipe(
    v.nullish(v.string(wrongText), fallback),
    v.metadata({ kind: about.kind ?? 'text', defaultText: fallback === '' ? absent : fallback, ...pick(about) }),
    v.transform(value => (value === '' && about.empty !== 'kept' ? fallback : value)),
  )
}

/** One of a few words. Empty means the default. */
export function choice<const Option extends string>(
  options: readonly [Option, ...Option[]],
  about: About & { default: NoInfer<Option> },
) {
  const isOption = (value: string | null): value is Option => options.some(option => option === value)
  return v.pipe(
    v.nullish(v.picklist([...options, ''], wrongChoice(options)), about.default),
    v.metadata({ kind: options.join(' | '), defaultText: about.default, ...pick(about) }),
    v.transform((value): Option => (isOption(value) ? value : about.default)),
  )
}

/** A whole number. */
export function count(about: About & Numbers & { default: number; zero?: Zero }) {
  const min = about.min ?? 0
  const max = about.max ?? MAX_COUNT
  const zeroIsDefault = (about.zero ?? 'default') === 'default'
  return v.pipe(
    v.nullish(wholeNumber(min, max, zeroIsDefault ? Math.min(min, 0) : min), about.default),
    v.metadata({ kind: kindOfNumber(min, max), defaultText: String(about.default), ...pick(about) }),
    v.transform(value => (zeroIsDefault && value === 0 ? about.default : value)),
  )
}

/** A whole number that has no default. */
export function requiredCount(about: About & Numbers) {
  const min = about.min ?? 0
  const max = about.max ?? MAX_COUNT
  return v.pipe(
    v.nullish(wholeNumber(min, max, min), null),
    v.metadata({ kind: kindOfNumber(min, max), defaultText: 'required', ...pick(about) }),
    v.number(`must be a whole number, ${range(String(min), String(max))}; got nothing`),
  )
}

interface Numbers {
  readonly min?: number
  readonly max?: number
}

function wholeNumber(min: number, max: number, least: number) {
  const wrong = `must be a whole number, ${range(String(min), String(max))}`
  return v.pipe(
    v.number(issue => `must be a whole number, got ${show(issue.input)}`),
    v.integer(issue => `must be a whole number, got ${show(issue.input)}`),
    v.minValue(least, issue => `${wrong}; got ${show(issue.input)}`),
    v.maxValue(max, issue => `${wrong}; got ${show(issue.input)}`),
  )
}

function kindOfNumber(min: number, max: number): string {
  return max === MAX_COUNT ? `number from ${min}` : `number ${min} to ${max}`
}

/** Yes or no. */
export function flag(about: About & { default: boolean }) {
  return v.pipe(
    v.nullish(
      v.boolean(issue => `must be true or false, got ${show(issue.input)}`),
      about.default,
    ),
    v.metadata({ kind: 'true | false', defaultText: String(about.default), ...pick(about) }),
  )
}

interface Durations {
  readonly min?: string
  readonly max?: string
  readonly zero?: Zero
}

/** A duration, in milliseconds for the program. `min` and `max` are inclusive. */
export function duration(about: About & Durations & { default: string }) {
  const read = durationReader(about, parseDuration(about.default) ?? 0)
  return v.pipe(
    v.nullish(v.union([durationText(wrongDuration), durationNumber(wrongDuration)], wrongDuration), about.default),
    v.metadata({ kind: 'duration', defaultText: about.default, ...pick(about) }),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const ms = read(dataset.value)
      if (typeof ms === 'number') return ms
      addIssue({ message: ms })
      return NEVER
    }),
  )
}

/** A duration in whole milliseconds, or `never`, which is the default and null for the program. Zero is refused. */
export function durationOrNever(about: About & Omit<Durations, 'zero'>) {
  const read = durationReader({ ...about, zero: 'refused' }, 0)
  const wrong = (issue: v.BaseIssue<unknown>): string => wrongDuration(issue).replace('must be', 'must be never, or')
  return v.pipe(
    v.nullish(v.union([v.picklist(['never', '']), durationText(wrong), durationNumber(wrong)], wrong), 'never'),
    v.metadata({ kind: 'never | duration', defaultText: 'never', ...pick(about) }),
    v.rawTransform(({ dataset, addIssue, NEVER }): number | null => {
      const { value } = dataset
      if (value === 'never' || value === '') return null
      const ms = read(value)
      // Years in nanoseconds are more than a number counts exactly.
      if (typeof ms === 'number') return Math.round(ms)
      addIssue({ message: ms.replace('must be', 'must be never, or') })
      return NEVER
    }),
  )
}

type Wrong = (issue: v.BaseIssue<unknown>) => string

function durationText(wrong: Wrong) {
  return v.pipe(v.string(), v.regex(new RegExp(DURATION_PATTERN), wrong))
}

function durationNumber(wrong: Wrong) {
  return v.pipe(v.number(), v.integer(wrong))
}

/** Reads what looks like a duration: milliseconds, or what is wrong with it. */
function durationReader(limits: Durations, fallback: number): (value: string | number) => number | string {
  const min = parseDuration(limits.min ?? '0') ?? 0
  const max = parseDuration(limits.max ?? MAX_TIMER) ?? 0
  const zeroIs = limits.zero ?? 'default'
  return value => {
    const ms = typeof value === 'number' ? nanosToMs(value) : parseDuration(value)
    if (ms === null) return `${show(value)} is longer than a duration can be`
    if (ms === 0 && zeroIs === 'default') return fallback
    if (ms === 0 && zeroIs === 'kept') return 0
    if (ms >= min && ms <= max) return ms
    const isBare = typeof value === 'number' && value !== 0
    const hint = isBare ? `; a bare number counts nanoseconds, write ${value}s for seconds` : ''
    return `must be ${formatDuration(min)} to ${formatDuration(max)}; got ${formatDuration(ms)}${hint}`
  }
}

/** A size, in bytes for the program. `min` and `max` are inclusive; a zero that is kept need not be within them. */
export function size(about: About & { default: string; min?: number; max?: number; zero?: Zero }) {
  const fallback = parseSize(about.default) ?? 0
  const min = about.min ?? 0
  const max = about.max ?? Number.MAX_SAFE_INTEGER
  const zeroIs = about.zero ?? 'default'
  const orZero = zeroIs === 'kept' && min > 0 ? '0, or ' : ''
  return v.pipe(
    v.nullish(
      v.union(
        [
          v.pipe(v.string(), v.regex(new RegExp(SIZE_PATTERN), wrongSize)),
          v.pipe(v.number(), v.minValue(0, wrongSize), v.maxValue(Number.MAX_SAFE_INTEGER, wrongSize)),
        ],
        wrongSize,
      ),
      about.default,
    ),
    v.metadata({ kind: 'size', defaultText: about.default, ...pick(about) }),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const { value } = dataset
      const bytes = typeof value === 'number' ? Math.floor(value) : parseSize(value)
      if (bytes === 0 && zeroIs === 'default') return fallback
      if (bytes === 0 && zeroIs === 'kept') return 0
      if (bytes !== null && bytes >= min && bytes <= max) return bytes
      addIssue({ message: `must be ${orZero}${formatSize(min)} to ${formatSize(max)} bytes; got ${show(value)}` })
      return NEVER
    }),
  )
}

/** Keys below one key. Absent and empty mean all defaults. */
export function block<Entries extends v.ObjectEntries>(entries: Entries, description: string) {
  const schema = v.object(entries, wrongBlock)
  // True of every block of ours: no key of a block is required.
  const allDefaults = {} as v.InferInput<typeof schema>
  return v.pipe(v.nullish(schema, allDefaults), v.metadata({ description }))
}

/** A list. Absent and empty mean none. */
export function list<Item extends v.GenericSchema>(item: Item, about: About & { kind: string }) {
  return v.pipe(
    v.nullish(
      v.array(item, issue => `must be a list, got ${kindOf(issue.input)}`),
      [],
    ),
    v.metadata({ kind: about.kind, defaultText: 'none', ...pick(about) }),
  )
}

export function wrongBlock(issue: v.BaseIssue<unknown>): string {
  // Valibot reports an absent key of an object as an issue of the object whose path ends in that key.
  return issue.received === 'undefined' ? 'is missing' : `must be a block of keys, got ${kindOf(issue.input)}`
}

/** What a message says of a wrong value that is no secret. */
export function show(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (typeof value !== 'string' || value === '') return kindOf(value)
  return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value)
}

/** What a message says of a value that may be a secret, or hold one. */
function kindOf(value: unknown): string {
  if (value === null || value === undefined || value === '') return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a block of keys'
  return typeof value === 'string' ? 'text' : `a ${typeof value}`
}

function wrongText(issue: v.BaseIssue<unknown>): string {
  return `must be text, got ${kindOf(issue.input)}`
}

function wrongChoice(options: readonly string[]): (issue: v.BaseIssue<unknown>) => string {
  return issue => `must be ${options.join(' or ')}, got ${show(issue.input)}`
}

function wrongDuration(issue: v.BaseIssue<unknown>): string {
  return `must be a duration such as 500ms, 20s or 1h30m, got ${show(issue.input)}`
}

function wrongSize(issue: v.BaseIssue<unknown>): string {
  return `must be a size such as 512, 32k or 16m, got ${show(issue.input)}`
}

function range(min: string, max: string): string {
  return `${min} to ${max}`
}

function pick(about: About): About {
  return { description: about.description, reload: about.reload }
}

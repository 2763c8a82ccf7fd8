/** Reads the text format of Prometheus, version 0.0.4, and complains about all that promtool complains about. */
import assert from 'node:assert/strict'

export type Labels = Readonly<Record<string, string>>

export interface ParsedSample {
  readonly name: string
  readonly labels: Labels
  readonly value: number
}

export interface Family {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly samples: readonly ParsedSample[]
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const LABEL = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/
const VALUE = /^(?:NaN|[+-]?Inf|[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)$/
const TYPES = ['counter', 'gauge', 'histogram', 'summary', 'untyped']
const PARTS: Readonly<Record<string, readonly string[]>> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
}
/** Seconds, bytes and their like are the base units; none of these is. */
const OTHER_UNITS = new Set(
  (
    'nanoseconds microseconds milliseconds minutes hours days weeks kilobytes megabytes gigabytes terabytes kibibytes ' +
    'mebibytes gibibytes bits percent s ms us ns sec b kb mb gb tb m h d'
  ).split(' '),
)

interface Draft {
  readonly name: string
  type: string | null
  help: string | null
  readonly samples: ParsedSample[]
  readonly keys: Set<string>
}

/** The families of an exposition, by name. Throws an AssertionError that names the line, or the figure, that is wrong. */
export function parseExposition(text: string): ReadonlyMap<string, Family> {
  assert.ok(text.endsWith('\n'), 'the last line does not end')
  const drafts = new Map<string, Draft>()
  const state: { open: Draft | null } = { open: null }
  const draft = (name: string, line: string): Draft => {
    if (state.open?.name === name) return state.open
    assert.ok(!drafts.has(name), `the lines of ${name} are not together: ${line}`)
    assert.match(name, NAME, `no name of a figure: ${line}`)
    state.open = { name, type: null, help: null, samples: [], keys: new Set() }
    drafts.set(name, state.open)
    return state.open
  }
  for (const line of text.slice(0, -1).split('\n')) {
    if (line.trim() === '') continue
    if (line.startsWith('#')) readComment(line, draft)
    else readSample(line, state.open, draft)
  }
  const families = new Map<string, Family>()
  for (const [name, { type, help, samples }] of drafts) {
    assert.ok(type !== null, `${name} has no TYPE`)
    assert.ok(help !== null && help.trim() !== '', `${name} has no HELP`)
    const family = { name, type, help, samples }
    checkFamily(family)
    families.set(name, family)
  }
  return families
}

/** The value of the one sample with this name and these labels. */
export function valueOf(families: ReadonlyMap<string, Family>, name: string, labels: Labels = {}): number {
  const family = families.get(name) ?? families.get(name.replace(/_(?:bucket|sum|count)$/, ''))
  assert.ok(family !== undefined, `there is no ${name}`)
  const wanted = keyOf({ name, labels })
  const found = family.samples.filter(sample => keyOf(sample) === wanted)
  assert.equal(found.length, 1, `${found.length} samples of ${wanted}`)
  return (found[0] as ParsedSample).value
}

function readComment(line: string, draft: (name: string, line: string) => Draft): void {
  const [, kind, name = '', rest = ''] = /^# *(HELP|TYPE) +(\S+)(?: (.*))?$/.exec(line) ?? []
  if (kind === undefined) return
  const family = draft(name, line)
  assert.equal(family.samples.length, 0, `behind the samples: ${line}`)
  if (kind === 'HELP') {
    assert.equal(family.help, null, `a second time: ${line}`)
    assert.doesNotMatch(rest, /\\(?![\\n])/, `an escape that is none: ${line}`)
    family.help = rest
  } else {
    assert.equal(family.type, null, `a second time: ${line}`)
    assert.ok(TYPES.includes(rest), `no type: ${line}`)
    family.type = rest
  }
}

function readSample(line: string, open: Draft | null, draft: (name: string, line: string) => Draft): void {
  const [, name = '', labels, rest = ''] = /^([^\s{]+)(?:\{(.*)\})? *(.*)$/.exec(line) ?? []
  const parts = PARTS[open?.type ?? ''] ?? ['']
  const isPart = open !== null && parts.some(part => name === open.name + part)
  const family = isPart ? open : draft(name, line)
  assert.ok(family.type !== null, `before its TYPE: ${line}`)
  assert.ok(isPart || family.type === 'counter' || family.type === 'gauge', `no part of a ${family.type}: ${line}`)
  const [value = '', time, ...more] = rest.split(/ +/)
  assert.match(value, VALUE, `no value: ${line}`)
  assert.ok(more.length === 0 && (time === undefined || /^-?\d+$/.test(time)), `something behind the value: ${line}`)
  const sample = { name, labels: labelsOf(labels ?? '', line), value: Number(value.replace('Inf', 'Infinity')) }
  const key = keyOf(sample)
  assert.ok(!family.keys.has(key), `a second time: ${line}`)
  family.keys.add(key)
  family.samples.push(sample)
}

function labelsOf(text: string, line: string): Labels {
  const labels = new Map<string, string>()
  let rest = text
  while (rest !== '') {
    const [all, name = '', value = ''] = /^([^=\s]+)="((?:[^"\\]|\\["\\n])*)"(?:,|$)/.exec(rest) ?? []
    assert.ok(all !== undefined, `no label: ${rest} in ${line}`)
    assert.match(name, LABEL, `no name of a label: ${line}`)
    assert.ok(!labels.has(name), `the label ${name} twice: ${line}`)
    labels.set(
      name,
      value.replace(/\\(.)/g, (_all, escaped: string) => (escaped === 'n' ? '\n' : escaped)),
    )
    rest = rest.slice(all.length)
  }
  return Object.fromEntries(labels)
}

function keyOf({ name, labels }: Pick<ParsedSample, 'name' | 'labels'>): string {
  return `${name}${JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))}`
}

function checkFamily({ name, type, samples }: Family): void {
  const words = name.split('_')
  assert.equal(name.endsWith('_total'), type === 'counter', `${name} is a ${type}`)
  assert.doesNotMatch(name, /[A-Z:]/, `${name} is not in small letters`)
  assert.ok(!words.some(word => OTHER_UNITS.has(word)), `${name} has no base unit`)
  assert.ok(!words.some(word => TYPES.includes(word)), `${name} says what type it is of`)
  assert.doesNotMatch(name, /_(?:bucket|sum|count)$/, `${name} looks like a part of a histogram`)
  for (const { labels, value, name: part } of samples) {
    assert.ok(type === 'histogram' || !('le' in labels), `${name} has a label le and is no histogram`)
    assert.ok(type === 'summary' || !('quantile' in labels), `${name} has a label quantile and is no summary`)
    if (type === 'counter' || part !== name) assert.ok(value >= 0, `${part} has gone below nothing: ${value}`)
  }
  if (type === 'histogram') checkHistogram(name, samples)
}

function checkHistogram(name: string, samples: readonly ParsedSample[]): void {
  const groups = new Map<string, { bounds: number[]; counts: number[]; sums: number; count: number[] }>()
  for (const { name: part, labels, value } of samples) {
    const { le, ...others } = labels
    const key = keyOf({ name, labels: others })
    const group = groups.get(key) ?? { bounds: [], counts: [], sums: 0, count: [] }
    groups.set(key, group)
    if (part === `${name}_bucket`) {
      assert.ok(le !== undefined, `a bucket of ${name} without a bound`)
      group.bounds.push(Number(le.replace('Inf', 'Infinity')))
      group.counts.push(value)
    } else {
      assert.equal(le, undefined, `${part} has a bound`)
      if (part === `${name}_sum`) group.sums++
      else group.count.push(value)
    }
  }
  for (const [key, { bounds, counts, sums, count }] of groups) {
    assert.equal(sums, 1, `${key} has ${sums} sums`)
    assert.equal(count.length, 1, `${key} has ${count.length} counts`)
    assert.ok(
      bounds.every((bound, i) => i === 0 || bound > (bounds[i - 1] as number)),
      `the bounds of ${key} do not rise: ${bounds.join(' ')}`,
    )
    assert.ok(
      counts.every((each, i) => i === 0 || each >= (counts[i - 1] as number)),
      `the buckets of ${key} are not cumulative: ${counts.join(' ')}`,
    )
    assert.equal(bounds.at(-1), Number.POSITIVE_INFINITY, `${key} has no bucket without end`)
    assert.equal(counts.at(-1), count[0], `the last bucket of ${key} does not have all`)
  }
}

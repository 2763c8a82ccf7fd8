import { listOption, numberOption, parseOptionValues } from '../e2e/arguments.ts'
import { type ComparisonName, comparisonNames } from './comparisons.ts'

const parts = [...comparisonNames, 'start', 'reload'] as const
export type Part = ComparisonName | 'start' | 'reload'

export interface Options {
  parts: readonly Part[]
  rounds: number
  warmupMs: number
  durationMs: number
  rules: number
  reloads: number
  rate: number
  /** Where all results are written as JSON; null for nowhere. */
  json: string | null
  /** A missed bound is a failure. */
  check: boolean
}

export const USAGE = `npm run bench:features -- [options]

Measures what features of the hub cost: the hub with one against the hub without, in turn, a fresh one each time.

  --parts LIST     comma separated (default: all)
                   rules_q0, rules_q1: rules whose copies nobody hears
                   copies_q0, copies_q1: rules whose copies are delivered, each delivery against a plain one
                   metrics_q0, metrics_q1: figures for $SYS and Prometheus each second
                   start: time to check a configuration with many rules, and to start with it
                   reload: changes of the configuration under load
  --rounds N       measurements of each side; medians are reported (default 3, and one more of metrics)
  --duration S     seconds measured (default 2)
  --warmup S       seconds before that (default 1)
  --rules N        rules of the hub that has some (default 10000)
  --reloads N      reload: how many (default 100)
  --rate N         reload: messages a second meanwhile (default 50000)
  --json FILE      write all results to FILE
  --check          a missed bound is a failure
  --help

Exit code 0: all was measured. 1: it was not, or a bound was missed. 2: usage.
`

/** Returns null when help was asked for. Throws a UsageError. */
export function parseOptions(args: readonly string[]): Options | null {
  const values = parseOptionValues(args, {
    parts: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    duration: { type: 'string', default: '2' },
    warmup: { type: 'string', default: '1' },
    rules: { type: 'string', default: '10000' },
    reloads: { type: 'string', default: '100' },
    rate: { type: 'string', default: '50000' },
    json: { type: 'string' },
    check: { type: 'boolean' },
    help: { type: 'boolean' },
  })
  if (values.help === true) return null
  const whole = (option: string, value: string, min: number): number =>
    numberOption(option, value, { min, whole: true })
  return {
    parts: listOption('--parts', values.parts, parts),
    rounds: whole('--rounds', values.rounds, 1),
    durationMs: numberOption('--duration', values.duration, { min: 0.1 }) * 1000,
    warmupMs: numberOption('--warmup', values.warmup, { min: 0 }) * 1000,
    // The rules that match, and one more.
    rules: whole('--rules', values.rules, 13),
    reloads: whole('--reloads', values.reloads, 4),
    rate: whole('--rate', values.rate, 1),
    json: values.json ?? null,
    check: values.check === true,
  }
}

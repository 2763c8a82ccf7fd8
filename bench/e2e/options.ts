import { parseArgs } from 'node:util'
import { type BrokerName, brokerNames } from './brokers.ts'
import { type ScenarioName, scenarioNames } from './scenarios.ts'

export interface Options {
  names: readonly BrokerName[]
  scenarios: readonly ScenarioName[]
  rounds: number
  durationMs: number
  warmupMs: number
  /** How often a measurement is repeated when other processes disturbed it. */
  retries: number
  /** Other processes' CPU, as a share of one core, from which a measurement counts as disturbed. */
  maxNoise: number
  /** Where all measurements are written as JSON; null for nowhere. */
  json: string | null
  /** Compare with the targets. */
  check: boolean
}

/** A command line that cannot be understood. */
export class UsageError extends Error {}

export const USAGE = `npm run bench:e2e -- [options]

Measures MQTT brokers side by side; a fresh broker for every measurement, the brokers in turn.

  --names LIST       brokers, comma separated: ${brokerNames.join(', ')} (default: all)
  --scenarios LIST   scenarios, comma separated (default: all)
                     ${scenarioNames.join(', ')}
  --rounds N         measurements of each broker and scenario; medians are reported (default 3)
  --duration S       seconds measured (default 3)
  --warmup S         seconds before that (default 1.5)
  --retries N        repeat a measurement that other processes disturbed, at most so often (default 2)
  --max-noise SHARE  CPU of other processes, in cores, that counts as a disturbance (default 0.15)
  --json FILE        write every measurement to FILE
  --check            compare our hub with the targets; a miss is a failure
  --help

Exit code 0: every message of every measurement was delivered as it should. 1: it was not, or a target was missed. 2: usage.
`

/** Returns null when help was asked for. Throws a UsageError. */
export function parseOptions(args: readonly string[]): Options | null {
  const values = parse(args)
  if (values.help === true) return null
  return {
    names: list('--names', values.names, brokerNames),
    scenarios: list('--scenarios', values.scenarios, scenarioNames),
    rounds: number('--rounds', values.rounds, { min: 1, whole: true }),
    durationMs: number('--duration', values.duration, { min: 0.1 }) * 1000,
    warmupMs: number('--warmup', values.warmup, { min: 0 }) * 1000,
    retries: number('--retries', values.retries, { min: 0, whole: true }),
    maxNoise: number('--max-noise', values['max-noise'], { min: 0 }),
    json: values.json ?? null,
    check: values.check === true,
  }
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        names: { type: 'string' },
        scenarios: { type: 'string' },
        rounds: { type: 'string', default: '3' },
        duration: { type: 'string', default: '3' },
        warmup: { type: 'string', default: '1.5' },
        retries: { type: 'string', default: '2' },
        'max-noise': { type: 'string', default: '0.15' },
        json: { type: 'string' },
        check: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    })
    return values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error })
  }
}

function list<T extends string>(option: string, value: string | undefined, known: readonly T[]): readonly T[] {
  if (value === undefined) return known
  const words = value.split(',')
  const unknown = words.find(word => !known.some(name => name === word))
  if (unknown !== undefined) throw new UsageError(`${option}: '${unknown}' is none of ${known.join(', ')}`)
  // In the order of the table, so that reports of different runs line up.
  return known.filter(name => words.includes(name))
}

function number(option: string, value: string, { min, whole = false }: { min: number; whole?: boolean }): number {
  const result = Number(value)
  if (value.trim() === '' || !(result >= min) || (whole && !Number.isInteger(result))) {
    throw new UsageError(`${option} takes a ${whole ? 'whole ' : ''}number of at least ${min}, not '${value}'`)
  }
  return result
}

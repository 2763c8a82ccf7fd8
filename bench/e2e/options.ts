import { listOption, numberOption, parseOptionValues } from './arguments.ts'
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
  const values = parseOptionValues(args, {
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
  })
  if (values.help === true) return null
  return {
    names: listOption('--names', values.names, brokerNames),
    scenarios: listOption('--scenarios', values.scenarios, scenarioNames),
    rounds: numberOption('--rounds', values.rounds, { min: 1, whole: true }),
    durationMs: numberOption('--duration', values.duration, { min: 0.1 }) * 1000,
    warmupMs: numberOption('--warmup', values.warmup, { min: 0 }) * 1000,
    retries: numberOption('--retries', values.retries, { min: 0, whole: true }),
    maxNoise: numberOption('--max-noise', values['max-noise'], { min: 0 }),
    json: values.json ?? null,
    check: values.check === true,
  }
}

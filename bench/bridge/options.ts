import { listOption, numberOption, parseOptionValues, UsageError } from '../e2e/arguments.ts'
import { type Sync, syncs } from '../e2e/brokers.ts'
import { type WayName, wayNames } from './chains.ts'

export const partNames = ['throughput_out', 'throughput_in', 'rtt', 'latency', 'memory', 'dead_remote'] as const
export type PartName = (typeof partNames)[number]

export interface Options {
  parts: readonly PartName[]
  ways: readonly WayName[]
  qos: readonly number[]
  rounds: number
  warmupMs: number
  durationMs: number
  /** The same for parts with few messages a second. */
  pacedMs: number
  sync: Sync
  /** Where all results are written as JSON; null for nowhere. */
  json: string | null
  /** A missed bound is a failure. */
  check: boolean
}

export const USAGE = `npm run bench:bridge -- [options]

Measures bridges between two of our hubs side by side, in turn, everything started anew each time.

  --parts LIST      comma separated (default: all)
                    throughput_out, throughput_in: as many messages as go through, from the hub and to it
                    rtt: the same with a remote that is 50 ms away
                    latency: what a bridge adds at 100 messages a second
                    memory: 100 rules on 20 remotes
                    dead_remote: latency of 19 remotes while one is dead
  --ways LIST       who forwards: ${wayNames.join(', ')} (default: all)
                    builtin: a mosquitto as hub and bridge in one; plain: the same without a bridge
  --qos LIST        0, 1 or both, of throughput and latency (default: both)
  --rounds N        measurements of each; medians are reported (default 3)
  --duration S      seconds measured (default 3)
  --warmup S        seconds before that (default 1.5)
  --paced S         seconds measured by latency and dead_remote (default 10)
  --sync WHEN       storage.sync of the hubs: ${syncs.join(', ')} (default: always)
  --json FILE       write all results to FILE
  --check           a missed bound is a failure
  --help

Exit code 0: all was measured. 1: it was not, or a bound was missed. 2: usage.
`

/** Returns null when help was asked for. Throws a UsageError. */
export function parseOptions(args: readonly string[]): Options | null {
  const values = parseOptionValues(args, {
    parts: { type: 'string' },
    ways: { type: 'string' },
    qos: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    duration: { type: 'string', default: '3' },
    warmup: { type: 'string', default: '1.5' },
    paced: { type: 'string', default: '10' },
    sync: { type: 'string', default: 'always' },
    json: { type: 'string' },
    check: { type: 'boolean' },
    help: { type: 'boolean' },
  })
  if (values.help === true) return null
  const [sync, ...others] = listOption('--sync', values.sync, syncs)
  if (sync === undefined || others.length > 0) throw new UsageError(`--sync takes one of ${syncs.join(', ')}`)
  return {
    parts: listOption('--parts', values.parts, partNames),
    ways: listOption('--ways', values.ways, wayNames),
    qos: listOption('--qos', values.qos, ['1', '0']).map(Number),
    rounds: numberOption('--rounds', values.rounds, { min: 1, whole: true }),
    durationMs: numberOption('--duration', values.duration, { min: 0.1 }) * 1000,
    warmupMs: numberOption('--warmup', values.warmup, { min: 0 }) * 1000,
    pacedMs: numberOption('--paced', values.paced, { min: 0.1 }) * 1000,
    sync,
    json: values.json ?? null,
    check: values.check === true,
  }
}

import { listOption, numberOption, parseOptionValues } from '../e2e/arguments.ts'
import { type BrokerName, type Sync, syncs } from '../e2e/brokers.ts'
import { type BacklogMode, backlogModes } from './backlog.ts'

export const parts = ['lost', 'backlog', 'restart'] as const
export type Part = (typeof parts)[number]

const brokers = ['mosquitto', 'ours'] as const satisfies readonly BrokerName[]

export interface Options {
  parts: readonly Part[]
  /** Null: our hub everywhere, mosquitto where comparing takes little time. */
  names: readonly BrokerName[] | null
  /** How our hub writes in `backlog` and `restart`. */
  sync: Sync
  messages: number
  modes: readonly BacklogMode[]
  sessions: number
  each: number
  retained: number
  publishMs: number
  limitMs: number
  /** Where all results are written as JSON; null for nowhere. */
  json: string | null
  /** A missed bound is a failure. */
  check: boolean
}

export const USAGE = `npm run bench:store -- [options]

Measures what brokers store: what a killed one forgets, a long backlog, a restart with much to remember.

  --parts LIST     comma separated (default: all)
                   lost: acknowledged messages that are gone after SIGKILL
                   backlog: memory while messages wait for one session, and how fast they are taken
                   restart: time from start to first CONNACK
  --names LIST     brokers: ${brokers.join(', ')} (default: both in lost, ours in the others)
  --sync WORD      storage.sync of our hub in backlog and restart: ${syncs.join(', ')} (default always)
  --messages N     backlog: messages (default 5000000)
  --modes LIST     backlog: ${backlogModes.join(', ')} (default: all)
  --sessions N     restart: sessions (default 10000)
  --each N         restart: messages for each session (default 100)
  --retained N     restart: topics with a retained message (default 100000)
  --publish S      lost: seconds of publishing before the broker is killed (default 3)
  --limit S        seconds that filling, draining and starting may take, each (default 900)
  --json FILE      write all results to FILE
  --check          a bound that our hub misses is a failure
  --help

Brokers write below the temporary directory; set TMPDIR to measure another disk.
Exit code 0: all was measured. 1: it was not, or a bound was missed. 2: usage.
`

/** Returns null when help was asked for. Throws a UsageError. */
export function parseOptions(args: readonly string[]): Options | null {
  const values = parseOptionValues(args, {
    parts: { type: 'string' },
    names: { type: 'string' },
    sync: { type: 'string', default: 'always' },
    messages: { type: 'string', default: '5000000' },
    modes: { type: 'string' },
    sessions: { type: 'string', default: '10000' },
    each: { type: 'string', default: '100' },
    retained: { type: 'string', default: '100000' },
    publish: { type: 'string', default: '3' },
    limit: { type: 'string', default: '900' },
    json: { type: 'string' },
    check: { type: 'boolean' },
    help: { type: 'boolean' },
  })
  if (values.help === true) return null
  const whole = (option: string, value: string, min: number): number =>
    numberOption(option, value, { min, whole: true })
  return {
    parts: listOption('--parts', values.parts, parts),
    names: values.names === undefined ? null : listOption('--names', values.names, brokers),
    sync: listOption('--sync', values.sync, syncs)[0] as Sync,
    messages: whole('--messages', values.messages, 1),
    modes: listOption('--modes', values.modes, backlogModes),
    sessions: whole('--sessions', values.sessions, 1),
    each: whole('--each', values.each, 1),
    retained: whole('--retained', values.retained, 0),
    publishMs: numberOption('--publish', values.publish, { min: 0.1 }) * 1000,
    limitMs: numberOption('--limit', values.limit, { min: 1 }) * 1000,
    json: values.json ?? null,
    check: values.check === true,
  }
}

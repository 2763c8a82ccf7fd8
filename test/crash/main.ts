/**
 * The crash test. `npm run test:crash -- --help` tells its options. Exit code 1: our hub has broken a promise.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { BrokerKind } from './broker.ts'
import { runDiskFull } from './disk-full.ts'
import { runFailingSync } from './failing-sync.ts'
import { runPlain, type TrialOptions } from './plain.ts'
import { runPowerCut } from './power-cut.ts'
import { Random } from './random.ts'
import { findingsOf, tableOf, violationsOf } from './report.ts'
import type { Outcome } from './stage.ts'

const HELP = `Kills the broker at random moments, starts it again and looks whether it kept its promises.

  --broker hub|memory|mosquitto   what is tested (default hub). memory is the hub without a store; with both others
                                  only the plain kills run, and what they lose is reported, not judged
  --only RUN[,RUN]                kill, power, disk, sync (default all)
  --rounds N                      kills; the other runs have two fifths of them (default 50, or ROUNDS)
  --seed N                        repeats the decisions of a run (or SEED)
  --rate N                        messages per second (default 1500)
  --keep                          leave configuration, data and broker.log behind and tell where
  --program FILE                  another build of the hub than dist/cli/main.js
`

const KINDS: readonly string[] = ['hub', 'memory', 'mosquitto'] satisfies BrokerKind[]

/** A run that this machine can't do says why. */
type Run = (options: TrialOptions) => Promise<Outcome | string>

const RUNS: Readonly<Record<string, { run: Run; share: number }>> = {
  kill: { run: runPlain, share: 1 },
  power: { run: runPowerCut, share: 0.4 },
  disk: { run: runDiskFull, share: 0.4 },
  sync: { run: runFailingSync, share: 0.4 },
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      broker: { type: 'string', default: 'hub' },
      only: { type: 'string' },
      rounds: { type: 'string', default: process.env['ROUNDS'] ?? '50' },
      seed: { type: 'string', default: process.env['SEED'] ?? String(Date.now() % 1_000_000) },
      rate: { type: 'string', default: '1500' },
      keep: { type: 'boolean', default: false },
      program: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const kind = values.broker as BrokerKind
  if (!KINDS.includes(kind)) throw new Error(`--broker is one of ${KINDS.join(', ')}`)
  const rounds = count('rounds', values.rounds)
  const seed = count('seed', values.seed)
  const names = values.only?.split(',') ?? (kind === 'hub' ? Object.keys(RUNS) : ['kill'])
  console.log(`crash test of ${kind}: ${rounds} rounds, SEED=${seed}`)

  const outcomes: Outcome[] = []
  for (const name of names) {
    const entry = RUNS[name]
    if (entry === undefined) throw new Error(`--only takes ${Object.keys(RUNS).join(', ')}; not ${name}`)
    const dir = mkdtempSync(join(tmpdir(), 'openedge-crash-'))
    try {
      const outcome = await entry.run({
        rounds: Math.max(1, Math.round(rounds * entry.share)),
        random: new Random(seed).fork(name),
        rate: count('rate', values.rate),
        broker: { kind, program: values.program },
        dir,
        log: line => console.log(line),
      })
      if (typeof outcome === 'string') console.log(`${name}: skipped, ${outcome}`)
      else outcomes.push(outcome)
    } finally {
      if (values.keep) console.log(`${name}: ${dir} is kept`)
      else rmSync(dir, { recursive: true, force: true })
    }
  }
  console.log(`\n${tableOf(outcomes)}\n`)
  for (const outcome of outcomes) for (const line of findingsOf(outcome)) console.log(line)
  const isKept = outcomes.every(outcome => violationsOf(outcome) === 0)
  if (!isKept) console.log(`SEED=${seed} repeats it`)
  return isKept || kind === 'mosquitto' ? 0 : 1
}

function count(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0) throw new Error(`--${name} takes a whole number, not ${text}`)
  return value
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
process.exitCode = await main()

// npm run bench:store: measures what brokers store. See docs/benchmarks.md.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runProgram } from '../e2e/arguments.ts'
import { type BrokerName, missingReason } from '../e2e/brokers.ts'
import { type FsyncTime, measureFsync } from '../e2e/fsync-time.ts'
import { canPin, pinSelf } from '../e2e/pinning.ts'
import { measureBacklog } from './backlog.ts'
import { judge } from './bounds.ts'
import { measureLost } from './lost-after-kill.ts'
import { type Options, parseOptions, USAGE } from './options.ts'
import { formatReport, formatVerdicts, progressLine } from './report.ts'
import { measureRestart } from './restart.ts'
import type { Measured, Results } from './results.ts'
import { mosquittoWith, oursWith, type Room, type Variant } from './variants.ts'

/** More than any broker takes of one publisher in the time of `lost`. */
const LOST_ROOM: Room = { messages: 20_000_000, retained: 0 }

async function main(options: Options): Promise<number> {
  if (canPin()) pinSelf('generator')
  else console.error('no taskset or no second core: broker and load are not pinned, figures will be noisy')
  const fsync = fsyncHere()
  const results: Results = { lost: [], backlog: [], restart: [] }
  if (options.parts.includes('lost')) {
    for (const variant of lostVariants(options)) {
      const measured = await attempt(variant, () => measureLost(variant, options))
      console.error(progressLine.lost(measured))
      results.lost.push(measured)
    }
  }
  if (options.parts.includes('backlog')) {
    for (const variant of variantsOf(options, null, { messages: options.messages * 2, retained: 0 })) {
      for (const mode of options.modes) {
        const measured = await attempt(variant, () => measureBacklog(variant, { ...options, mode }))
        console.error(progressLine.backlog(measured))
        results.backlog.push(measured)
      }
    }
  }
  if (options.parts.includes('restart')) {
    const { each, retained } = options
    const room: Room = { messages: Math.max(10_000, each * 2, retained * 2), retained }
    // mosquitto has to save now and then, or it would have nothing to start from.
    for (const variant of variantsOf(options, 1, room)) {
      const measured = await attempt(variant, () => measureRestart(variant, options))
      console.error(progressLine.restart(measured))
      results.restart.push(measured)
    }
  }
  const verdicts = judge(results)
  console.log(formatReport(results, fsync))
  console.log(`\n${formatVerdicts(verdicts)}`)
  if (options.json !== null) {
    writeFileSync(options.json, `${JSON.stringify({ options, fsync, results, verdicts }, null, 1)}\n`)
  }
  const all = [...results.lost, ...results.backlog, ...results.restart]
  const isMissed = options.check && verdicts.some(({ isMet }) => !isMet)
  return isMissed || all.length === 0 || all.some(({ failure }) => failure !== null) ? 1 : 0
}

function lostVariants({ names }: Options): Variant[] {
  const ours = (['always', 'interval', 'never'] as const).map(sync => oursWith(sync, LOST_ROOM))
  return present([...ours, mosquittoWith(null), mosquittoWith(1)], names ?? ['ours', 'mosquitto'])
}

function variantsOf({ names, sync }: Options, autosaveSeconds: number | null, room: Room): Variant[] {
  return present([oursWith(sync, room), mosquittoWith(autosaveSeconds)], names ?? ['ours'])
}

function present(variants: readonly Variant[], names: readonly BrokerName[]): Variant[] {
  return variants.filter(({ name, broker }) => {
    if (!names.includes(broker)) return false
    const reason = missingReason(broker)
    if (reason !== null) console.error(`${name} is left out: ${reason}`)
    return reason === null
  })
}

/** Never rejects: what goes wrong is in the measurement. */
async function attempt<R>({ name, broker }: Variant, measure: () => Promise<R>): Promise<Measured<R>> {
  const measured: Measured<R> = { variant: name, broker, result: null, failure: null }
  try {
    measured.result = await measure()
  } catch (error) {
    measured.failure = error instanceof Error ? error.message : String(error)
  }
  return measured
}

function fsyncHere(): FsyncTime {
  const directory = mkdtempSync(join(tmpdir(), 'bench-fsync-'))
  try {
    return measureFsync(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

await runProgram(USAGE, parseOptions, main)

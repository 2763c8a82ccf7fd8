import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { BrokerSite } from './broker-site.ts'
import type { BrokerName } from './brokers.ts'
import { measureFsync } from './fsync-time.ts'
import type { Job } from './load/job.ts'
import type { Result } from './load/result.ts'
import { pinned } from './pinning.ts'
import type { Scenario, ScenarioName } from './scenarios.ts'

export interface Measurement {
  broker: BrokerName
  scenario: ScenarioName
  round: number
  /** Null when nothing could be measured. */
  result: Result | null
  /** Why the measurement counts for nothing, null when it counts. */
  failure: string | null
  /**
   * What one fdatasync took in the broker's directory just before, median in ms, drawn out where the scenario says so.
   * Null where nothing is to be stored.
   */
  fsyncMs: number | null
  /** Other processes took more of the machine than allowed. */
  disturbed: boolean
}

const GENERATOR = join(import.meta.dirname, 'load/main.ts')
const TIMEOUT_MS = 120_000

/** Runs one scenario against a fresh broker. Never rejects: what goes wrong is in the measurement. */
export async function measure(
  broker: BrokerName,
  scenario: Scenario,
): Promise<Pick<Measurement, 'result' | 'failure' | 'fsyncMs'>> {
  let fsyncMs: number | null = null
  try {
    const site = await BrokerSite.make(broker, scenario.setup)
    try {
      const { sync, fsyncMs: atLeast = 0 } = scenario.setup
      if (sync !== undefined) fsyncMs = Math.max(atLeast, measureFsync(site.directory).medianMs)
      const result = await measureAt(site, scenario)
      return { result, failure: faultOf(result), fsyncMs }
    } finally {
      await site.remove()
    }
  } catch (error) {
    return { result: null, failure: messageOf(error), fsyncMs }
  }
}

async function measureAt(site: BrokerSite, { work }: Scenario): Promise<Result> {
  const running = await site.start()
  try {
    const result = await generate({ target: running.target, work })
    const ended = running.ended()
    if (ended !== null) throw new Error(`the broker ended with ${ended}`)
    return result
  } catch (error) {
    const ended = running.ended()
    const printed = ended === null ? '' : `; the broker ended with ${ended}: ${running.output().slice(-300)}`
    throw new Error(messageOf(error) + printed, { cause: error })
  }
}

/** Runs the generator. Rejects when it could not measure; faults are in the result. */
export async function generate(job: Job): Promise<Result> {
  const command = pinned('generator', [process.execPath, '--import', 'tsx', GENERATOR, JSON.stringify(job)])
  const [file, ...args] = command as [string, ...string[]]
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: TIMEOUT_MS, killSignal: 'SIGKILL' })
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  if (child.signalCode !== null) throw new Error(`the generator did not end in ${TIMEOUT_MS / 1000} s`)
  if (child.exitCode !== 0) throw new Error(stderr.trim() || `the generator ended with ${child.exitCode}`)
  return JSON.parse(stdout) as Result
}

/** What a result counts for nothing for, null when it is sound. */
export function faultOf(result: Result): string | null {
  if (result.kind !== 'load') return null
  const counts = Object.entries(result.faults).filter(([, count]) => count > 0)
  if (counts.length === 0) return null
  return `${counts.map(([fault, count]) => `${fault} ${count}`).join(', ')} (first: ${result.firstFault})`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

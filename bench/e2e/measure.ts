import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type BrokerName, startBroker } from './brokers.ts'
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
  /** Other processes took more of the machine than allowed. */
  disturbed: boolean
}

const GENERATOR = join(import.meta.dirname, 'load/main.ts')
const TIMEOUT_MS = 120_000

/** Runs one scenario against a fresh broker. Never rejects: what goes wrong is in the measurement. */
export async function measure(
  broker: BrokerName,
  scenario: Scenario,
): Promise<Pick<Measurement, 'result' | 'failure'>> {
  try {
    const running = await startBroker(broker, scenario)
    try {
      const { pid, port, credentials } = running
      const result = await generate({ target: { host: '127.0.0.1', port, credentials, pid }, work: scenario.work })
      const ended = running.ended()
      if (ended !== null) throw new Error(`the broker ended with ${ended}`)
      return { result, failure: faultOf(result) }
    } catch (error) {
      const ended = running.ended()
      const printed = ended === null ? '' : `; the broker ended with ${ended}: ${running.output().slice(-300)}`
      return { result: null, failure: messageOf(error) + printed }
    } finally {
      await running.stop()
    }
  } catch (error) {
    return { result: null, failure: messageOf(error) }
  }
}

async function generate(job: Job): Promise<Result> {
  const command = pinned('generator', [process.execPath, '--import', 'tsx', GENERATOR, JSON.stringify(job)])
  const [file, ...args] = command as [string, ...string[]]
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: TIMEOUT_MS, killSignal: 'SIGKILL' })
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  if (child.signalCode !== null) throw new Error(`the generator did not end in ${TIMEOUT_MS / 1000} s`)
  if (child.exitCode !== 0) throw new Error(stderr.trim() || `the generator ended with ${child.exitCode}`)
  return JSON.parse(stdout) as Result
}

function faultOf(result: Result): string | null {
  if (result.kind !== 'load') return null
  const counts = Object.entries(result.faults).filter(([, count]) => count > 0)
  if (counts.length === 0) return null
  return `${counts.map(([fault, count]) => `${fault} ${count}`).join(', ')} (first: ${result.firstFault})`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

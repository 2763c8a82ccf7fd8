import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { LoadOptions } from '../e2e/load/job.ts'
import { pinned } from '../e2e/pinning.ts'
import type { FlowResult } from './load/flow-result.ts'
import type { Chain, FlowJob } from './load/job.ts'

const GENERATOR = join(import.meta.dirname, 'load/main.ts')
const TIMEOUT_MS = 120_000

/** Runs the generator. Rejects when it could not measure, or found a fault. */
export async function measureFlow(chain: Chain, load: LoadOptions): Promise<FlowResult> {
  const job: FlowJob = { chain, load }
  const command = pinned('generator', [process.execPath, '--import', 'tsx', GENERATOR, JSON.stringify(job)])
  const [file, ...args] = command as [string, ...string[]]
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: TIMEOUT_MS, killSignal: 'SIGKILL' })
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  if (child.signalCode !== null) throw new Error(`the generator did not end in ${TIMEOUT_MS / 1000} s`)
  if (child.exitCode !== 0) throw new Error(stderr.trim() || `the generator ended with ${child.exitCode}`)
  const result = JSON.parse(stdout) as FlowResult
  const counts = Object.entries(result.faults).filter(([, count]) => count > 0)
  if (counts.length > 0) {
    throw new Error(`${counts.map(([fault, count]) => `${fault} ${count}`).join(', ')} (first: ${result.firstFault})`)
  }
  return result
}

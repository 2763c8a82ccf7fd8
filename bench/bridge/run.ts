// npm run bench:bridge: measures bridges. See docs/benchmarks.md.
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { runProgram, UsageError } from '../e2e/arguments.ts'
import { measureFsync } from '../e2e/fsync-time.ts'
import { canPin, pinSelf } from '../e2e/pinning.ts'
import { judge } from './bounds.ts'
import { type Case, makeCases } from './cases.ts'
import { missingWay } from './chains.ts'
import { measureMemory } from './memory.ts'
import { type Options, parseOptions, USAGE } from './options.ts'
import { formatReport, formatVerdicts, roundLine } from './report.ts'
import type { MeasuredCase, Results } from './results.ts'

async function main(asked: Options): Promise<number> {
  const missing = missingWay('ours')
  if (missing !== null) throw new UsageError(missing)
  const options = { ...asked, ways: asked.ways.filter(isThere) }
  if (canPin()) pinSelf('generator')
  else console.error('no taskset or no second core: processes are not pinned, figures will be noisy')
  const { medianMs } = measureFsync(tmpdir())
  console.error(`storage.sync ${options.sync}; one fdatasync takes ${medianMs.toFixed(2)} ms here`)
  const results = await measureAll(options)
  const verdicts = judge(results, options.parts.includes('memory'))
  console.log(`${formatReport(results)}\n\n${formatVerdicts(verdicts)}`)
  if (options.json !== null) {
    writeFileSync(options.json, `${JSON.stringify({ options, fsyncMs: medianMs, results, verdicts }, null, 1)}\n`)
  }
  const isFailed = results.failures.length > 0 || results.cases.some(({ failures }) => failures.length > 0)
  return isFailed || (options.check && verdicts.some(({ isMet }) => !isMet)) ? 1 : 0
}

/** Round by round, so that a slow minute of the machine hits all alike. */
async function measureAll(options: Options): Promise<Results> {
  const cases = makeCases(options).map((each): [Case, MeasuredCase] => [each, { ...each, rounds: [], failures: [] }])
  const results: Results = { cases: cases.map(([, measured]) => measured), memory: [], failures: [] }
  for (let round = 0; round < options.rounds; round++) {
    for (const [each, measured] of cases) {
      const { part, name, qos } = each
      await attempt(`round ${round + 1}  ${part} q${qos} ${name}`, measured.failures, async () => {
        const result = await each.measure()
        measured.rounds.push(result)
        console.error(roundLine(each, round, result))
      })
    }
    if (!options.parts.includes('memory')) continue
    await attempt(`round ${round + 1}  memory`, results.failures, async () => {
      const result = await measureMemory(options)
      results.memory.push(result)
      const { connectedKb, trafficKb } = result
      const mib = (kb: number): string => `${(kb / 1024).toFixed(1)} MiB`
      console.error(`round ${round + 1}  memory  connected ${mib(connectedKb)}, after messages ${mib(trafficKb)}`)
    })
  }
  return results
}

function isThere(name: Options['ways'][number]): boolean {
  const reason = missingWay(name)
  if (reason !== null) console.error(`${name} is left out: ${reason}`)
  return reason === null
}

/** What goes wrong is told and counted. */
async function attempt(place: string, failures: string[], work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    // What the processes printed follows on further lines.
    failures.push(message.split('\n', 1)[0] as string)
    console.error(`${place}  FAILED: ${message}`)
  }
}

await runProgram(USAGE, parseOptions, main)

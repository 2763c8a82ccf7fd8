// npm run bench:features: measures what rules, figures and reloads cost. See docs/benchmarks.md.
import { writeFileSync } from 'node:fs'
import { runProgram, UsageError } from '../e2e/arguments.ts'
import { missingReason } from '../e2e/brokers.ts'
import { canPin, pinSelf } from '../e2e/pinning.ts'
import { judge } from './bounds.ts'
import { measureRound, type Round } from './compare.ts'
import { comparisonNames, makeComparisons } from './comparisons.ts'
import { type Options, parseOptions, USAGE } from './options.ts'
import { measureReload } from './reload.ts'
import { formatReport, formatVerdicts, roundLine } from './report.ts'
import type { Compared, Results } from './results.ts'
import { measureStart } from './startup.ts'

/** For what is asked to be within a few percent. */
const MORE_ROUNDS = 1

async function main(options: Options): Promise<number> {
  const missing = missingReason('ours')
  if (missing !== null) throw new UsageError(missing)
  if (canPin()) pinSelf('generator')
  else console.error('no taskset or no second core: hub and load are not pinned, figures will be noisy')
  const results: Results = { compared: await compare(options), starts: [], reload: null, failures: [] }
  if (options.parts.includes('start')) {
    await attempt(results, async () => {
      for (let round = 0; round < options.rounds; round++) {
        for (const rules of [0, options.rules]) {
          const start = await measureStart(rules)
          console.error(
            `start, ${rules} rules: check ${start.checkMs.toFixed(0)} ms, ready ${start.readyMs.toFixed(0)} ms`,
          )
          results.starts.push(start)
        }
      }
    })
  }
  if (options.parts.includes('reload')) {
    await attempt(results, async () => {
      results.reload = await measureReload(options)
    })
  }
  const verdicts = judge(options.parts, results, options.rate)
  console.log(`${formatReport(results)}\n\n${formatVerdicts(verdicts)}`)
  if (options.json !== null) {
    writeFileSync(options.json, `${JSON.stringify({ options, results, verdicts }, null, 1)}\n`)
  }
  const isMissed = options.check && verdicts.some(({ isMet }) => !isMet)
  const isFailed = results.failures.length > 0 || results.compared.some(({ failures }) => failures.length > 0)
  return isMissed || isFailed ? 1 : 0
}

/** Round by round, so that a slow minute of the machine hits all alike. */
async function compare({ parts, rounds, ...options }: Options): Promise<Compared[]> {
  const known = await makeComparisons(options)
  const names = comparisonNames.filter(name => parts.includes(name))
  const measured = names.map(name => ({
    name,
    comparison: known[name],
    rounds: [] as Round[],
    failures: [] as string[],
  }))
  for (let round = 0; round < rounds + MORE_ROUNDS; round++) {
    for (const { name, comparison, rounds: done, failures } of measured) {
      if (round >= rounds && comparison.other.scrapes === null) continue
      try {
        const both = await measureRound(comparison, round)
        done.push(both)
        console.error(roundLine(name, round, both))
      } catch (error) {
        failures.push(messageOf(error))
        console.error(`${name} round ${round + 1}  FAILED: ${messageOf(error)}`)
      }
    }
  }
  return measured
}

/** What goes wrong is in the results. */
async function attempt(results: Results, measure: () => Promise<void>): Promise<void> {
  try {
    await measure()
  } catch (error) {
    results.failures.push(messageOf(error))
    console.error(`FAILED: ${messageOf(error)}`)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

await runProgram(USAGE, parseOptions, main)

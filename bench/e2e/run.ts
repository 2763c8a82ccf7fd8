// npm run bench:e2e: measures brokers side by side. See docs/benchmarks.md.
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { runProgram } from './arguments.ts'
import { type BrokerName, missingReason, versionOf } from './brokers.ts'
import { type Measurement, measure } from './measure.ts'
import { type Options, parseOptions, USAGE } from './options.ts'
import { canPin } from './pinning.ts'
import { formatReport, formatVerdicts } from './report.ts'
import { makeScenarios, type Scenario, type ScenarioName } from './scenarios.ts'
import { slowFsyncMissing } from './slow-fsync.ts'
import { judge, metricOf } from './summary.ts'

async function main(options: Options): Promise<number> {
  const brokers = availableBrokers(options.names)
  const known = makeScenarios(options)
  const names = availableScenarios(options.scenarios, known)
  const scenarios = Object.fromEntries(names.map(name => [name, known[name]]))
  const versions = Object.fromEntries(await Promise.all(brokers.map(async name => [name, await versionOf(name)])))
  if (!canPin()) note('no taskset or no second core: broker and generator are not pinned, figures will be noisy')
  const all: Measurement[] = []
  for (let round = 0; round < options.rounds; round++) {
    for (const [name, scenario] of Object.entries(scenarios) as [ScenarioName, Scenario][]) {
      for (const broker of brokers.filter(each => scenario.brokers.includes(each))) {
        const measurement = await measureQuietly(broker, name, scenario, round, options)
        all.push(measurement)
        note(progressLine(measurement))
      }
    }
  }
  const verdicts = judge(all, names)
  console.log(
    `${Object.entries(versions)
      .map(([name, version]) => `${name} ${String(version)}`)
      .join(', ')}; ${machine()}\n`,
  )
  console.log(formatReport({ all, brokers, scenarios, maxNoise: options.maxNoise }))
  if (options.check) console.log(`\n${formatVerdicts(verdicts)}`)
  if (options.json !== null) {
    const document = { machine: machine(), versions, options, measurements: all, verdicts }
    writeFileSync(options.json, `${JSON.stringify(document, null, 1)}\n`)
  }
  const isMissed = options.check && verdicts.some(({ isMet }) => !isMet)
  return isMissed || brokers.length === 0 || all.some(({ failure }) => failure !== null) ? 1 : 0
}

function availableBrokers(names: readonly BrokerName[]): BrokerName[] {
  return names.filter(name => {
    const reason = missingReason(name)
    if (reason !== null) note(`${name} is left out: ${reason}`)
    return reason === null
  })
}

function availableScenarios(
  names: readonly ScenarioName[],
  known: Readonly<Record<ScenarioName, Scenario>>,
): ScenarioName[] {
  return names.filter(name => {
    const reason = known[name].setup.fsyncMs === undefined ? null : slowFsyncMissing()
    if (reason !== null) note(`${name} is left out: ${reason}`)
    return reason === null
  })
}

/** Measures again while other processes disturb, within the allowed number of times. A failure is never repeated. */
async function measureQuietly(
  broker: BrokerName,
  name: ScenarioName,
  scenario: Scenario,
  round: number,
  { retries, maxNoise }: Options,
): Promise<Measurement> {
  for (let attempt = 0; ; attempt++) {
    const measured = await measure(broker, scenario)
    const { result, failure } = measured
    const disturbed = result !== null && result.noise.otherCpuShare + result.noise.stealShare > maxNoise
    if (!disturbed || failure !== null || attempt === retries) {
      return { ...measured, broker, scenario: name, round, disturbed }
    }
  }
}

function progressLine({ broker, scenario, round, result, failure, disturbed }: Measurement): string {
  const place = `round ${round + 1}  ${scenario.padEnd(14)} ${broker.padEnd(9)}`
  if (failure !== null) return `${place}  FAILED: ${failure}`
  if (result === null) return place
  const figure = (['cpu', 'kib', 'ms'] as const).map(metric => [metricOf(result, metric), metric] as const)
  const [value, metric] = figure.find(([measured]) => measured !== null) ?? [0, '']
  const noise = `${(result.noise.otherCpuShare * 100).toFixed(0)} % noise${disturbed ? ', disturbed' : ''}`
  const rate = metricOf(result, 'rate')
  const perSecond = rate === null ? '' : `${rate.toFixed(0).padStart(8)}/s`
  return `${place} ${(value ?? 0).toFixed(3).padStart(10)} ${metric.padEnd(3)} ${perSecond.padEnd(10)}  ${noise}`
}

function machine(): string {
  const processors = cpus()
  return `${processors.length} x ${processors[0]?.model ?? 'unknown CPU'}, Node.js ${process.version}`
}

/** Progress goes to stderr, so that stdout is the report alone. */
function note(line: string): void {
  console.error(line)
}

await runProgram(USAGE, parseOptions, main)

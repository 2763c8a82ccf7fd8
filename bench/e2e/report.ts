import type { BrokerName } from './brokers.ts'
import type { Result } from './load/result.ts'
import type { Measurement } from './measure.ts'
import type { Scenario, ScenarioName } from './scenarios.ts'
import { type Cell, cellOf, fsyncOf, median, medianOf, type Verdict } from './summary.ts'

interface Column {
  title: string
  figure: (result: Result) => number | null
  digits: number
  /** Whether the ratio to mosquitto says something. */
  hasRatio?: boolean
}

const columns: Record<Result['kind'], readonly Column[]> = {
  load: [
    column('CPU us/delivered', 2, r => (r.kind === 'load' ? r.cpuUsPerDelivered : null), true),
    column('delivered/s', 0, r => (r.kind === 'load' ? r.deliveredPerSecond : null)),
    column('p50 us', 0, r => (r.kind === 'load' ? r.latencyUs.p50 : null), true),
    column('p99 us', 0, r => (r.kind === 'load' ? r.latencyUs.p99 : null), true),
    column('broker CPU %', 0, r => (r.kind === 'load' ? r.brokerCpuShare * 100 : null)),
    column('generator busy %', 0, r => (r.kind === 'load' ? r.generatorBusy * 100 : null)),
    column('RSS peak MiB', 1, r => (r.kind === 'load' ? r.rssPeakKb / 1024 : null)),
  ],
  idle: [
    column('KiB/connection', 2, r => (r.kind === 'idle' ? r.kibPerConnection : null), true),
    column('connects/s', 0, r => (r.kind === 'idle' ? r.connectsPerSecond : null)),
    column('CPU us/connect', 1, r => (r.kind === 'idle' ? r.cpuUsPerConnect : null), true),
    column('RSS MiB', 1, r => (r.kind === 'idle' ? r.rssKb / 1024 : null)),
  ],
  retained: [
    column('slowest median ms', 3, r => (r.kind === 'retained' ? r.slowestMs : null), true),
    ...['exact', 'plus', 'hash'].map(shape =>
      column(`${shape} ms`, 3, r => (r.kind === 'retained' ? (r.medianMs[shape] ?? null) : null)),
    ),
    column('RSS MiB', 1, r => (r.kind === 'retained' ? r.rssKb / 1024 : null)),
  ],
}

export interface ReportInput {
  all: readonly Measurement[]
  brokers: readonly BrokerName[]
  scenarios: Readonly<Partial<Record<ScenarioName, Scenario>>>
  maxNoise: number
}

/** The report as Markdown: one table for each scenario, then the noise. */
export function formatReport({ all, brokers, scenarios, maxNoise }: ReportInput): string {
  const parts: string[] = []
  for (const [name, scenario] of Object.entries(scenarios) as [ScenarioName, Scenario][]) {
    const kind = scenario.work.kind
    const present = brokers.filter(broker => scenario.brokers.includes(broker))
    const cells = new Map(present.map(broker => [broker, cellOf(all, name, broker)]))
    parts.push(`### ${name}: ${scenario.what}\n`, ...table(kind, cells), '')
    const fsyncMs = fsyncOf(all, name)
    if (fsyncMs !== null) parts.push(`One fdatasync of 4 KiB took ${fsyncMs.toFixed(2)} ms.\n`)
  }
  parts.push(noiseLine(all, maxNoise))
  return parts.join('\n')
}

export function formatVerdicts(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ target, value, limit, isMet }) => {
    const unit = 'timesMosquitto' in target.limit ? ' x mosquitto' : ''
    const isLeast = 'atLeast' in target.limit
    const figure = (number: number): string => grouped(number, isLeast ? 0 : 3) + unit
    const cells = [target.scenario, target.metric, `${isLeast ? 'at least' : 'at most'} ${figure(limit)}`]
    cells.push(value === null ? 'not measured' : figure(value), isMet ? 'met' : 'MISSED')
    return `| ${cells.join(' | ')} |`
  })
  return ['### Targets\n', '| scenario | figure | asked for | ours | |', '|---|---|---:|---:|---|', ...rows].join('\n')
}

function table(kind: Result['kind'], cells: ReadonlyMap<BrokerName, Cell>): string[] {
  const shown = columns[kind]
  const base = cells.get('mosquitto')
  const rows = [...cells].map(([broker, cell]) => {
    const figures = shown.map(each => {
      const value = medianOf(cell.used, each.figure)
      if (value === null) return '-'
      const reference = each.hasRatio && broker !== 'mosquitto' && base ? medianOf(base.used, each.figure) : null
      return grouped(value, each.digits) + (reference ? ` (${(value / reference).toFixed(3)}x)` : '')
    })
    return `| ${broker} | ${figures.join(' | ')} | ${runsOf(cell)} |`
  })
  const failures = [...cells].flatMap(([broker, { failures: own }]) => own.map(failure => `- ${broker}: ${failure}`))
  return [
    `| broker | ${shown.map(({ title }) => title).join(' | ')} | runs |`,
    `|---|${'---:|'.repeat(shown.length)}---|`,
    ...rows,
    ...(failures.length > 0 ? ['', 'Failed:', ...failures] : []),
  ]
}

function runsOf({ used, failures, leftOut, isDisturbed }: Cell): string {
  const notes = [String(used.length)]
  if (isDisturbed) notes.push('disturbed')
  if (leftOut > 0) notes.push(`${leftOut} disturbed left out`)
  if (failures.length > 0) notes.push(`${failures.length} failed`)
  return notes.join(', ')
}

function noiseLine(all: readonly Measurement[], maxNoise: number): string {
  const noise = all.flatMap(({ result }) => (result === null ? [] : [result.noise]))
  if (noise.length === 0) return 'Nothing was measured.'
  const percent = (shares: readonly number[]): string =>
    `median ${((median(shares) ?? 0) * 100).toFixed(0)} %, worst ${(Math.max(...shares) * 100).toFixed(0)} %`
  const disturbed = all.filter(measurement => measurement.disturbed).length
  return (
    `CPU of other processes while measuring, of one core: ${percent(noise.map(({ otherCpuShare }) => otherCpuShare))}; ` +
    `taken by the hypervisor: ${percent(noise.map(({ stealShare }) => stealShare))}. ` +
    `${disturbed} of ${all.length} measurements were disturbed (more than ${(maxNoise * 100).toFixed(0)} %).`
  )
}

function column(title: string, digits: number, figure: Column['figure'], hasRatio = false): Column {
  return { title, digits, figure, hasRatio }
}

function grouped(value: number, digits: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

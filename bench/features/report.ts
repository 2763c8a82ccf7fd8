import { median } from '../e2e/summary.ts'
import type { Verdict } from './bounds.ts'
import type { Round, SideResult } from './compare.ts'
import type { Side } from './comparisons.ts'
import type { ReloadResult } from './reload.ts'
import { type Compared, capacityOf, cpuOf, cpuRatio, type Results, rateOf, rateRatio } from './results.ts'
import type { StartResult } from './startup.ts'

/** The report as Markdown: a table for each part. */
export function formatReport({ compared, starts, reload, failures }: Results): string {
  const parts = compared.map(formatCompared)
  if (starts.length > 0) parts.push(formatStarts(starts))
  if (reload !== null) parts.push(formatReload(reload))
  if (failures.length > 0) parts.push(['Failed:', ...failures.map(failure => `- ${failure}`)].join('\n'))
  return parts.length === 0 ? 'Nothing was measured.' : parts.join('\n\n')
}

export function formatVerdicts(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(
    ({ what, asked, measured, isMet }) => `| ${what} | ${asked} | ${measured} | ${isMet ? 'met' : 'MISSED'} |`,
  )
  return ['### Bounds\n', '| figure | asked for | measured | |', '|---|---:|---:|---|', ...rows].join('\n')
}

/** One line for a round that was just measured. */
export function roundLine(name: string, number: number, { base, other }: Round): string {
  const side = (result: SideResult): string => `${cpuOf(result).toFixed(3)} us, ${rateOf(result).toFixed(0)}/s`
  const noise = Math.max(base.load.noise.otherCpuShare, other.load.noise.otherCpuShare)
  const ratio = (capacityOf(other) / capacityOf(base)).toFixed(3)
  const place = `${name.padEnd(10)} round ${number + 1}`
  return `${place}  ${side(base)} against ${side(other)}: ${ratio}  ${(noise * 100).toFixed(0)} % noise`
}

function formatCompared(compared: Compared): string {
  const { name, comparison, rounds, failures } = compared
  const row = (side: Side, pick: (round: Round) => SideResult, ratios: readonly (number | null)[]): string => {
    const own = rounds.map(pick)
    const noise = median(own.map(({ load }) => load.noise.otherCpuShare * 100))
    const cells = [
      figure(median(own.map(cpuOf)), 3),
      figure(median(own.map(rateOf)), 0),
      ...ratios.map(ratio => figure(ratio, 3)),
      figure(median(own.map(({ load }) => load.latencyUs.p99)), 0),
      figure(median(own.map(({ load }) => load.brokerCpuShare * 100)), 0),
      figure(median(own.map(({ load }) => load.generatorBusy * 100)), 0),
      figure(median(own.map(({ load }) => load.rssPeakKb / 1024)), 1),
      figure(noise, 0),
    ]
    return `| ${side.what} | ${cells.join(' | ')} |`
  }
  const lines = [
    `### ${name}: ${comparison.what}\n`,
    '| hub | CPU us/delivered | delivered/s | throughput by CPU | by rate | p99 us | hub CPU % | generator busy % | RSS peak MiB | noise % |',
    `|---|${'---:|'.repeat(9)}`,
    row(comparison.base, ({ base }) => base, [1, 1]),
    row(comparison.other, ({ other }) => other, [cpuRatio(compared), rateRatio(compared)]),
  ]
  const scrapes = rounds.flatMap(({ other }) => (other.scrapes === null ? [] : [other.scrapes]))
  const last = scrapes.at(-1)
  if (last !== undefined) {
    const slowest = Math.max(...scrapes.map(({ slowestMs }) => slowestMs))
    const rest = median(rounds.map(({ other }) => other.restCpuShare * 100))
    lines.push('', `A scrape of ${last.bytes} bytes took ${slowest.toFixed(0)} ms at most.`)
    lines.push(`With nothing else to do the hub takes ${figure(rest, 1)} % of a core for its figures.`)
  }
  if (failures.length > 0) lines.push('', 'Failed:', ...failures.map(failure => `- ${failure}`))
  return lines.join('\n')
}

function formatStarts(starts: readonly StartResult[]): string {
  const counts = [...new Set(starts.map(({ rules }) => rules))]
  const rows = counts.map(count => {
    const own = starts.filter(({ rules }) => rules === count)
    const check = figure(median(own.map(({ checkMs }) => checkMs)), 0)
    return `| ${count} | ${check} | ${figure(median(own.map(({ readyMs }) => readyMs)), 0)} |`
  })
  return [
    '### start\n',
    '| rules | ms of `openedge check` | ms to the first CONNACK |',
    '|---:|---:|---:|',
    ...rows,
  ].join('\n')
}

function formatReload(result: ReloadResult): string {
  const { reloads, medianMs, slowestMs, messages, perSecond, p99Us, faults, firstFault } = result
  const cells = [
    String(reloads),
    figure(medianMs, 1),
    figure(slowestMs, 1),
    figure(messages, 0),
    figure(perSecond, 0),
    figure(p99Us, 0),
    `${faults}${firstFault === null ? '' : ` (${firstFault})`}`,
    figure(result.rssBeforeKb / 1024, 1),
    figure(result.rssAfterKb / 1024, 1),
  ]
  return [
    '### reload: QoS 1, 10 to 10, 64 B, at a fixed rate\n',
    '| reloads | median ms | slowest ms | messages | messages/s | p99 us | faults | RSS MiB at first | at last |',
    `|${'---:|'.repeat(cells.length)}`,
    `| ${cells.join(' | ')} |`,
  ].join('\n')
}

function figure(value: number | null, digits: number): string {
  if (value === null) return '-'
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

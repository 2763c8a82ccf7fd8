import { median } from '../e2e/summary.ts'
import { type Verdict, WINDOW_RATE } from './bounds.ts'
import { type Case, DEAD_RATE, DELAY_MS, LATENCY_RATE } from './cases.ts'
import { WINDOW } from './configs.ts'
import type { FlowResult } from './load/flow-result.ts'
import type { MemoryResult } from './memory.ts'
import type { PartName } from './options.ts'
import { above, bridgeCpu, type Figure, type MeasuredCase, medianOf, type Results, sibling } from './results.ts'

const TITLES: Readonly<Record<Exclude<PartName, 'memory'>, string>> = {
  throughput_out: 'from hub to remote, 64 B, 10 publishers, 1 subscriber',
  throughput_in: 'from remote to hub, 64 B, 10 publishers, 1 subscriber',
  rtt: `the same with ${DELAY_MS} ms each way between bridge and remote, window ${WINDOW}`,
  latency: `${LATENCY_RATE} messages a second, across the bridge against one hub alone`,
  dead_remote: `${DEAD_RATE} messages a second over 20 remotes; latency of those that are not dead`,
}

const NAMES: Readonly<Record<Case['name'], string>> = {
  ours: 'OpenEdge bridge between two hubs',
  mosquitto: 'mosquitto as bridge between two hubs',
  mqttjs: 'MQTT.js, `message` to `publish`',
  builtin: 'mosquitto as hub with its bridge',
  plain: 'mosquitto as hub, no bridge',
  direct: 'one hub',
  none: 'none is dead',
  refusing: 'one refuses connections',
  silent: 'one takes connections and says nothing',
}

interface Column {
  title: string
  digits: number
  of: (measured: MeasuredCase, cases: readonly MeasuredCase[]) => number | null
}

function plain(title: string, digits: number, figure: Figure): Column {
  return { title, digits, of: measured => medianOf(measured, figure) }
}

const rate: Figure = ({ deliveredPerSecond }) => deliveredPerSecond
const p50Ms: Figure = ({ latencyUs }) => latencyUs.p50 / 1000
const p99Ms: Figure = ({ latencyUs }) => latencyUs.p99 / 1000

const RATE = plain('messages/s', 0, rate)
const BRIDGE_CPU: Column = { title: 'bridge CPU us/message', digits: 2, of: (own, cases) => bridgeCpu(cases, own) }
const CHAIN_CPU = plain('CPU us/message of all', 2, ({ chainCpuUs }) => chainCpuUs)
const RSS = plain('bridge RSS peak MiB', 1, ({ rssPeakKb }) => rssPeakKb / 1024)
const BUSY = plain('generator busy %', 0, ({ generatorBusy }) => generatorBusy * 100)
const NOISE = plain('noise %', 0, ({ noise }) => noise.otherCpuShare * 100)
const P50 = plain('p50 ms', 2, p50Ms)
const P99 = plain('p99 ms', 2, p99Ms)

function added(title: string, figure: Figure, base: Case['name']): Column {
  return { title, digits: 2, of: (own, cases) => above(own, sibling(cases, own, base), figure) }
}

const WINDOW_SHARE: Column = {
  title: '% of window / RTT',
  digits: 1,
  of: measured => {
    const own = medianOf(measured, rate)
    return own === null ? null : (own / WINDOW_RATE) * 100
  },
}

const THROUGHPUT = [RATE, BRIDGE_CPU, CHAIN_CPU, RSS, BUSY, NOISE]
const COLUMNS: Readonly<Record<Exclude<PartName, 'memory'>, readonly Column[]>> = {
  throughput_out: THROUGHPUT,
  throughput_in: THROUGHPUT,
  rtt: [RATE, WINDOW_SHARE, BRIDGE_CPU, NOISE],
  latency: [P50, P99, added('p50 added', p50Ms, 'direct'), added('p99 added', p99Ms, 'direct'), NOISE],
  dead_remote: [P50, P99, added('p50 added', p50Ms, 'none'), added('p99 added', p99Ms, 'none'), NOISE],
}

/** The report as Markdown: a table for each part, direction and QoS. */
export function formatReport({ cases, memory, failures }: Results): string {
  const tables = new Map<string, MeasuredCase[]>()
  for (const each of cases) {
    const key = `${each.part} ${each.direction} ${each.qos}`
    tables.set(key, [...(tables.get(key) ?? []), each])
  }
  const parts = [...tables.values()].map(own => formatTable(own, cases))
  if (memory.length > 0) parts.push(formatMemory(memory))
  const failed = [...failures, ...cases.flatMap(failureLines)]
  if (failed.length > 0) parts.push(['Failed:', ...failed.map(failure => `- ${failure}`)].join('\n'))
  return parts.length === 0 ? 'Nothing was measured.' : parts.join('\n\n')
}

export function formatVerdicts(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(
    ({ what, asked, measured, isMet }) => `| ${what} | ${asked} | ${measured} | ${isMet ? 'met' : 'MISSED'} |`,
  )
  return ['### Bounds\n', '| figure | asked for | measured | |', '|---|---:|---:|---|', ...rows].join('\n')
}

/** One line for what was just measured. */
export function roundLine({ part, name, direction, qos }: Case, round: number, result: FlowResult): string {
  const place = `round ${round + 1}  ${part.padEnd(14)} ${direction.padEnd(3)} q${qos} ${name.padEnd(9)}`
  const cpu = `${result.forwarderCpuUs.toFixed(2)} us, all ${result.chainCpuUs.toFixed(2)} us`
  const times = `p50 ${p50Ms(result).toFixed(2)} ms, p99 ${p99Ms(result).toFixed(2)} ms`
  const noise = `${(result.noise.otherCpuShare * 100).toFixed(0)} % noise`
  return `${place} ${result.deliveredPerSecond.toFixed(0).padStart(7)}/s  ${cpu}  ${times}  ${noise}`
}

function formatTable(own: readonly MeasuredCase[], cases: readonly MeasuredCase[]): string {
  const [{ part, direction, qos }] = own as [MeasuredCase]
  if (part === 'memory') return ''
  const columns = COLUMNS[part]
  const rows = own.map(each => {
    const cells = columns.map(({ of, digits }) => figure(of(each, cases), digits))
    return `| ${NAMES[each.name]} | ${cells.join(' | ')} | ${each.rounds.length} |`
  })
  return [
    `### ${part}, ${direction}, QoS ${qos}: ${TITLES[part]}\n`,
    `| | ${columns.map(({ title }) => title).join(' | ')} | runs |`,
    `|---|${'---:|'.repeat(columns.length + 1)}`,
    ...rows,
  ].join('\n')
}

function formatMemory(results: readonly MemoryResult[]): string {
  const mib = (pick: (result: MemoryResult) => number): string => figure(median(results.map(pick)), 1, 1024)
  const cells = [
    mib(({ connectedKb }) => connectedKb),
    mib(({ trafficKb }) => trafficKb),
    mib(({ peakKb }) => peakKb),
    mib(({ anonKb }) => anonKb),
    figure(median(results.map(({ messages }) => messages)), 0),
  ]
  return [
    '### memory: 100 rules on 20 remotes, both ways, MiB\n',
    '| RSS connected | after messages | peak | anonymous | messages | runs |',
    `|${'---:|'.repeat(cells.length + 1)}`,
    `| ${cells.join(' | ')} | ${results.length} |`,
  ].join('\n')
}

function failureLines({ part, name, direction, qos, failures }: MeasuredCase): string[] {
  return failures.map(failure => `${part}, ${direction}, QoS ${qos}, ${name}: ${failure}`)
}

function figure(value: number | null, digits: number, unit = 1): string {
  if (value === null) return '-'
  return (value / unit).toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

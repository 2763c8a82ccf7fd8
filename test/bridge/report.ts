import { KINDS, type Kind } from './ledger.ts'
import type { FaultKind } from './plan.ts'
import type { FaultRecord, Outcome } from './stage.ts'
import type { Direction, Stream } from './stream.ts'

/** What went over each way, and what each kind of fault did; two tables of Markdown and a line. */
export function summaryOf({ ledger, faults, seconds, drainMs, bridgePeak }: Outcome): string {
  const ways = new Map<string, Stream[]>()
  for (const stream of ledger.streams) {
    const key = `${nameOf(stream.direction)}, QoS ${stream.qos}`
    ways.set(key, [...(ways.get(key) ?? []), stream])
  }
  const flows = [...ways].map(([name, streams]) => flowRow(name, streams))
  const kinds = [...new Set(faults.map(({ kind }) => kind))].sort()
  return [
    aligned([['way', 'sent', 'acknowledged', 'arrived', 'lost', 'forgotten', 'twice', 'twice on the way'], ...flows]),
    aligned([
      ['fault', 'times', 'down in all', 'flows again after (median)', '(slowest)', 'not waited for'],
      ...kinds.map(kind => faultRow(kind, faults)),
    ]),
    `${seconds.toFixed(1)} s, drained in ${(drainMs / 1000).toFixed(1)} s, bridge at most ${(bridgePeak / 2 ** 20).toFixed(0)} MiB resident`,
  ].join('\n\n')
}

/** What was found wrong; empty: nothing. */
export function findingsOf({ ledger }: Outcome): string[] {
  const found = (Object.keys(KINDS) as Kind[]).filter(kind => ledger.count(kind) > 0)
  return [
    ...found.map(kind => `${ledger.count(kind)} x ${kind}: ${KINDS[kind]}`),
    ...ledger.details.map(detail => `  ${detail}`),
  ]
}

function nameOf(direction: Direction): string {
  return direction === 'out' ? 'hub to remote' : 'remote to hub'
}

function flowRow(name: string, streams: readonly Stream[]): string[] {
  const sum = (pick: (stream: Stream) => number): string =>
    grouped(streams.reduce((total, stream) => total + pick(stream), 0))
  return [
    name,
    sum(({ length }) => length),
    sum(({ acknowledged }) => acknowledged),
    sum(({ arrived }) => arrived),
    sum(stream => stream.lost().length),
    sum(stream => stream.forgotten().length),
    sum(({ duplicates }) => duplicates),
    sum(({ wayDuplicates }) => wayDuplicates),
  ]
}

function faultRow(kind: FaultKind, all: readonly FaultRecord[]): string[] {
  const faults = all.filter(fault => fault.kind === kind)
  const times = faults.flatMap(({ recoveryMs }) => recoveryMs ?? []).sort((a, b) => a - b)
  const down = faults.reduce((sum, { downMs }) => sum + downMs, 0)
  const median = times[Math.floor(times.length / 2)]
  const slowest = times.at(-1)
  return [
    kind,
    grouped(faults.length),
    inSeconds(down),
    median === undefined ? '-' : inSeconds(median),
    slowest === undefined ? '-' : inSeconds(slowest),
    grouped(faults.length - times.length),
  ]
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`
}

function grouped(count: number): string {
  return count.toLocaleString('en-US')
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map(row => (row[i] as string).length)))
  const lines = rows.map(row => {
    const cells = row.map((cell, i) =>
      i === 0 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number),
    )
    return `| ${cells.join(' | ')} |`
  })
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  return [lines[0], `| ${rule.join(' | ')} |`, ...lines.slice(1)].join('\n')
}

import type { FsyncTime } from '../e2e/fsync-time.ts'
import type { BacklogResult } from './backlog.ts'
import type { Verdict } from './bounds.ts'
import type { LostResult } from './lost-after-kill.ts'
import type { RestartResult } from './restart.ts'
import type { Measured, Results } from './results.ts'

type Columns<R> = readonly (readonly [title: string, figure: (result: R) => string])[]

const lostColumns: Columns<LostResult> = [
  ['acknowledged', r => whole(r.acknowledged)],
  ['lost', r => `${whole(r.lost)} (${((r.lost / r.acknowledged) * 100).toFixed(1)} %)`],
  ['not acknowledged, but delivered', r => whole(r.unacknowledgedArrived)],
  ['out of order', r => whole(r.disordered)],
  ['session', r => (r.isSessionKept ? 'kept' : 'forgotten')],
]

const backlogColumns: Columns<BacklogResult> = [
  ['messages', r => whole(r.messages)],
  ['mode', r => r.mode],
  ['filled/s', r => whole(r.fill.perSecond)],
  ['drained/s', r => whole(r.drain.perSecond)],
  ['CPU us in, out', r => `${r.fill.cpuUs.toFixed(2)}, ${r.drain.cpuUs.toFixed(2)}`],
  ['RSS peak MB in, out', r => `${megabytes(r.fill.peakKb)}, ${megabytes(r.drain.peakKb)}`],
  ['anonymous', r => `${megabytes(r.fill.anonPeakKb)}, ${megabytes(r.drain.anonPeakKb)}`],
  ['disk MB', r => (r.diskBytes / 1e6).toFixed(1)],
  ['lost', r => whole(r.lost)],
  ['duplicate', r => whole(r.faults.duplicates)],
  ['out of order', r => whole(r.faults.disordered)],
  ['wrong', r => whole(r.faults.wrong)],
  ['left over', r => whole(r.leftOver)],
  ['noise %', r => `${percent(r.fill.noise.otherCpuShare)}, ${percent(r.drain.noise.otherCpuShare)}`],
]

const restartColumns: Columns<RestartResult> = [
  ['sessions', r => whole(r.sessions)],
  ['messages', r => whole(r.messages)],
  ['retained', r => whole(r.retained)],
  ['disk MB', r => (r.diskBytes / 1e6).toFixed(1)],
  ['ms to first CONNACK', r => whole(r.readyMs)],
  ['RSS then MB', r => megabytes(r.rssKb)],
  ['sessions not whole', r => `${whole(r.brokenSessions)} of ${whole(r.checkedSessions)}`],
  ['retained lost, wrong', r => `${whole(r.lostRetained)}, ${whole(r.wrongRetained)}`],
]

/** The report as Markdown: one table for each part. */
export function formatReport({ lost, backlog, restart }: Results, fsync: FsyncTime): string {
  const { medianMs, p90Ms, writes } = fsync
  return [
    `One fdatasync of 4 KiB on this disk: median ${medianMs.toFixed(2)} ms, p90 ${p90Ms.toFixed(2)} ms of ${writes}.`,
    ...table('Lost after SIGKILL, QoS 1 to an absent session', lost, lostColumns),
    ...table('Backlog of one absent session, QoS 1, 64 B', backlog, backlogColumns),
    ...table('Restart after SIGKILL', restart, restartColumns),
  ].join('\n')
}

export function formatVerdicts(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(
    ({ what, asked, measured, isMet }) => `| ${what} | ${asked} | ${measured} | ${isMet ? 'met' : 'MISSED'} |`,
  )
  return ['### Bounds\n', '| figure | asked for | measured | |', '|---|---:|---:|---|', ...rows].join('\n')
}

/** One line for a measurement that has just been made. */
export const progressLine = {
  lost: (measured: Measured<LostResult>): string => lineOf('lost', measured, lostColumns),
  backlog: (measured: Measured<BacklogResult>): string => lineOf('backlog', measured, backlogColumns),
  restart: (measured: Measured<RestartResult>): string => lineOf('restart', measured, restartColumns),
} as const

function lineOf<R>(part: string, { variant, result, failure }: Measured<R>, columns: Columns<R>): string {
  const figures =
    result === null ? `FAILED: ${failure}` : columns.map(([name, of]) => `${name} ${of(result)}`).join('; ')
  return `${part}  ${variant}: ${figures}`
}

function table<R>(title: string, all: readonly Measured<R>[], columns: Columns<R>): string[] {
  if (all.length === 0) return []
  const rows = all.map(({ variant, result, failure }) =>
    result === null
      ? `| ${variant} | FAILED: ${failure} |`
      : `| ${variant} | ${columns.map(([, figure]) => figure(result)).join(' | ')} |`,
  )
  return [
    `\n### ${title}\n`,
    `| broker | ${columns.map(([name]) => name).join(' | ')} |`,
    `|---|${'---:|'.repeat(columns.length)}`,
    ...rows,
  ]
}

function whole(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 })
}

function megabytes(kibibytes: number): string {
  return ((kibibytes * 1024) / 1e6).toFixed(1)
}

function percent(share: number): string {
  return (share * 100).toFixed(0)
}

import type { Measured, Results } from './results.ts'

/** What our hub has to reach, whatever the disk. */
const BOUNDS = { backlogBytes: 300e6, drainPerSecond: 30_000, restartMs: 10_000 }

export interface Verdict {
  what: string
  asked: string
  measured: string
  isMet: boolean
}

/** How our hub does. What could not be measured is a miss. */
export function judge({ lost, backlog, restart }: Results): Verdict[] {
  return [
    ...lost.flatMap(measured =>
      verdicts(measured, result => [
        atMost('acknowledged messages lost after SIGKILL', result.lost, 0),
        atMost('messages out of order after SIGKILL', result.disordered, 0),
      ]),
    ),
    ...backlog.flatMap(measured =>
      verdicts(measured, ({ mode, fill, drain, lost: missing, faults, leftOver }) => {
        const { duplicates, disordered, wrong } = faults
        const peakMb = (Math.max(fill.peakKb, drain.peakKb) * 1024) / 1e6
        return [
          atMost(`backlog of ${mode}: RSS peak in MB`, peakMb, BOUNDS.backlogBytes / 1e6),
          atLeast(`backlog of ${mode}: drained a second`, drain.perSecond, BOUNDS.drainPerSecond),
          atMost(`backlog of ${mode}: faults`, missing + duplicates + disordered + wrong + leftOver, 0),
        ]
      }),
    ),
    ...restart.flatMap(measured =>
      verdicts(measured, ({ readyMs, brokenSessions, lostRetained, wrongRetained }) => [
        atMost('restart: ms until the first CONNACK', readyMs, BOUNDS.restartMs),
        atMost('restart: faults', brokenSessions + lostRetained + wrongRetained, 0),
      ]),
    ),
  ]
}

function verdicts<R>({ variant, broker, result, failure }: Measured<R>, of: (result: R) => Verdict[]): Verdict[] {
  if (broker !== 'ours') return []
  const own =
    result === null ? [{ what: failure ?? '', asked: '', measured: 'not measured', isMet: false }] : of(result)
  return own.map(verdict => ({ ...verdict, what: `${variant}: ${verdict.what}` }))
}

function atMost(what: string, value: number, limit: number): Verdict {
  return { what, asked: `at most ${whole(limit)}`, measured: whole(value), isMet: value <= limit }
}

function atLeast(what: string, value: number, limit: number): Verdict {
  return { what, asked: `at least ${whole(limit)}`, measured: whole(value), isMet: value >= limit }
}

function whole(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 })
}

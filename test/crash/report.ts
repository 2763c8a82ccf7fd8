import { KINDS, type Kind } from './ledger.ts'
import type { Outcome } from './stage.ts'

/** A table of Markdown, its columns aligned. */
export function tableOf(outcomes: readonly Outcome[]): string {
  const kinds = Object.keys(KINDS) as Kind[]
  const shown = kinds.filter(
    kind => kind === 'lost' || outcomes.some(outcome => (outcome.violations.get(kind) ?? 0) > 0),
  )
  const head = ['run', 'rounds', 'messages', 'acknowledged', 'delivered', 'duplicates', 'slowest start', 'violations']
  const rows = outcomes.map(outcome => [
    outcome.name,
    String(outcome.rounds),
    grouped(outcome.messages),
    grouped(outcome.acknowledged),
    grouped(outcome.delivered),
    grouped(outcome.duplicates),
    `${(outcome.slowestStartMs / 1000).toFixed(2)} s`,
    grouped(violationsOf(outcome)),
    ...shown.map(kind => grouped(outcome.violations.get(kind) ?? 0)),
  ])
  return aligned([[...head, ...shown], ...rows])
}

/** What was found, one line each. */
export function findingsOf(outcome: Outcome): string[] {
  const found = [...outcome.violations].filter(([, count]) => count > 0)
  const lines = found.map(([kind, count]) => `${outcome.name}: ${count} x ${kind}: ${KINDS[kind]}`)
  if (outcome.lostMessages > 0) {
    lines.push(
      `${outcome.name}: ${outcome.lostMessages} of ${outcome.acknowledged} acknowledged messages did not reach everybody`,
    )
  }
  return [...lines, ...outcome.details.map(detail => `  ${detail}`)]
}

export function violationsOf(outcome: Outcome): number {
  return [...outcome.violations.values()].reduce((sum, count) => sum + count, 0)
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

function grouped(count: number): string {
  return count.toLocaleString('en-US')
}

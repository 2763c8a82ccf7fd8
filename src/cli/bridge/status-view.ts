import type { BridgeAnswer, FlowFigures, LinkFigures, RuleFigures } from '../../bridge/index.ts'
import { fit, oneLine, widthOf } from '../text.ts'
import { amount, span, uptime } from '../top/figures.ts'

const GAP = '  '
const NOTHING = '-'

interface Column {
  readonly title: string
  readonly side: 'left' | 'right'
  readonly cell: (rule: RuleFigures, now: number) => string
}

const text = (title: string, cell: Column['cell']): Column => ({ title, side: 'left', cell })
const number = (title: string, cell: Column['cell']): Column => ({ title, side: 'right', cell })

const COLUMNS: readonly Column[] = [
  text('RULE', ({ name }) => oneLine(name)),
  text('REMOTE', ({ remote }) => oneLine(remote)),
  text('HUB LINK', ({ links: [hub] }) => stateOf(hub)),
  text('REMOTE LINK', ({ links: [, remote] }) => stateOf(remote)),
  number('SINCE', (rule, now) => uptime((now - sinceOf(rule)) / 1000)),
  number('OUT', rule => forwarded(rule, 'out')),
  number('IN', rule => forwarded(rule, 'in')),
  number('IN FLIGHT', rule => amount(sum(rule, ({ inFlight }) => inFlight))),
  number('WAITING', rule => amount(sum(rule, ({ waiting }) => waiting))),
  number('LAG', ({ flows }) => lagOf(flows)),
  number('DROPPED', rule => amount(sum(rule, droppedOf))),
  number('DUPLICATES', rule => amount(sum(rule, ({ duplicates }) => duplicates))),
]

/** A table of the rules, each followed by a line for each link that failed. `now`: milliseconds since 1970. */
export function statusLines({ version, pid, startedAt, rules }: BridgeAnswer, now: number): string[] {
  const connected = rules.filter(({ links }) => links.every(({ phase }) => phase === 'connected')).length
  const head = `OpenEdge ${oneLine(version)} bridge  up ${uptime((now - startedAt) / 1000)}  pid ${pid}  rules ${rules.length}, connected ${connected}`
  if (rules.length === 0) return [head]
  const cells = rules.map(rule => COLUMNS.map(({ cell }) => cell(rule, now)))
  const titles = COLUMNS.map(({ title }) => title)
  const widths = COLUMNS.map((_, at) => Math.max(...[titles, ...cells].map(row => widthOf(row[at] ?? ''))))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, at) => fit(cell, widths[at] ?? 0, COLUMNS[at]?.side))
      .join(GAP)
      .trimEnd()
  return [head, '', line(titles), ...rules.flatMap((rule, i) => [line(cells[i] ?? []), ...errorLines(rule, now)])]
}

function errorLines({ links }: RuleFigures, now: number): string[] {
  return links.flatMap(link => {
    const { side, lastError, lastErrorAt } = link
    const refused = link.refused.length === 0 ? [] : [`${GAP}${side} refused: ${oneLine(link.refused.join(', '))}`]
    if (lastError === '') return refused
    return [...refused, `${GAP}last error, ${span(Math.max(now - lastErrorAt, 0))} ago: ${oneLine(lastError)}`]
  })
}

function stateOf({ phase, refused }: LinkFigures): string {
  return refused.length === 0 ? oneLine(phase) : `${oneLine(phase)}, ${refused.length} refused`
}

/** When the rule came into the state that it is in: all connected, or the first of its links away. */
function sinceOf({ links }: RuleFigures): number {
  const away = links.filter(({ phase }) => phase !== 'connected').map(({ since }) => since)
  return away.length === 0 ? Math.max(...links.map(({ since }) => since)) : Math.min(...away)
}

function forwarded({ flows }: RuleFigures, direction: FlowFigures['direction']): string {
  const flow = flows.find(each => each.direction === direction)
  return flow === undefined ? NOTHING : amount(flow.forwarded)
}

function sum({ flows }: RuleFigures, count: (flow: FlowFigures) => number): number {
  return flows.reduce((total, flow) => total + count(flow), 0)
}

function droppedOf({ dropped }: FlowFigures): number {
  return Object.values(dropped).reduce((total, count) => total + count, 0)
}

function lagOf(flows: readonly FlowFigures[]): string {
  const lag = Math.max(0, ...flows.map(({ lagMs }) => lagMs))
  return lag === 0 ? NOTHING : span(lag)
}

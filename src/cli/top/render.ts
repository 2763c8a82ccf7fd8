import { cut, fit, oneLine } from '../text.ts'
import { amount, bytes, span, uptime } from './figures.ts'
import type { View } from './view.ts'

export interface Line {
  readonly text: string
  /** `title`: the head of a table. `alarm`: somebody has to look at it. */
  readonly style: 'plain' | 'title' | 'alarm'
}

export interface Picture {
  readonly view: View
  /** Why there is nothing newer; null: it is of now. */
  readonly stale: string | null
  /** Last line. */
  readonly footer: string
}

interface Column {
  readonly title: string
  /** Null: what the others leave. One column of a table has it. */
  readonly width: number | null
  readonly side: 'left' | 'right'
}

interface Table {
  readonly columns: readonly Column[]
  readonly rows: readonly (readonly string[])[]
  /** Shown in place of rows. */
  readonly none: string
}

const GAP = 1
/** Of what takes the rest, so that narrow terminals show something of it. */
const LEAST_NAME = 8

/**
 * What the terminal shows: no line has more than `columns` columns, and there are `rows` of them at most. What comes from
 * outside, topics and client identifiers, is escaped.
 */
export function render({ view, stale, footer }: Picture, columns: number, rows: number): Line[] {
  const head = stale === null ? header(view) : [{ text: stale, style: 'alarm' } as const, ...header(view)]
  const tables = [topicTable(view), ruleTable(view), slowTable(view), clientTable(view)]
  const room = share(
    tables.map(table => Math.max(table.rows.length, 1)),
    rows - head.length - tables.length * 2 - 1,
  )
  const body = tables.flatMap((table, i) => tableLines(table, columns, room[i] ?? 0))
  const lines = [...head, ...body].slice(0, Math.max(rows - 1, 0))
  if (footer !== '' && lines.length < rows) lines.push({ text: footer, style: 'plain' })
  return lines.map(({ text, style }) => ({ text: cut(text, columns), style }))
}

function header(view: View): Line[] {
  const { snapshot, rates, loopDelay } = view
  const { clients, messages, queues, store, process: taken } = snapshot
  const cpu = view.cpuPercent === null ? '-' : `${view.cpuPercent.toFixed(0)}%`
  const lag = loopDelay === null ? '-' : `${span(loopDelay.meanMs)} (max ${span(loopDelay.maxMs)})`
  const dropping = (rates?.dropped ?? 0) > 0
  const plain = (text: string): Line => ({ text, style: 'plain' })
  return [
    {
      text: `OpenEdge ${oneLine(view.version)}  up ${uptime(view.uptimeSeconds)}  pid ${view.pid}  cpu ${cpu}  mem ${bytes(taken.rssBytes)}  lag ${lag}`,
      style: 'title',
    },
    plain(
      `Clients   ${clients.connected} (most ${clients.maximum})  new ${perSecond(rates?.accepted)}  refused ${amount(clients.refused)}  sessions ${clients.sessions}  subscriptions ${snapshot.subscriptions}`,
    ),
    plain(
      `Messages  in ${perSecond(rates?.messagesIn)}  out ${perSecond(rates?.messagesOut)}   bytes in ${bytes(rates?.bytesIn ?? null)}/s  out ${bytes(rates?.bytesOut ?? null)}/s`,
    ),
    {
      text: `Dropped   ${perSecond(rates?.dropped)}  since the start ${amount(view.dropped)}${drops(view)}`,
      style: dropping ? 'alarm' : 'plain',
    },
    plain(
      `Waiting   ${amount(queues.messages)} messages, ${bytes(queues.bytes)}  unacknowledged ${amount(queues.unacknowledged)}  retained ${amount(messages.retained)}, ${bytes(messages.retainedBytes)}`,
    ),
    { text: `Store     ${stateOf(store)}`, style: store === null || store.alarm === 'ok' ? 'plain' : 'alarm' },
  ]
}

function perSecond(value: number | undefined): string {
  return `${amount(value ?? null)}/s`
}

function stateOf(store: View['snapshot']['store']): string {
  if (store === null) return 'in memory'
  const { alarm, pendingBytes, waitingMessages } = store
  const taken = store.bytes === null ? '' : `  ${bytes(store.bytes)} on disk`
  return `${alarm}${taken}  to write ${bytes(pendingBytes)}  waiting ${amount(waitingMessages)}`
}

function drops({ snapshot: { messages, rules } }: View): string {
  const kinds: readonly (readonly [name: string, count: number])[] = [
    ['too slow', messages.droppedQos0],
    ['queue full', messages.droppedQueued],
    ['too old', messages.droppedExpired],
    ['refused', messages.refused],
    ['retained', messages.droppedRetained],
    ['by rules', rules.dropped],
  ]
  const some = kinds.filter(([, count]) => count > 0).map(([name, count]) => `${name} ${amount(count)}`)
  return some.length === 0 ? '' : ` (${some.join(', ')})`
}

const number = (title: string, width: number): Column => ({ title, width, side: 'right' })
const name = (title: string): Column => ({ title, width: null, side: 'left' })

function topicTable({ topics }: View): Table {
  return {
    columns: [name('BUSIEST TOPICS'), number('MSG/S', 8), number('TOTAL', 8)],
    rows: topics.map(({ item, rate }) => [oneLine(item.topic), amount(rate), amount(item.messages)]),
    none: 'no messages yet',
  }
}

function ruleTable({ rules, snapshot }: View): Table {
  return {
    columns: [
      name(`RULES (${snapshot.rules.count})`),
      number('MATCH/S', 8),
      number('FORWARDED', 10),
      number('DROPPED', 8),
      { title: ' LAST ERROR', width: 30, side: 'left' },
    ],
    rows: rules.map(({ item, rate }) => [
      oneLine(item.name),
      amount(rate),
      amount(item.forwarded),
      amount(item.dropped),
      ` ${oneLine(item.lastError ?? '')}`,
    ]),
    none: 'no rules',
  }
}

function slowTable({ slow }: View): Table {
  return {
    columns: [
      name('SLOW CONSUMERS'),
      number('QUEUED', 8),
      number('UNACKED', 8),
      number('BUFFERED', 10),
      number('BLOCKED', 8),
    ],
    rows: slow.map(({ id, connected, queued, unacknowledged, outputBytes, blockedMs }) => [
      oneLine(id),
      amount(queued),
      amount(unacknowledged),
      connected ? bytes(outputBytes) : '-',
      blockedMs > 0 ? span(blockedMs) : connected ? '-' : 'absent',
    ]),
    none: 'none',
  }
}

function clientTable({ clients }: View): Table {
  return {
    columns: [
      name('BUSIEST CLIENTS'),
      { title: ' FROM', width: 24, side: 'left' },
      number('MSG/S', 8),
      number('RECEIVED', 9),
      number('SENT', 8),
    ],
    rows: clients.map(({ item, rate }) => [
      oneLine(item.id),
      ` ${oneLine(`${item.transport} ${item.address}`)}`,
      amount(rate),
      amount(item.received),
      amount(item.sent),
    ]),
    none: 'nobody is connected',
  }
}

/** The head, as many rows as there is room for, and an empty line. */
function tableLines(table: Table, columns: number, room: number): Line[] {
  const kept = columnsThatFit(table.columns, columns)
  const taken = kept.reduce((sum, at) => sum + (table.columns[at]?.width ?? 0) + GAP, -GAP)
  const rest = Math.max(columns - taken, 1)
  const line = (cells: readonly string[]): string =>
    kept
      .map(at => {
        const { width, side } = table.columns[at] as Column
        return fit(cells[at] ?? '', width ?? rest, side)
      })
      .join(' '.repeat(GAP))
  const rows: Line[] = table.rows.slice(0, room).map(cells => ({ text: line(cells), style: 'plain' }))
  if (table.rows.length === 0 && room > 0) rows.push({ text: `  ${table.none}`, style: 'plain' })
  return [
    { text: line(table.columns.map(({ title }) => title)), style: 'title' },
    ...rows,
    { text: '', style: 'plain' },
  ]
}

/** Positions of the columns, without the last ones when the names would have no room. */
function columnsThatFit(columns: readonly Column[], width: number): number[] {
  const kept = columns.map((_, at) => at)
  const taken = (): number => kept.reduce((sum, at) => sum + (columns[at]?.width ?? LEAST_NAME) + GAP, -GAP)
  while (kept.length > 1 && taken() > width) kept.pop()
  return kept
}

/** Shares lines among tables that want some: alike, and what one does not want the others get. */
function share(wanted: readonly number[], lines: number): number[] {
  const given = wanted.map(() => 0)
  let left = Math.max(lines, 0)
  for (;;) {
    const open = wanted.flatMap((want, at) => (want > (given[at] ?? 0) ? [at] : []))
    if (open.length === 0 || left <= 0) return given
    const each = Math.max(Math.floor(left / open.length), 1)
    for (const at of open) {
      const more = Math.min(each, (wanted[at] ?? 0) - (given[at] ?? 0), left)
      given[at] = (given[at] ?? 0) + more
      left -= more
    }
  }
}

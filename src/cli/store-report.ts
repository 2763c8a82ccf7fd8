import type { ClientLoss, Losses, SessionSummary, StoreFinding, StoreRepair, StoreSummary } from '../broker/index.ts'
import type { Shell } from './command.ts'

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
const SHOWN_NAMES = 5

export function reportSummary(summary: StoreSummary, shell: Shell): void {
  const { sessions, connected, messages, oldest, shared, retained, reserveBytes } = summary
  const rows: [string, string][] = [
    ['directory', summary.dir],
    ['format', `${summary.format}${summary.madeBy === '' ? '' : `, made by openedge ${summary.madeBy}`}`],
    [
      'size',
      `${sizeOf(summary.bytes)}, and ${reserveBytes === 0 ? 'no reserve' : `a reserve of ${sizeOf(reserveBytes)}`}`,
    ],
    ['sessions', `${sessions}${connected > 0 ? `, ${connected} connected when the hub ended` : ''}`],
    ['subscriptions', `${summary.subscriptions}`],
    [
      'messages',
      `${messages} waiting, ${sizeOf(summary.messageBytes)}${oldest === null ? '' : `, since ${timeOf(oldest)}`}`,
    ],
    ['shared', `${countOf(shared, 'record')} of messages for several sessions, ${sizeOf(summary.sharedBytes)}`],
    ['receipts', `${summary.receipts}`],
    ['retained', `${retained}, ${sizeOf(summary.retainedBytes)}`],
    ['wills', `${summary.wills}`],
  ]
  for (const [name, text] of rows) shell.out(`${name.padEnd(14)}${text}`)
}

const HEADINGS = ['CLIENT', 'PRINCIPAL', 'SINCE', 'FILTERS', 'WAITING', 'SIZE', 'OLDEST']
const CLIENT_WIDTH = 24
const PRINCIPAL_WIDTH = 12
const TIME_WIDTH = 21

/** Lines as they come: there may be a hundred thousand, so widths are not made to measure. */
export function reportSessions(sessions: Iterable<SessionSummary>, shell: Shell): void {
  const row = ([client, principal, since, filters, waiting, size, oldest]: readonly string[]): string =>
    [
      client?.padEnd(CLIENT_WIDTH),
      principal?.padEnd(PRINCIPAL_WIDTH),
      since?.padEnd(TIME_WIDTH),
      filters?.padStart(7),
      waiting?.padStart(9),
      `${size?.padStart(11)} `,
      oldest,
    ]
      .join(' ')
      .trimEnd()
  shell.out('')
  shell.out(row(HEADINGS))
  for (const each of sessions) {
    shell.out(
      row([
        plain(each.clientId),
        each.principal === '' ? '-' : plain(each.principal),
        each.leftAt === null ? 'connected' : timeOf(each.leftAt),
        `${each.subscriptions}`,
        `${each.messages}`,
        sizeOf(each.bytes),
        each.oldest === null ? '-' : timeOf(each.oldest),
      ]),
    )
  }
}

export function reportFinding({ where, what, remedy, isProblem }: StoreFinding, shell: Shell): void {
  shell.out(`${isProblem ? '' : 'note: '}${where}: ${what}${remedy === '' ? '' : `; ${remedy}`}`)
}

/** Says exactly what is lost. */
export function reportRepair(repair: StoreRepair, shell: Shell): void {
  for (const finding of repair.findings) reportFinding({ ...finding, remedy: '' }, shell)
  for (const { file, kept } of repair.cut)
    shell.out(`${file}: kept ${countOf(kept, 'block')}; what else was in it is lost, and can't be listed`)
  for (const { file, kept, droppedBytes } of repair.logs) {
    shell.out(
      `${file}: kept ${countOf(kept, 'write')}; ${sizeOf(droppedBytes)} of others are lost, and can't be listed`,
    )
  }
  if (repair.isRebuilt) {
    shell.out('the list of tables was made anew: messages that clients have had may come once more')
  }
  reportLosses(repair.losses, shell)
  if (repair.originals.length > 0) shell.out(`the files as they were are in ${repair.originals.join(' and ')}`)
}

function reportLosses(losses: Losses, shell: Shell): void {
  const { records, clients, retained, shared, unknown, wills } = losses
  if (records === 0) return
  shell.out(`removed ${countOf(records, 'record')}:`)
  for (const client of clients) shell.out(`  ${lossOf(client)}`)
  if (shared > 0) shell.out(`  ${countOf(shared, 'message record')} of several sessions`)
  for (const topic of retained) shell.out(`  retained message of ${JSON.stringify(topic)}`)
  for (const clientId of wills) shell.out(`  Will of client ${JSON.stringify(clientId)}`)
  if (unknown > 0) shell.out(`  ${countOf(unknown, 'record')} of unknown kind`)
}

function lossOf(loss: ClientLoss): string {
  const { session, clientId, isGone, messages, isExact, subscriptions, receipts, position } = loss
  const parts: string[] = []
  if (isGone) parts.push('its session')
  if (messages > 0) parts.push(`${isExact ? '' : 'at least '}${countOf(messages, 'message')}`)
  if (subscriptions.length > 0) {
    const more = subscriptions.length > SHOWN_NAMES ? ', ...' : ''
    const names = subscriptions.slice(0, SHOWN_NAMES).map(name => JSON.stringify(name))
    parts.push(`${countOf(subscriptions.length, 'subscription')} (${names.join(', ')}${more})`)
  }
  if (receipts > 0) parts.push(countOf(receipts, 'receipt'))
  if (position) parts.push('what had been sent to it: it may get messages twice')
  const who = clientId === null ? 'a client whose name is lost' : `client ${JSON.stringify(clientId)}`
  return `${who} (session ${session}): ${parts.join('; ')}`
}

export function countOf(count: number, one: string): string {
  return `${count} ${one}${count === 1 ? '' : 's'}`
}

export function sizeOf(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`
}

function timeOf(ms: number): string {
  const time = new Date(ms)
  return Number.isNaN(time.getTime()) ? '?' : time.toISOString().replace(/\.\d+Z$/, 'Z')
}

/** Names come from clients: they must not move the cursor of a terminal. */
function plain(name: string): string {
  return /[\s"\\\p{C}]/u.test(name) ? JSON.stringify(name) : name
}

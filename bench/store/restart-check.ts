import { ClientGroup } from '../e2e/load/client-group.ts'
import { inParallel } from '../e2e/load/in-parallel.ts'
import type { Target } from '../e2e/load/job.ts'
import { ALL_RETAINED } from '../e2e/load/retained-topics.ts'
import type { Sender } from '../e2e/load/sender.ts'
import { Collector } from './load/collector.ts'
import { follow } from './load/follow.ts'
import { RetainedCollector } from './load/retained-collector.ts'

/** Nothing more is expected when nothing has come for so long. */
const QUIET_MS = 3000

/** What was stored before the restart. */
export interface Stored {
  run: number
  sessions: number
  /** Who published the messages of the sessions, in turn. */
  sender: Sender
}

/** How many of so many sessions do not have exactly their messages, in order. */
export async function countBroken(target: Target, checked: number, stored: Stored): Promise<number> {
  // Spread over all, the first and the last among them.
  const step = (stored.sessions - 1) / Math.max(1, checked - 1)
  const numbers = Array.from({ length: checked }, (_, i) => Math.floor(i * step))
  let broken = 0
  await inParallel(numbers, async number => {
    if (!(await isSessionWhole(target, number, stored))) broken++
  })
  return broken
}

async function isSessionWhole(target: Target, number: number, { run, sessions, sender }: Stored): Promise<boolean> {
  const clients = new ClientGroup(target)
  const collector = new Collector(sender, run, { first: number, step: sessions })
  const total = sender.made / sessions
  try {
    const client = clients.make(sessionName(number), { keepSession: true })
    client.sink = collector
    await client.connect()
    if (!client.sessionPresent) return false
    const course = { what: sessionName(number), count: () => collector.arrived, total, signal: clients.signal }
    const seconds = await follow({ ...course, stallMs: QUIET_MS, limitMs: QUIET_MS })
    return seconds !== null && collector.isFaultless
  } finally {
    await clients.endAll()
  }
}

/** Takes all retained messages. */
export async function collectRetained(target: Target, retained: number, limitMs: number): Promise<RetainedCollector> {
  const collector = new RetainedCollector(retained)
  if (retained === 0) return collector
  const clients = new ClientGroup(target)
  try {
    const client = clients.make('bench-retained')
    client.sink = collector
    await client.connect()
    await clients.unlessOneFails(client.subscribe(ALL_RETAINED, 1))
    const course = { what: 'retained messages', count: () => collector.arrived, total: retained }
    await follow({ ...course, stallMs: QUIET_MS, limitMs, signal: clients.signal })
    return collector
  } finally {
    await clients.endAll()
  }
}

export function sessionName(number: number): string {
  return `bench-session-${number}`
}

export function sessionTopic(number: number): string {
  return `dev/${number}/command`
}

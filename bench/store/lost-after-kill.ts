import { setTimeout as sleep } from 'node:timers/promises'
import { BrokerSite } from '../e2e/broker-site.ts'
import type { Client } from '../e2e/load/client.ts'
import { ClientGroup } from '../e2e/load/client-group.ts'
import type { Target } from '../e2e/load/job.ts'
import { Collector } from './load/collector.ts'
import { follow } from './load/follow.ts'
import { Publishing } from './load/publishing.ts'
import { randomRun, SETTLE_MS, subscribeAndLeave } from './load/sessions.ts'
import type { Variant } from './variants.ts'

export interface LostOptions {
  /** How long messages are published before the broker is killed. */
  publishMs: number
  limitMs: number
}

export interface LostResult {
  /** Messages that were acknowledged before the broker was killed, and those of them that never came. */
  acknowledged: number
  lost: number
  /** Sent, never acknowledged, and delivered all the same, as they may be. */
  unacknowledgedArrived: number
  disordered: number
  /** Whether the broker still knew the session. */
  isSessionKept: boolean
}

const SESSION = { clientId: 'bench-absent', filter: 'bench/0' }
/** Nothing more is expected when nothing has come for so long. */
const QUIET_MS = 2000

/** Kills a broker in the midst of messages for an absent session, starts it again, and counts what was forgotten. */
export async function measureLost({ broker, setup }: Variant, options: LostOptions): Promise<LostResult> {
  const site = await BrokerSite.make(broker, setup)
  const run = randomRun()
  try {
    const killed = await site.start()
    await subscribeAndLeave(killed.target, SESSION)
    const publishing = await publishUntilKilled(killed.target, run, options.publishMs, () => killed.kill())
    if (publishing.fault !== null) throw new Error(publishing.fault)
    const { acknowledged } = publishing
    if (acknowledged === 0) throw new Error('nothing was acknowledged before the broker was killed')
    const restarted = await site.start()
    const collector = new Collector(publishing.sender, run)
    const isSessionKept = await collect(restarted.target, collector, options.limitMs)
    if (collector.faults.wrong > 0) throw new Error(`${collector.faults.wrong} messages came that nobody sent so`)
    const lost = collector.missing(acknowledged)
    return {
      acknowledged,
      lost,
      unacknowledgedArrived: collector.arrived - (acknowledged - lost),
      disordered: collector.faults.disordered,
      isSessionKept,
    }
  } finally {
    await site.remove()
  }
}

async function publishUntilKilled(
  target: Target,
  run: number,
  publishMs: number,
  kill: () => Promise<void>,
): Promise<Publishing> {
  const clients = new ClientGroup(target)
  try {
    const client = clients.make('bench-pub')
    const publishing = new Publishing(client, {
      run,
      topics: [SESSION.filter],
      size: 64,
      window: 100,
      count: Number.POSITIVE_INFINITY,
    })
    await client.connect()
    publishing.start()
    await clients.unlessOneFails(sleep(publishMs))
    // What the kernel still has for the publisher counts: it is read before the connection is found to be broken.
    const broken = new Promise<void>(resolve => {
      clients.signal.addEventListener('abort', () => resolve())
    })
    await Promise.all([kill(), broken])
    return publishing
  } finally {
    await clients.endAll()
  }
}

async function collect(target: Target, collector: Collector, limitMs: number): Promise<boolean> {
  const clients = new ClientGroup(target)
  try {
    const client: Client = clients.make(SESSION.clientId, { keepSession: true })
    client.sink = collector
    await client.connect()
    await follow({
      what: 'collected',
      count: () => collector.arrived,
      total: Number.POSITIVE_INFINITY,
      stallMs: QUIET_MS,
      limitMs,
      signal: clients.signal,
    })
    await sleep(SETTLE_MS)
    return client.sessionPresent
  } finally {
    await clients.endAll()
  }
}

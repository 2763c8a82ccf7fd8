import { setTimeout as sleep } from 'node:timers/promises'
import { type BrokerProcess, BrokerSite } from '../e2e/broker-site.ts'
import { Client, ReadSpace } from '../e2e/load/client.ts'
import { ClientGroup } from '../e2e/load/client-group.ts'
import { inParallel } from '../e2e/load/in-parallel.ts'
import type { Target } from '../e2e/load/job.ts'
import { memoryOf } from '../e2e/load/proc.ts'
import { fillRetained } from '../e2e/load/retained-topics.ts'
import type { Sender } from '../e2e/load/sender.ts'
import { diskUsage } from './disk-usage.ts'
import { reach } from './load/follow.ts'
import { inTime } from './load/in-time.ts'
import { Publishing } from './load/publishing.ts'
import { randomRun, SETTLE_MS } from './load/sessions.ts'
import { collectRetained, countBroken, sessionName, sessionTopic } from './restart-check.ts'
import type { Variant } from './variants.ts'

export interface RestartOptions {
  sessions: number
  /** Messages that wait for each session. */
  each: number
  /** Topics with a retained message. */
  retained: number
  /** Of every step. */
  limitMs: number
}

export interface RestartResult {
  sessions: number
  messages: number
  retained: number
  diskBytes: number
  /** From the start of the process to the first CONNACK. */
  readyMs: number
  /** Resident then. */
  rssKb: number
  /** How many sessions were looked into, and how many of them had not exactly their messages in order. */
  checkedSessions: number
  brokenSessions: number
  /** Retained topics whose message was lost, and messages that were wrong. */
  lostRetained: number
  wrongRetained: number
}

const SIZE = 64
const WINDOW = 1000
/** Connections come from this many addresses, since each has only some 28,000 ports to one destination. */
const SOURCE_ADDRESSES = 20
const CHECKED_SESSIONS = 100
const STALL_MS = 15_000
const RETRY_MS = 5

/** Fills a broker's store, kills it, and measures how long it takes to be there again with all of it. */
export async function measureRestart(variant: Variant, options: RestartOptions): Promise<RestartResult> {
  const { sessions, each, retained, limitMs } = options
  const site = await BrokerSite.make(variant.broker, variant.setup)
  const run = randomRun()
  try {
    const killed = await site.start()
    const sender = await fill(killed.target, run, options)
    await sleep(variant.saveDelayMs)
    const diskBytes = diskUsage(site.directory)
    await killed.kill()
    const start = performance.now()
    const restarted = site.launch()
    await untilConnack(restarted, limitMs)
    const readyMs = performance.now() - start
    const { rssKb } = memoryOf(restarted.target.pid)
    const checked = Math.min(CHECKED_SESSIONS, sessions)
    const brokenSessions = await countBroken(restarted.target, checked, { run, sessions, sender })
    const collector = await collectRetained(restarted.target, retained, limitMs)
    return {
      sessions,
      messages: sessions * each,
      retained,
      diskBytes,
      readyMs,
      rssKb,
      checkedSessions: checked,
      brokenSessions,
      lostRetained: retained - collector.arrived,
      wrongRetained: collector.wrong,
    }
  } finally {
    await site.remove()
  }
}

/** Makes the sessions, their messages and the retained ones. Returns who published the messages. */
async function fill(
  target: Target,
  run: number,
  { sessions, each, retained, limitMs }: RestartOptions,
): Promise<Sender> {
  const clients = new ClientGroup(target)
  const numbers = Array.from({ length: sessions }, (_, number) => number)
  try {
    let made = 0
    const making = inParallel(numbers, async number => {
      const localAddress = `127.0.0.${2 + (number % SOURCE_ADDRESSES)}`
      const client = clients.make(sessionName(number), { keepSession: true, localAddress })
      await client.connect()
      await client.subscribe(sessionTopic(number), 1)
      await clients.end(client)
      made++
    })
    const course = { stallMs: STALL_MS, limitMs, signal: clients.signal }
    const madeInTime = reach({ ...course, what: 'sessions made', count: () => made, total: sessions })
    await clients.unlessOneFails(Promise.all([making, madeInTime]))
    await sleep(SETTLE_MS)
    const publisher = clients.make('bench-pub')
    await publisher.connect()
    const count = sessions * each
    const topics = numbers.map(sessionTopic)
    const publishing = new Publishing(publisher, { run, topics, size: SIZE, window: WINDOW, count })
    publishing.start()
    await reach({ ...course, what: 'messages stored', count: () => publishing.acknowledged, total: count })
    if (publishing.fault !== null) throw new Error(publishing.fault)
    if (retained > 0) await clients.unlessOneFails(inTime(fillRetained(publisher, retained), limitMs))
    return publishing.sender
  } finally {
    await clients.endAll()
  }
}

/** Knocks until the broker lets somebody in. */
export async function untilConnack(broker: BrokerProcess, limitMs: number): Promise<void> {
  const space = new ReadSpace()
  const end = performance.now() + limitMs
  while (performance.now() < end) {
    const ended = broker.ended()
    if (ended !== null) throw new Error(`the broker ended with ${ended}: ${broker.output().slice(-300)}`)
    const client = new Client({ ...broker.target, clientId: 'bench-first', space, onFailure: () => {} })
    try {
      await inTime(client.connect(), end - performance.now())
      return
    } catch {
      await sleep(RETRY_MS)
    } finally {
      await client.end()
    }
  }
  throw new Error(`no CONNACK after ${limitMs / 1000} s`)
}

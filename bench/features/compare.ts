import { setTimeout as sleep } from 'node:timers/promises'
import { BrokerSite } from '../e2e/broker-site.ts'
import { sampleCpu } from '../e2e/load/proc.ts'
import type { LoadResult } from '../e2e/load/result.ts'
import { faultOf, generate } from '../e2e/measure.ts'
import type { Comparison, Side } from './comparisons.ts'
import { Scraper, type Scrapes } from './scraper.ts'
import { copiesOf } from './witness.ts'

/** Until clients are gone; then whole scrapes. */
const SETTLE_MS = 100
const REST_MS = 2000

/** One hub, measured once. */
export interface SideResult {
  load: LoadResult
  scrapes: Scrapes | null
  /** CPU of the hub, as a share of one core, that its figures take when there is nothing else to do; 0 when there are none. */
  restCpuShare: number
}

/** Both hubs, one right after the other. */
export interface Round {
  base: SideResult
  other: SideResult
}

/** Measures both sides; `round` decides which one comes first. Rejects when anything went wrong. */
export async function measureRound({ base, other }: Comparison, round: number): Promise<Round> {
  if (round % 2 === 0) {
    const first = await measureSide(base)
    return { base: first, other: await measureSide(other) }
  }
  const first = await measureSide(other)
  return { base: await measureSide(base), other: first }
}

async function measureSide({ what, setup, work, scrapes, copies }: Side): Promise<SideResult> {
  const site = await BrokerSite.make('ours', setup)
  try {
    const running = await site.start()
    const { target } = running
    const [load, scraped] = await scraping(scrapes, generate({ target, work }))
    const [restCpuShare] = scrapes === null ? [0] : await scraping(scrapes, measureRest(target.pid))
    const fault = faultOf(load)
    if (fault !== null) throw new Error(`${what}: ${fault}`)
    if (load.kind !== 'load') throw new Error('only loads are compared')
    if (copies > 0) {
      const made = await copiesOf(target, 'bench/0', copies)
      if (made.length !== copies) throw new Error(`${what}: ${copies} copies expected, got ${made.join(', ')}`)
    }
    const ended = running.ended()
    if (ended !== null) throw new Error(`${what}: the hub ended with ${ended}: ${running.output().slice(-300)}`)
    return { load, scrapes: scraped, restCpuShare }
  } finally {
    await site.remove()
  }
}

/** What a hub takes that nobody asks for anything but its figures. */
async function measureRest(pid: number): Promise<number> {
  await sleep(SETTLE_MS)
  const from = sampleCpu(pid)
  await sleep(REST_MS)
  const to = sampleCpu(pid)
  return ((to.brokerUser + to.brokerSystem - from.brokerUser - from.brokerSystem) * 1000) / REST_MS
}

/** Asks for the figures as long as the work goes on. */
async function scraping<T>(url: string | null, work: Promise<T>): Promise<[T, Scrapes | null]> {
  if (url === null) return [await work, null]
  const scraper = new Scraper(url)
  try {
    const done = await work
    return [done, await scraper.stop()]
  } finally {
    await scraper.stop().catch(() => {}) // Told above, unless the work failed before.
  }
}

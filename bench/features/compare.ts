import { BrokerSite } from '../e2e/broker-site.ts'
import type { LoadResult } from '../e2e/load/result.ts'
import { faultOf, generate } from '../e2e/measure.ts'
import type { Comparison, Side } from './comparisons.ts'
import { Scraper, type Scrapes } from './scraper.ts'
import { copiesOf } from './witness.ts'

/** One hub, measured once. */
export interface SideResult {
  load: LoadResult
  scrapes: Scrapes | null
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
    const [load, scraped] = await scraping(scrapes, generate({ target: running.target, work }))
    const fault = faultOf(load)
    if (fault !== null) throw new Error(`${what}: ${fault}`)
    if (load.kind !== 'load') throw new Error('only loads are compared')
    if (copies > 0) {
      const made = await copiesOf(running.target, 'bench/0', copies)
      if (made.length !== copies) throw new Error(`${what}: ${copies} copies expected, got ${made.join(', ')}`)
    }
    const ended = running.ended()
    if (ended !== null) throw new Error(`${what}: the hub ended with ${ended}: ${running.output().slice(-300)}`)
    return { load, scrapes: scraped }
  } finally {
    await site.remove()
  }
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

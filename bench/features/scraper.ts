import { setTimeout as sleep } from 'node:timers/promises'

export interface Scrapes {
  count: number
  /** Of the last one. */
  bytes: number
  /** The slowest one. */
  slowestMs: number
}

const INTERVAL_MS = 1000

/** Asks for the figures of a hub each second, as Prometheus would. */
export class Scraper {
  readonly #url: string
  readonly #end = new AbortController()
  readonly #running: Promise<void>
  readonly #scrapes: Scrapes = { count: 0, bytes: 0, slowestMs: 0 }

  constructor(url: string) {
    this.#url = url
    this.#running = this.#run()
    this.#running.catch(() => {}) // `stop` tells of it.
  }

  /** Rejects when one scrape failed. */
  async stop(): Promise<Scrapes> {
    this.#end.abort()
    await this.#running
    return this.#scrapes
  }

  async #run(): Promise<void> {
    while (!this.#end.signal.aborted) {
      const start = performance.now()
      const answer = await fetch(this.#url)
      const text = await answer.text()
      if (answer.status !== 200 || !text.startsWith('#')) {
        throw new Error(`${this.#url} answered ${answer.status}: ${text.slice(0, 100)}`)
      }
      this.#scrapes.count++
      this.#scrapes.bytes = text.length
      this.#scrapes.slowestMs = Math.max(this.#scrapes.slowestMs, performance.now() - start)
      await sleep(INTERVAL_MS, null, { signal: this.#end.signal }).catch(() => {})
    }
  }
}

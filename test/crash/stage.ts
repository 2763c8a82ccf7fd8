import { setTimeout as sleep } from 'node:timers/promises'
import { Broker, type BrokerOptions } from './broker.ts'
import { Cast, RETAINED_FILTERS } from './cast.ts'
import type { Client } from './client.ts'
import { KINDS, type Kind, Ledger } from './ledger.ts'
import type { Random } from './random.ts'
import { checkRetained } from './retained-check.ts'
import { until } from './wait.ts'

const SETTLE_MS = 30_000
/** Mosquitto saves once a second; that it has the sessions at the first kill is a head start. */
const FIRST_SAVE_MS = 2500
/** At the end, for all. */
const DRAIN_MS = 120_000
/** After this time no acknowledgement may be forgotten any more. */
const REMEMBERED_MS = 1300

export interface Outcome {
  readonly name: string
  readonly rounds: number
  readonly seconds: number
  readonly messages: number
  readonly acknowledged: number
  /** First deliveries, over all sessions. */
  readonly delivered: number
  /** Deliveries beyond the first. */
  readonly duplicates: number
  /** Messages that at least one session has not got. */
  readonly lostMessages: number
  readonly slowestStartMs: number
  readonly violations: ReadonlyMap<Kind, number>
  readonly details: readonly string[]
}

export interface StageOptions {
  readonly name: string
  readonly broker: Omit<BrokerOptions, 'onEnded'>
  readonly random: Random
  /** Messages per second. */
  readonly rate: number
  /** At the end: what is missing when nothing has come for so long is lost. Milliseconds, default 8000. */
  readonly stillMs?: number | undefined
  readonly log: (line: string) => void
}

/** One run: a broker, everyone who uses it, and the ledger of what they did. */
export class Stage {
  readonly ledger = new Ledger()
  readonly broker: Broker
  readonly cast: Cast
  readonly random: Random
  readonly #options: StageOptions
  readonly #since = performance.now()
  readonly #guests: Client[] = []
  #rounds = 0
  #checks: Promise<unknown> = Promise.resolve()

  constructor(options: StageOptions) {
    this.#options = options
    this.random = options.random.fork('stage')
    const onEnded = (how: string): void => this.ledger.violation('ended', how)
    this.broker = new Broker({ ...options.broker, onEnded })
    this.cast = new Cast({ rate: options.rate, random: options.random }, this)
  }

  /** Plays the rounds, lets everything drain and tells what was wrong. Whatever happens, the broker is ended. */
  async run(rounds: number, round: (number: number) => Promise<void>): Promise<Outcome> {
    try {
      await this.broker.start()
      this.cast.enter()
      const isSettled = await until(() => this.cast.isSettled, SETTLE_MS)
      if (!isSettled) throw new Error('the clients can not connect and subscribe')
      if (this.#options.broker.kind === 'mosquitto') await sleep(FIRST_SAVE_MS)
      this.cast.play()
      for (; this.#rounds < rounds; this.#rounds++) {
        await round(this.#rounds)
        this.#logRound(rounds)
      }
      await this.#drain()
      return this.#outcome()
    } catch (thrown) {
      // A broker that does not come back ends the run, and is what the run has found.
      const message = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
      this.ledger.violation('ended', message)
      return this.#outcome()
    } finally {
      this.cast.leave()
      for (const guest of this.#guests) guest.goOffline(true)
      await this.#checks
      await this.broker.close()
    }
  }

  async kill(): Promise<void> {
    this.ledger.killed()
    await this.broker.kill()
  }

  /** Somebody beside the cast, who comes to the end and then leaves with all others. */
  invite(guest: Client): void {
    this.#guests.push(guest)
  }

  /** Starts the broker when it does not run, and looks at the retained messages meanwhile. */
  async resume(): Promise<void> {
    if (!this.broker.isRunning) await this.broker.start()
    const checks = this.#checks
    this.#checks = Promise.all([checks, this.checkRetained()])
  }

  async checkRetained(): Promise<void> {
    for (const filter of RETAINED_FILTERS) {
      const level = filter.slice(0, -1)
      const streams = this.cast.retained.filter(({ topic }) => topic.startsWith(level))
      await checkRetained(filter, streams, this)
    }
  }

  /** A random time, both ends included. */
  pause(minMs: number, maxMs: number): Promise<void> {
    return sleep(this.random.between(minMs, maxMs))
  }

  get #delivered(): number {
    return this.ledger.sessions.reduce((sum, { delivered }) => sum + delivered, 0)
  }

  get #duplicates(): number {
    return this.ledger.sessions.reduce((sum, { duplicates }) => sum + duplicates, 0)
  }

  /** Waits until all have got all they are due; then once more a kill, after which nothing may come again. */
  async #drain(): Promise<void> {
    const { cast, ledger } = this
    const { stillMs = 8000 } = this.#options
    if (!this.broker.isRunning) await this.broker.start()
    cast.rest()
    for (const guest of this.#guests) guest.goOnline()
    let delivered = -1
    let since = performance.now()
    await until(
      () => {
        if (cast.isIdle && cast.isSettled && ledger.countMissing() === 0) return true
        const now = performance.now()
        if (this.#delivered !== delivered) since = now
        delivered = this.#delivered
        return now - since > stillMs
      },
      DRAIN_MS,
      200,
    )
    await sleep(REMEMBERED_MS)
    await this.checkRetained()
    await this.kill()
    await this.resume()
    if (!(await until(() => cast.isSettled, SETTLE_MS))) ledger.violation('stuck', 'clients can not come back')
    await sleep(REMEMBERED_MS / 2)
    await this.#checks
  }

  #logRound(rounds: number): void {
    const { streams } = this.ledger
    const sent = streams.reduce((sum, { length }) => sum + length, 0)
    const bad = [...this.#violations().values()].reduce((sum, count) => sum + count, 0)
    this.#options.log(
      `${this.#options.name} ${this.#rounds + 1}/${rounds}: ${sent} sent, ${this.#delivered} delivered, ${this.#duplicates} again, ${bad} violations`,
    )
  }

  #violations(): Map<Kind, number> {
    const kinds = Object.keys(KINDS) as Kind[]
    return new Map(kinds.map(kind => [kind, this.ledger.count(kind)]))
  }

  #outcome(): Outcome {
    const { ledger } = this
    const { lostMessages } = ledger.conclude()
    return {
      name: this.#options.name,
      rounds: this.#rounds,
      seconds: (performance.now() - this.#since) / 1000,
      messages: ledger.streams.reduce((sum, { length }) => sum + length, 0),
      acknowledged: ledger.streams.reduce((sum, { acknowledged }) => sum + acknowledged, 0),
      delivered: this.#delivered,
      duplicates: this.#duplicates,
      lostMessages,
      slowestStartMs: this.broker.slowestStartMs,
      violations: this.#violations(),
      details: [...ledger.details],
    }
  }
}

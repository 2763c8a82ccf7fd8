import { type Direction, Stream, type StreamOptions } from './stream.ts'

/** What may be found wrong. */
export const KINDS = {
  lost: 'a message that the source had acknowledged never arrived at the other side',
  forgotten: 'a message that the source had acknowledged never left it, not even to a client beside the bridge',
  order: 'a message arrived for the first time behind one that was published later to its topic',
  stuck: 'something did not come back in time when everything was up again',
  broken: 'bytes that nobody sent, or a packet that breaks the protocol',
  session: 'a broker has forgotten the session of a client that was to be kept',
  ended: 'a process ended that nobody had ended',
} as const

export type Kind = keyof typeof KINDS

const MAX_DETAILS = 40

/** What was sent, what arrived and what is wrong with that. */
export class Ledger {
  readonly streams: Stream[] = []
  /** The first violations in words. */
  readonly details: string[] = []
  readonly #counts = new Map<Kind, number>()
  readonly #onViolation: (text: string) => void

  constructor(onViolation: (text: string) => void = () => {}) {
    this.#onViolation = onViolation
  }

  stream(options: StreamOptions): Stream {
    const stream = new Stream(options)
    this.streams.push(stream)
    return stream
  }

  violation(kind: Kind, detail: string, count = 1): void {
    this.#counts.set(kind, this.count(kind) + count)
    if (this.details.length < MAX_DETAILS) this.details.push(`${kind}: ${detail}`)
    this.#onViolation(`${kind}: ${detail}`)
  }

  count(kind: Kind): number {
    return this.#counts.get(kind) ?? 0
  }

  get violations(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0)
  }

  /** A line on how things stand. */
  get totals(): string {
    const sum = (pick: (stream: Stream) => number): number =>
      this.streams.reduce((total, stream) => total + pick(stream), 0)
    const sent = sum(({ length }) => length)
    const arrived = sum(({ arrived }) => arrived)
    const again = sum(({ duplicates }) => duplicates)
    return `${sent} sent, ${arrived} arrived, ${again} again, ${this.violations} violations`
  }

  of(rule: string, direction: Direction): Stream[] {
    return this.streams.filter(stream => stream.rule === rule && stream.direction === direction)
  }

  /** Deliveries over all, the repeated ones among them: it grows as long as anything comes. */
  get deliveries(): number {
    return this.streams.reduce((sum, { arrived, duplicates }) => sum + arrived + duplicates, 0)
  }

  /** Everything that was sent is acknowledged and has arrived. */
  get isComplete(): boolean {
    return this.streams.every(({ acknowledged, arrived, length }) => acknowledged === length && arrived === length)
  }

  /** Finds what can only be said when everything is over. */
  conclude(): void {
    for (const stream of this.streams) {
      const lost = stream.lost()
      if (lost.length > 0) this.violation('lost', `${lost.length} of ${stream.topic}: ${listOf(lost)}`, lost.length)
      const forgotten = stream.forgotten()
      if (forgotten.length > 0 && stream.isSourceTrusted) {
        this.violation('forgotten', `${forgotten.length} of ${stream.topic}: ${listOf(forgotten)}`, forgotten.length)
      }
      const open = stream.unacknowledged()
      if (open.length > 0) {
        this.violation('stuck', `${open.length} of ${stream.topic} stay unacknowledged: ${listOf(open)}`, open.length)
      }
    }
  }
}

const LISTED = 12

/** Runs of numbers as `3..9`, the first ones. */
export function listOf(numbers: readonly number[]): string {
  const runs: { first: number; last: number }[] = []
  for (const number of numbers) {
    const run = runs.at(-1)
    if (run !== undefined && number === run.last + 1) run.last = number
    else runs.push({ first: number, last: number })
  }
  const texts = runs.slice(0, LISTED).map(({ first, last }) => (first === last ? `${first}` : `${first}..${last}`))
  return texts.join(', ') + (runs.length > LISTED ? ', ...' : '')
}

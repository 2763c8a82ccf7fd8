import { constants, type NodeGCPerformanceDetail, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import type { Sample } from './reading.ts'

const BOUNDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5]
const KINDS: ReadonlyMap<number, string> = new Map([
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
  [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weakcb'],
])
const SPAN_MS = 10_000
/** To be told of a pause costs up to a fifth of a millisecond, and under load there are a hundred a second. */
const PAUSES_IN_SPAN = 20

interface GcEntry extends PerformanceEntry {
  readonly detail: NodeGCPerformanceDetail
}

/** The pauses of one kind. */
class Pauses {
  /** By length; the last are those above all bounds. */
  readonly counts = new Float64Array(BOUNDS.length + 1)
  seconds = 0

  add(seconds: number): void {
    let bucket = 0
    while (bucket < BOUNDS.length && seconds > (BOUNDS[bucket] as number)) bucket++
    this.counts[bucket] = (this.counts[bucket] as number) + 1
    this.seconds += seconds
  }

  /** So many times what another has, in whole pauses. */
  addTimes(times: number, { counts, seconds }: Pauses): void {
    counts.forEach((count, i) => void (this.counts[i] = (this.counts[i] as number) + Math.round(count * times)))
    this.seconds += seconds * times
  }
}

/**
 * Measures the pauses of the garbage collector, from start() to stop(). Each of them, as long as there are few: the
 * runtime takes long to tell of one. Of each ten seconds the rest is not looked at once twenty have been seen; as many
 * are added then, at their end, as there were in the part that was.
 */
export class GcWatch {
  readonly #spanMs: number
  readonly #observer: PerformanceObserver
  /** Of spans that are over. */
  readonly #past = pausesByKind()
  /** Seen in this span. */
  #seen = pausesByKind()
  #count = 0
  #startedAt = 0
  /** When it was enough; null: it is still looking. */
  #enoughAt: number | null = null
  #isLooking = false
  #timer: NodeJS.Timeout | null = null

  constructor(spanMs: number = SPAN_MS) {
    this.#spanMs = spanMs
    this.#observer = new PerformanceObserver(list => {
      for (const entry of list.getEntries() as GcEntry[]) this.#note(entry)
      if (this.#count < PAUSES_IN_SPAN) return
      this.#enoughAt ??= performance.now()
      this.#look(false)
    })
  }

  start(): void {
    if (this.#timer !== null) return
    this.#begin()
    this.#timer = setInterval(() => {
      this.#end()
      this.#begin()
    }, this.#spanMs)
    this.#timer.unref()
  }

  stop(): void {
    if (this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
    this.#look(false)
    this.#end()
  }

  /** A histogram for each kind, with buckets that each count all that is not above their bound. */
  samples(name: string): Sample[] {
    const samples: Sample[] = []
    for (const [id, kind] of KINDS) {
      const pauses = new Pauses()
      for (const each of [this.#past, this.#seen]) pauses.addTimes(1, each.get(id) as Pauses)
      let total = 0
      pauses.counts.forEach((count, i) => {
        total += count
        samples.push({ metricName: `${name}_bucket`, labels: { kind, le: BOUNDS[i] ?? '+Inf' }, value: total })
      })
      samples.push({ metricName: `${name}_sum`, labels: { kind }, value: pauses.seconds })
      samples.push({ metricName: `${name}_count`, labels: { kind }, value: total })
    }
    return samples
  }

  #note({ detail, duration }: GcEntry): void {
    const pauses = this.#seen.get(detail.kind ?? -1)
    if (pauses === undefined) return
    pauses.add(duration / 1000)
    this.#count++
  }

  #begin(): void {
    this.#startedAt = performance.now()
    this.#enoughAt = null
    this.#count = 0
    this.#look(true)
  }

  #end(): void {
    const times = this.#enoughAt === null ? 1 : this.#timesOf(this.#enoughAt - this.#startedAt)
    for (const [id, pauses] of this.#seen) this.#past.get(id)?.addTimes(times, pauses)
    this.#seen = pausesByKind()
  }

  /** The whole span is so many times what was looked at. A process that was halted did not collect garbage meanwhile. */
  #timesOf(lookedMs: number): number {
    const spanMs = Math.min(performance.now() - this.#startedAt, 2 * this.#spanMs)
    return lookedMs > 0 ? Math.max(spanMs / lookedMs, 1) : 1
  }

  #look(isLooking: boolean): void {
    if (isLooking === this.#isLooking) return
    this.#isLooking = isLooking
    if (isLooking) this.#observer.observe({ entryTypes: ['gc'] })
    else this.#observer.disconnect()
  }
}

function pausesByKind(): Map<number, Pauses> {
  return new Map([...KINDS.keys()].map(id => [id, new Pauses()]))
}

import { constants, type NodeGCPerformanceDetail, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import { Histogram, type Registry } from 'prom-client'

const BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5]
const KINDS: ReadonlyMap<number, string> = new Map([
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
  [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weakcb'],
])

interface GcEntry extends PerformanceEntry {
  readonly detail: NodeGCPerformanceDetail
}

/** Measures the pauses of the garbage collector, from start() to stop(). */
export class GcWatch {
  readonly #pauses: Histogram<'kind'>
  readonly #observer: PerformanceObserver

  constructor(registry: Registry) {
    this.#pauses = new Histogram({
      name: 'nodejs_gc_duration_seconds',
      help: 'Pauses of the garbage collector, by kind: major, minor, incremental or weakcb.',
      labelNames: ['kind'],
      buckets: BUCKETS,
      registers: [registry],
    })
    for (const kind of KINDS.values()) this.#pauses.zero({ kind })
    this.#observer = new PerformanceObserver(list => {
      for (const entry of list.getEntries() as GcEntry[]) {
        const kind = KINDS.get(entry.detail.kind)
        if (kind !== undefined) this.#pauses.observe({ kind }, entry.duration / 1000)
      }
    })
  }

  start(): void {
    this.#observer.observe({ entryTypes: ['gc'] })
  }

  stop(): void {
    this.#observer.disconnect()
  }
}

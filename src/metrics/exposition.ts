import { Registry } from 'prom-client'
import { GcWatch } from './gc-watch.ts'
import { ProcessFigures } from './process-figures.ts'
import { Readings } from './reading.ts'

const GC_PAUSES = 'nodejs_gc_duration_seconds'

/** Somebody's figures, all of one moment. */
export interface Figures {
  /** Says what there is, once. */
  register(readings: Readings): void
  /** Looks at everything: what is read from now on is of this moment. */
  take(): void
}

/**
 * Somebody's figures and those of the process in the text format of Prometheus. Between two scrapes only the event loop
 * and the collector are watched.
 */
export class Exposition {
  readonly #registry = new Registry()
  readonly #figures: Figures
  readonly #process = new ProcessFigures()
  readonly #gc = new GcWatch()
  #rendering: Promise<string> | null = null

  constructor(figures: Figures) {
    const readings = new Readings(this.#registry)
    this.#figures = figures
    this.#figures.register(readings)
    this.#process.register(readings)
    readings.histogram(
      GC_PAUSES,
      'Pauses of the garbage collector by kind: major, minor, incremental, weakcb. Above 100 in 10 s an estimate.',
      () => this.#gc.samples(GC_PAUSES),
    )
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  start(): void {
    this.#gc.start()
    this.#process.start()
  }

  stop(): void {
    this.#gc.stop()
    this.#process.stop()
  }

  /** The figures of now. Who asks while they are being gathered gets the same. */
  render(): Promise<string> {
    this.#rendering ??= this.#render().finally(() => {
      this.#rendering = null
    })
    return this.#rendering
  }

  async #render(): Promise<string> {
    await this.#process.take()
    this.#figures.take()
    return this.#registry.metrics()
  }
}

import { Registry } from 'prom-client'
import type { Hub } from '../hub.ts'
import { GcWatch } from './gc-watch.ts'
import { HubFigures } from './hub-figures.ts'
import { ProcessFigures } from './process-figures.ts'
import { Readings } from './reading.ts'

const GC_PAUSES = 'nodejs_gc_duration_seconds'

/** All figures in the text format of Prometheus. Between two scrapes only the event loop and the collector are watched. */
export class Exposition {
  readonly #registry = new Registry()
  readonly #hub: HubFigures
  readonly #process = new ProcessFigures()
  readonly #gc = new GcWatch()
  #rendering: Promise<string> | null = null

  constructor(hub: Hub, version: string) {
    const readings = new Readings(this.#registry)
    this.#hub = new HubFigures(hub, version)
    this.#hub.register(readings)
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
    this.#hub.take()
    return this.#registry.metrics()
  }
}

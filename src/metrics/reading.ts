import type { Metric, Registry } from 'prom-client'

/** One line of the exposition. */
export interface Sample {
  readonly value: number
  readonly labels?: Readonly<Record<string, string | number>>
  /** Where it is not that of the figure: the parts of a histogram. */
  readonly metricName?: string
}

export interface ReadingOptions {
  readonly name: string
  readonly help: string
  /** Asked at every scrape. */
  read(): number | readonly Sample[]
}

type Kind = 'counter' | 'gauge' | 'histogram'

/**
 * A figure that somebody else keeps: it is read when it is asked for, and costs nothing in between. The counters of
 * the library want to be told of each step, and can't be set to what the hub has counted.
 */
class Reading {
  readonly name: string
  readonly #options: ReadingOptions
  readonly #kind: Kind

  constructor(kind: Kind, options: ReadingOptions) {
    this.name = options.name
    this.#kind = kind
    this.#options = options
  }

  /** What a registry asks of its metrics. */
  async get(): Promise<object> {
    const { name, help } = this.#options
    const read = this.#options.read()
    return {
      name,
      help,
      type: this.#kind,
      aggregator: 'sum',
      values: typeof read === 'number' ? [{ value: read }] : read,
    }
  }
}

/** The figures of one registry. */
export class Readings {
  readonly registry: Registry

  constructor(registry: Registry) {
    this.registry = registry
  }

  /** The name ends in `_total`. */
  counter(name: string, help: string, read: ReadingOptions['read']): void {
    this.#add('counter', { name, help, read })
  }

  gauge(name: string, help: string, read: ReadingOptions['read']): void {
    this.#add('gauge', { name, help, read })
  }

  histogram(name: string, help: string, read: ReadingOptions['read']): void {
    this.#add('histogram', { name, help, read })
  }

  #add(kind: Kind, options: ReadingOptions): void {
    this.registry.registerMetric(new Reading(kind, options) as unknown as Metric)
  }
}

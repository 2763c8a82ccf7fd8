import { readdir, readFile } from 'node:fs/promises'
import { type EventLoopUtilization, performance } from 'node:perf_hooks'
import { type Lateness, LoopDelay } from './loop-delay.ts'
import type { Readings } from './reading.ts'

const MICROS = 1e6

interface Taken {
  readonly cpu: NodeJS.CpuUsage
  readonly memory: NodeJS.MemoryUsage
  readonly lateness: Lateness
  /** The part of the time in which the event loop had something to do. */
  readonly utilization: number
  readonly openFiles: number | null
  readonly maxFiles: number | null
}

const NEVER_LATE: Lateness = { min: 0, max: 0, mean: 0, deviation: 0, p50: 0, p90: 0, p99: 0 }

/** What the process takes of the machine, under the names that the client libraries of Prometheus agree on. */
export class ProcessFigures {
  readonly #loop = new LoopDelay()
  readonly #startedAt = Date.now() / 1000 - process.uptime()
  #used: EventLoopUtilization = performance.eventLoopUtilization()
  #taken: Taken | null = null
  /** What the process began with. */
  #maxFiles: Promise<number | null> | null = null

  start(): void {
    this.#loop.start()
  }

  stop(): void {
    this.#loop.stop()
  }

  /** Looks at everything: what is read from now on is of this moment. */
  async take(): Promise<void> {
    this.#maxFiles ??= mostFiles()
    const [openFiles, maxFiles] = await Promise.all([countFiles(), this.#maxFiles])
    const used = performance.eventLoopUtilization()
    this.#taken = {
      cpu: process.cpuUsage(),
      memory: process.memoryUsage(),
      lateness: this.#loop.take() ?? NEVER_LATE,
      utilization: performance.eventLoopUtilization(used, this.#used).utilization,
      openFiles,
      maxFiles,
    }
    this.#used = used
  }

  register(readings: Readings): void {
    const { major, full } = { major: Number(process.versions.node.split('.')[0]), full: process.version }
    readings.counter('process_cpu_user_seconds_total', 'Processor time spent in the program itself.', () => {
      return this.#now.cpu.user / MICROS
    })
    readings.counter('process_cpu_system_seconds_total', 'Processor time spent in the kernel.', () => {
      return this.#now.cpu.system / MICROS
    })
    readings.counter('process_cpu_seconds_total', 'Processor time, of both kinds.', () => {
      return (this.#now.cpu.user + this.#now.cpu.system) / MICROS
    })
    readings.gauge('process_start_time_seconds', 'When the process started, seconds since 1970.', () => this.#startedAt)
    readings.gauge('process_resident_memory_bytes', 'Memory of the process.', () => this.#now.memory.rss)
    readings.gauge('process_open_fds', 'Open file descriptors.', () => orNone(this.#now.openFiles))
    readings.gauge('process_max_fds', 'File descriptors that may be open.', () => orNone(this.#now.maxFiles))
    readings.gauge('nodejs_version_info', 'The version of Node.js.', () => [
      { labels: { version: full, major }, value: 1 },
    ])
    readings.gauge('nodejs_heap_size_total_bytes', 'Memory of the heap.', () => this.#now.memory.heapTotal)
    readings.gauge('nodejs_heap_size_used_bytes', 'The used part of the heap.', () => this.#now.memory.heapUsed)
    readings.gauge(
      'nodejs_external_memory_bytes',
      'Memory outside the heap that objects hold, array buffers included.',
      () => {
        return this.#now.memory.external
      },
    )
    readings.gauge('nodejs_array_buffers_bytes', 'Memory of array buffers.', () => this.#now.memory.arrayBuffers)
    this.#registerLoop(readings)
  }

  #registerLoop(readings: Readings): void {
    const since = 'since the last scrape.'
    const delay = (name: string, what: string, read: (lateness: Lateness) => number): void =>
      readings.gauge(`nodejs_eventloop_lag_${name}seconds`, `${what} of the event loop ${since}`, () => {
        return read(this.#now.lateness)
      })
    delay('min_', 'Least delay', ({ min }) => min)
    delay('max_', 'Greatest delay', ({ max }) => max)
    delay('mean_', 'Mean delay', ({ mean }) => mean)
    delay('stddev_', 'Standard deviation of the delay', ({ deviation }) => deviation)
    delay('p50_', 'Median of the delay', ({ p50 }) => p50)
    delay('p90_', '90th percentile of the delay', ({ p90 }) => p90)
    delay('p99_', '99th percentile of the delay', ({ p99 }) => p99)
    readings.gauge(
      'nodejs_eventloop_utilization_ratio',
      `Part of the time in which the event loop was at work ${since}`,
      () => this.#now.utilization,
    )
  }

  get #now(): Taken {
    if (this.#taken === null) throw new TypeError('the figures of the process were not taken')
    return this.#taken
  }
}

function orNone(value: number | null): number | readonly [] {
  return value ?? []
}

/** Null where the system does not tell. */
async function countFiles(): Promise<number | null> {
  try {
    return (await readdir('/proc/self/fd')).length - 1 // one of them is the folder that is being read
  } catch {
    return null
  }
}

/** Null where the system does not tell, or sets no limit. */
async function mostFiles(): Promise<number | null> {
  try {
    const [, most] = /^Max open files\s+(\d+)/m.exec(await readFile('/proc/self/limits', 'latin1')) ?? []
    return most === undefined ? null : Number(most)
  } catch {
    return null
  }
}

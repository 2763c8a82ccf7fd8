import type { BrokerName } from './brokers.ts'
import type { Result } from './load/result.ts'
import type { Measurement } from './measure.ts'
import type { ScenarioName } from './scenarios.ts'
import { type Metric, type Target, targets } from './targets.ts'

/** The measurements of one broker in one scenario. */
export interface Cell {
  /** Those that count. */
  used: readonly Result[]
  failures: readonly string[]
  /** Left out because other processes disturbed them. */
  leftOut: number
  /** True when disturbed measurements count because there are too few others. */
  isDisturbed: boolean
}

/** A disturbed measurement is left out when at least this many undisturbed ones remain. */
const ENOUGH = 2

export function cellOf(all: readonly Measurement[], scenario: ScenarioName, broker: BrokerName): Cell {
  const own = all.filter(measurement => measurement.scenario === scenario && measurement.broker === broker)
  const good = own.filter(({ failure }) => failure === null)
  const quiet = good.filter(({ disturbed }) => !disturbed)
  const isDisturbed = quiet.length < Math.min(ENOUGH, good.length)
  const used = isDisturbed ? good : quiet
  return {
    used: used.flatMap(({ result }) => (result === null ? [] : [result])),
    failures: own.flatMap(({ failure }) => (failure === null ? [] : [failure])),
    leftOut: good.length - used.length,
    isDisturbed,
  }
}

export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] as number
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2
}

/** The median over the results that have such a figure; null when none has. */
export function medianOf(results: readonly Result[], figure: (result: Result) => number | null): number | null {
  return median(results.map(figure).filter(value => value !== null))
}

export function metricOf(result: Result, metric: Metric): number | null {
  switch (metric) {
    case 'cpu':
      return result.kind === 'load' ? result.cpuUsPerDelivered : null
    case 'p50':
      return result.kind === 'load' ? result.latencyUs.p50 : null
    case 'p99':
      return result.kind === 'load' ? result.latencyUs.p99 : null
    case 'kib':
      return result.kind === 'idle' ? result.kibPerConnection : null
    case 'ms':
      return result.kind === 'retained' ? result.slowestMs : null
    case 'rate':
      return result.kind === 'load' ? result.deliveredPerSecond : null
  }
}

/** What one fdatasync took in the measurements of this scenario, in ms; null when it was not measured. */
export function fsyncOf(all: readonly Measurement[], scenario: ScenarioName): number | null {
  const own = all.filter(measurement => measurement.scenario === scenario)
  return median(own.map(({ fsyncMs }) => fsyncMs).filter(value => value !== null))
}

export interface Verdict {
  target: Target
  /** In the unit of the limit: the ratio to mosquitto, or the figure itself. Null when it was not measured. */
  value: number | null
  /** For the disk of this run. */
  limit: number
  isMet: boolean
}

/** How our hub does against the targets of these scenarios. What could not be measured is a miss. */
export function judge(all: readonly Measurement[], scenarios: readonly ScenarioName[]): Verdict[] {
  return targets
    .filter(({ scenario }) => scenarios.includes(scenario))
    .map(target => {
      const { scenario, metric, limit } = target
      const figure = (broker: BrokerName): number | null =>
        medianOf(cellOf(all, scenario, broker).used, result => metricOf(result, metric))
      const ours = figure('ours')
      if ('atMost' in limit) return atMost(target, ours, limit.atMost)
      if ('atLeast' in limit) return atLeast(target, ours, limit.atLeast * diskShare(limit.fsyncMs, all, scenario))
      const base = figure('mosquitto')
      const ratio = ours === null || base === null || base === 0 ? null : ours / base
      return atMost(target, ratio, limit.timesMosquitto)
    })
}

/** The part of a figure for a disk with this fsync time that the disk of the run allows: 1, less on a slower one. */
function diskShare(fsyncMs: number | undefined, all: readonly Measurement[], scenario: ScenarioName): number {
  const measured = fsyncOf(all, scenario)
  return fsyncMs === undefined || measured === null ? 1 : Math.min(1, fsyncMs / measured)
}

function atMost(target: Target, value: number | null, limit: number): Verdict {
  return { target, value, limit, isMet: value !== null && value <= limit }
}

function atLeast(target: Target, value: number | null, limit: number): Verdict {
  return { target, value, limit, isMet: value !== null && value >= limit }
}

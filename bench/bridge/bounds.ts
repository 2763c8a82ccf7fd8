import { DELAY_MS } from './cases.ts'
import { WINDOW } from './configs.ts'
import { above, type Figure, type MeasuredCase, medianOf, type Results, sibling } from './results.ts'

/** Messages a second that a window allows when its remote is so far away. */
export const WINDOW_RATE = WINDOW / ((2 * DELAY_MS) / 1000)

const BOUNDS = {
  throughput: 20_000,
  rttShare: 0.8,
  addedMs: 2,
  memoryMb: 150,
  /** What another remote that is dead may add to the latency of the rest. */
  deadP50Ms: 1,
  deadP99Ms: 5,
}

export interface Verdict {
  what: string
  asked: string
  measured: string
  isMet: boolean
}

/** How our bridge does. What could not be measured is a miss; what is not asked for has no verdict. */
export function judge(results: Results, isMemoryAsked: boolean): Verdict[] {
  const { cases, memory, failures } = results
  const verdicts = cases.flatMap(measured => verdictsOf(cases, measured))
  if (isMemoryAsked) {
    const mb = memory.map(({ connectedKb, trafficKb }) => (Math.max(connectedKb, trafficKb) * 1024) / 1e6)
    const most = mb.length === 0 ? null : Math.max(...mb)
    verdicts.push(atMost('memory: RSS of 100 rules on 20 remotes, MB', most, BOUNDS.memoryMb, 1))
  }
  const failed = failures.length + cases.reduce((sum, each) => sum + each.failures.length, 0)
  verdicts.push(atMost('measurements that failed', failed, 0, 0))
  return verdicts
}

function verdictsOf(cases: readonly MeasuredCase[], measured: MeasuredCase): Verdict[] {
  const { part, name, direction, qos } = measured
  switch (part) {
    case 'throughput_out':
    case 'throughput_in':
      if (name !== 'ours' || qos !== 1) return []
      return [atLeast(`${part}: messages a second at QoS 1`, medianOf(measured, rate), BOUNDS.throughput, 0)]
    case 'rtt': {
      if (name !== 'ours') return []
      const own = medianOf(measured, rate)
      const share = own === null ? null : own / WINDOW_RATE
      return [atLeast(`rtt ${direction}: share of window / RTT`, share, BOUNDS.rttShare, 3)]
    }
    case 'latency': {
      if (name !== 'ours') return []
      const added = above(measured, sibling(cases, measured, 'direct'), p50Ms)
      return [atMost(`latency, QoS ${qos}: p50 added, ms`, added, BOUNDS.addedMs, 2)]
    }
    case 'dead_remote': {
      if (name === 'none') return []
      const alive = sibling(cases, measured, 'none')
      return [
        atMost(`dead_remote, ${name}: p50 of the others added, ms`, above(measured, alive, p50Ms), BOUNDS.deadP50Ms, 2),
        atMost(`dead_remote, ${name}: p99 of the others added, ms`, above(measured, alive, p99Ms), BOUNDS.deadP99Ms, 2),
      ]
    }
    case 'memory':
      return []
  }
}

const rate: Figure = ({ deliveredPerSecond }) => deliveredPerSecond
const p50Ms: Figure = ({ latencyUs }) => latencyUs.p50 / 1000
const p99Ms: Figure = ({ latencyUs }) => latencyUs.p99 / 1000

function atMost(what: string, value: number | null, limit: number, digits: number): Verdict {
  return verdict(what, `at most ${format(limit, digits)}`, value, value !== null && value <= limit, digits)
}

function atLeast(what: string, value: number | null, limit: number, digits: number): Verdict {
  return verdict(what, `at least ${format(limit, digits)}`, value, value !== null && value >= limit, digits)
}

function verdict(what: string, asked: string, value: number | null, isMet: boolean, digits: number): Verdict {
  return { what, asked, measured: value === null ? 'not measured' : format(value, digits), isMet }
}

function format(value: number, digits: number): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

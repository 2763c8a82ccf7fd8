import type { Faults } from './tally.ts'

/** What a load brought. Figures are of the measured interval unless said otherwise. */
export interface LoadResult {
  kind: 'load'
  /** Of the whole run, warm-up and drain included. */
  faults: Faults
  /** The first fault in words, null when there was none. */
  firstFault: string | null
  seconds: number
  published: number
  delivered: number
  deliveredPerSecond: number
  cpuUsPerDelivered: number
  /** CPU of the broker as a share of one core, and the part of it spent in the kernel. */
  brokerCpuShare: number
  brokerKernelShare: number
  rssKb: number
  rssPeakKb: number
  /** From sending, or from being due when messages have a schedule, to delivery. */
  latencyUs: { p50: number; p99: number; p999: number; count: number }
  /** The part of the time in which the generator had something to do: near 1 it may have been the bottleneck. */
  generatorBusy: number
  noise: Noise
}

/** What else the machine did meanwhile, as shares of one core. */
export interface Noise {
  otherCpuShare: number
  stealShare: number
}

export interface IdleResult {
  kind: 'idle'
  connections: number
  connectsPerSecond: number
  cpuUsPerConnect: number
  rssKb: number
  /** Growth of the broker's resident memory over the connections, for each. */
  kibPerConnection: number
  noise: Noise
}

export interface RetainedResult {
  kind: 'retained'
  retained: number
  /** Median time in ms from SUBSCRIBE until both SUBACK and the message are there, by the shape of the filter. */
  medianMs: Record<string, number>
  /** The slowest of these. */
  slowestMs: number
  subscribes: number
  rssKb: number
  noise: Noise
}

export type Result = LoadResult | IdleResult | RetainedResult

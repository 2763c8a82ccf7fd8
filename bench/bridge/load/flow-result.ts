import type { Noise } from '../../e2e/load/result.ts'
import type { Faults } from '../../e2e/load/tally.ts'

/** What a load over a chain brought. Figures are of the measured interval unless said otherwise. */
export interface FlowResult {
  /** Of the whole run, warm-up and drain included. */
  faults: Faults
  /** The first fault in words, null when there was none. */
  firstFault: string | null
  seconds: number
  delivered: number
  deliveredPerSecond: number
  /** CPU of the forwarder for each delivered message, in microseconds. */
  forwarderCpuUs: number
  /** The same of the forwarder and all brokers together. */
  chainCpuUs: number
  /** Shares of one core. */
  forwarderCpuShare: number
  chainCpuShare: number
  /** Of the forwarder. */
  rssKb: number
  rssPeakKb: number
  /** From sending, or from being due when messages have a schedule, to delivery. */
  latencyUs: { p50: number; p99: number; count: number }
  /** The part of the time in which the generator had something to do: near 1 it may have been the bottleneck. */
  generatorBusy: number
  noise: Noise
}

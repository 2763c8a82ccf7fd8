import type { Schedule } from './load-loop.ts'
import type { Credentials } from './packets.ts'
import type { TopologyOptions } from './topology.ts'

/** What the generator process is told to do. */
export interface Job {
  target: Target
  work: Work
}

export type Work = ({ kind: 'load' } & LoadOptions) | ({ kind: 'idle' } & IdleOptions) | RetainedWork
type RetainedWork = { kind: 'retained' } & RetainedOptions

export interface Target {
  host: string
  port: number
  credentials: Credentials | null
  /** The broker's process. */
  pid: number
}

export interface LoadOptions extends TopologyOptions, Schedule {
  /** QoS of the messages and of the subscriptions: 0 or 1. */
  qos: number
  /** Payload bytes, at least 12. */
  size: number
  /** Messages of one publisher that are not yet delivered to every receiver and, at QoS 1, acknowledged. */
  window: number
  /** Subscribers connect with Clean Session 0, so that the broker owes them what they have not acknowledged. Default false. */
  keepSessions?: boolean
}

export interface IdleOptions {
  connections: number
  /** Connections come from this many addresses, since each has only some 28,000 ports to one destination. */
  sourceAddresses: number
  /** How long the broker may come to rest before its memory is read. */
  settleMs: number
}

export interface RetainedOptions {
  /** Topics with a retained message. */
  topics: number
  /** How many SUBSCRIBEs are timed for each shape of filter, and after which time no further one is. */
  subscribes: number
  limitMs: number
}

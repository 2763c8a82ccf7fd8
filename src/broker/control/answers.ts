import type { LoopDelay } from '../../control/index.ts'
import type { HubSnapshot, RuleReport, SlowConsumer } from '../report/index.ts'

/** Messages of one topic since the hub started. */
export interface TopicCount {
  readonly topic: string
  readonly messages: number
}

/** A connected client and what it has done since it connected. */
export interface ClientCount {
  readonly id: string
  readonly username: string
  readonly address: string
  readonly transport: string
  /** Milliseconds since 1970. */
  readonly connectedAt: number
  readonly received: number
  readonly sent: number
}

/** All that a view of a running hub shows, at one moment. Counts are since the start: two answers make a rate. */
export interface TopAnswer {
  /** Milliseconds of a clock that only goes forward. */
  readonly at: number
  readonly version: string
  readonly pid: number
  /** Since the last answer; null when nobody asked for a while. */
  readonly loopDelay: LoopDelay | null
  readonly snapshot: HubSnapshot
  /** The busiest. */
  readonly topics: readonly TopicCount[]
  readonly rules: readonly RuleReport[]
  readonly slow: readonly SlowConsumer[]
  /** The busiest. */
  readonly clients: readonly ClientCount[]
}

import type { Connection } from './connection.ts'
import type { TopicMap, TopicPlan } from './topic-map.ts'

/** One end of a flow: the link to a broker, as far as a flow needs it. */
export interface FlowEnd {
  /** Null: messages can't go there now. */
  readonly connection: Connection | null
  /** Gives the connection up, for this reason (a clause such as `sends more than ...`); another is made. */
  fail(problem: string): void
}

/** Keeps messages from running in a circle. */
export interface FlowGuard {
  /** Whether the message that the source of this flow sends came from where it would go. */
  isEcho(plan: TopicPlan, chunk: Buffer, payloadAt: number, end: number, now: number): boolean
  /** A PUBLISH packet goes to the target. `plan`: of its topic, null when it is not at hand. */
  sent(plan: TopicPlan | null, bytes: Buffer, start: number, end: number): void
}

export interface FlowSettings {
  readonly topics: TopicMap
  /** Messages of QoS 1 and 2 that the target is sent before it has to acknowledge one. */
  readonly window: number
  /** Messages of QoS 0 that are kept while the target is away. */
  readonly offlineMax: number
  /** Null: no message can run in a circle. */
  readonly guard: FlowGuard | null
}

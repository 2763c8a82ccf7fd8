import type { LoadOptions, Target } from '../../e2e/load/job.ts'

/** Where clients connect to. */
export type Endpoint = Omit<Target, 'pid'>

/** A way that messages go: publishers at one end, subscribers at the other. */
export interface Chain {
  source: Endpoint
  sink: Endpoint
  /** The process that forwards. Without a bridge it is the broker. */
  forwarder: number
  /** Further processes that the messages go through. */
  brokers: readonly number[]
}

/** What the generator process is told to do. */
export interface FlowJob {
  chain: Chain
  load: LoadOptions
}

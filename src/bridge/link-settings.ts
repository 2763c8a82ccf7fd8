import type { Logger } from '../common/index.ts'
import type { ClientConfig } from '../config/index.ts'
import type { Wires } from './connection.ts'
import type { Side } from './figures.ts'
import type { Filter, WillMessage } from './mqtt-session.ts'

/** What a link is to be like. */
export interface LinkSettings {
  readonly config: ClientConfig
  readonly clientId: string
  readonly filters: readonly Filter[]
  /** Longest PUBLISH packet that is taken. */
  readonly maxBytes: number
  /** Said by the broker when the link breaks, if the broker lets bridges do so; null: nothing. */
  readonly will: WillMessage | null
}

export interface LinkParts {
  readonly rule: string
  readonly side: Side
  readonly wires: Wires
  readonly baseDir: string
  readonly log: Logger
  /** It came up, went down, or learned something that its figures tell. */
  readonly onChange: () => void
}

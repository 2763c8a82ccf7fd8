import type { Environment } from '../../config/index.ts'
import type { Kind } from '../../control/index.ts'

/** What commands need to know of a configuration in order to find who runs with it. */
export interface Whereabouts {
  /** `control.socket`. */
  readonly socket: string
  /** Where it stores; empty: nowhere. */
  readonly storageDir: string
}

/** Something that this program runs until it is told to stop. */
export interface ServiceKind {
  /** That of its command, too. */
  readonly name: Kind
  /** Whether there is nothing to run without a configuration file. */
  readonly needsFile: boolean
  /** Throws a ConfigError when the file can't be used. */
  locate(file: string, env: Environment): Whereabouts
}

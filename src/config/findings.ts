import type { Finding } from './problem.ts'

/** What the rules say of a file: errors forbid it, warnings don't. */
export interface Findings {
  readonly errors: readonly Finding[]
  readonly warnings: readonly Finding[]
}

/** What the rules want to know that is not in the values. */
export interface Circumstances {
  /** Others than the owner may read the file. */
  readonly isPublicFile: boolean
  isFromEnvironment(path: Finding['path']): boolean
}

export type Collect = (finding: Finding) => void

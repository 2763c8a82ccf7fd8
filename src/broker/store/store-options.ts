import type { SyncMode } from './group-commit.ts'

/** How and where a hub stores. */
export interface StoreOptions {
  /** Directory of the database; made when it is not there. */
  readonly dir: string
  /**
   * When a write counts as stored: `always` after fsync, `interval` and `never` when the operating system has it
   * (nothing is lost when the hub dies, up to the interval, or more, when the power fails). Default `always`.
   */
  readonly sync?: SyncMode
  /** For `interval`: how often fsync is called. Milliseconds; default 1000. */
  readonly intervalMs?: number
  /** Bytes the directory may take; 0: no limit. Default 4 GiB. */
  readonly maxBytes?: number
  /** Bytes kept in reserve for acknowledgements when the disk is full. Default 16 MiB. */
  readonly reserveBytes?: number
}

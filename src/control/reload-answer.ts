/** What came of reading the configuration again. */
export type ReloadAnswer =
  | {
      readonly ok: true
      /** Keys that have another value from now on; `principals` as a whole. */
      readonly changed: readonly string[]
      /** Keys that have another value in the file, which counts from the next start on. */
      readonly restart: readonly string[]
      /** A line each. */
      readonly warnings: readonly string[]
    }
  | {
      readonly ok: false
      /** Why the file can't be used, a line each: nothing was changed. */
      readonly problems: readonly string[]
    }

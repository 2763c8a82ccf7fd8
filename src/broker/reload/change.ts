/** A part of another configuration for which everything that can fail has been done. One of its methods is called, once. */
export interface Change {
  /** It holds from now on. Never rejects. */
  commit(): Promise<void>
  /** All is as before. Rejects when it can't be. */
  rollBack(): Promise<void>
}

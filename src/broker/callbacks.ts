/** Calls back when done. */
export type Done = (error?: Error) => void

/** Calls back in a later turn. */
export function queueDone(done: Done | undefined, error?: Error): void {
  if (done !== undefined) setImmediate(done, error)
}

/** Calls back outside the promise, so that what the callback throws is not lost in a rejection. */
export function settle(work: Promise<unknown>, done: Done | undefined): void {
  if (done === undefined) work.catch(() => {})
  else
    work.then(
      () => setImmediate(done as (error: Error | null) => void, null), // aedes says null
      error => setImmediate(done, error),
    )
}

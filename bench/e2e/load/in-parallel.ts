/** How many connections are in the making at a time. */
const WORKERS = 64

/** Does the work for every item, for a bounded number of them at a time. Rejects with the first failure. */
export async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values()
  const worker = async (): Promise<void> => {
    for (const item of queue) await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(WORKERS, items.length) }, worker))
}

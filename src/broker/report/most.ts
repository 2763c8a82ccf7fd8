/** Sorting now and then is cheaper than keeping everything in order all the time. */
const FEWEST_BEFORE_SORTING = 256

/** The first `limit` items in the order of `compare`, in one pass that holds a bounded number of them. */
export function mostOf<Item>(items: Iterable<Item>, limit: number, compare: (a: Item, b: Item) => number): Item[] {
  const enough = Math.max(limit * 2, FEWEST_BEFORE_SORTING)
  let found: Item[] = []
  for (const item of items) {
    found.push(item)
    if (found.length >= enough) found = found.sort(compare).slice(0, limit)
  }
  return found.sort(compare).slice(0, limit)
}

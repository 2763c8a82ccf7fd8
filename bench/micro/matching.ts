import type { Bench } from 'tinybench'
import { filterMatches, SubscriptionTree, TopicTree } from '../../src/router/index.ts'

const DEVICES = 10_000

/** Subscriptions found by topic, retained topics found by filter. */
export function addMatching(bench: Bench): void {
  const tree = new SubscriptionTree<number>()
  const retained = new TopicTree<number>()
  for (let device = 0; device < DEVICES; device++) {
    tree.add(`dev/${device}/+/status`, device, 0)
    tree.add(`dev/${device}/temperature`, device, 1)
    retained.set(`dev/${device % 100}/${device}/state`, device)
  }
  tree.add('dev/+/+/status', -1, 0)
  tree.add('#', -2, 0)
  const found = { count: 0 }
  const count = (): void => {
    found.count++
  }
  let next = 0
  const device = (): number => {
    next = (next + 7919) % DEVICES
    return next
  }
  tree.match('dev/17/x/status', count)
  tree.match('dev/17/temperature', count)
  retained.match('dev/+/17/state', count)
  if (found.count !== 6) throw new Error(`the trees found ${found.count} matches instead of 6`)
  bench.add('subscriptions: + in one level, 20,002 filters, 3 match', () => {
    tree.match(`dev/${device()}/x/status`, count)
  })
  bench.add('subscriptions: exact filter, 20,002 filters, 2 match', () => {
    tree.match(`dev/${device()}/temperature`, count)
  })
  bench.add('subscriptions: add and remove one', () => {
    const filter = `new/${device()}/#`
    tree.add(filter, 1, 0)
    tree.remove(filter, 1)
  })
  bench.add('retained: exact topic of 10,000', () => {
    const number = device()
    retained.match(`dev/${number % 100}/${number}/state`, count)
  })
  bench.add('retained: + over 100 groups of 10,000 topics, 1 matches', () => {
    retained.match(`dev/+/${device()}/state`, count)
  })
  bench.add('one filter against one topic', () => {
    if (filterMatches('dev/+/x/#', 'dev/17/x/status')) count()
  })
}

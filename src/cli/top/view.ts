import type { TopAnswer } from '../../broker/index.ts'

/** A hub between two moments: what is shown of it. Rates are null while only one moment is known. */
export interface View {
  readonly version: string
  readonly pid: number
  readonly uptimeSeconds: number
  /** Of one processor. */
  readonly cpuPercent: number | null
  readonly loopDelay: TopAnswer['loopDelay']
  readonly snapshot: TopAnswer['snapshot']
  /** Per second. */
  readonly rates: Readonly<Record<RateName, number>> | null
  /** Messages thrown away since the start, for whatever reason. */
  readonly dropped: number
  readonly topics: readonly Row<TopAnswer['topics'][number]>[]
  readonly rules: readonly Row<TopAnswer['rules'][number]>[]
  readonly slow: TopAnswer['slow']
  readonly clients: readonly Row<TopAnswer['clients'][number]>[]
}

export type RateName = 'messagesIn' | 'messagesOut' | 'bytesIn' | 'bytesOut' | 'dropped' | 'accepted' | 'forwarded'

/** Something with its messages per second; null: it was not among those that were counted before. */
export interface Row<Item> {
  readonly item: Item
  readonly rate: number | null
}

/** What happened from `before` to `after`; null: nothing is known of before. */
export function viewOf(before: TopAnswer | null, after: TopAnswer): View {
  // Counts of another process have nothing to do with these.
  const earlier = before !== null && before.pid === after.pid && before.at < after.at ? before : null
  const seconds = earlier === null ? 1 : (after.at - earlier.at) / 1000
  const { snapshot } = after
  return {
    version: after.version,
    pid: after.pid,
    uptimeSeconds: snapshot.uptimeSeconds,
    cpuPercent:
      earlier === null ? null : (100 * (snapshot.process.cpuSeconds - earlier.snapshot.process.cpuSeconds)) / seconds,
    loopDelay: after.loopDelay,
    snapshot,
    rates: earlier === null ? null : ratesOf(earlier.snapshot, snapshot, seconds),
    dropped: droppedOf(snapshot),
    topics: rows(earlier?.topics, after.topics, seconds, topicKey, ({ messages }) => messages),
    rules: rows(earlier?.rules, after.rules, seconds, ruleKey, ({ matched }) => matched),
    slow: after.slow,
    clients: rows(earlier?.clients, after.clients, seconds, clientKey, ({ received, sent }) => received + sent),
  }
}

type Snapshot = TopAnswer['snapshot']

function ratesOf(before: Snapshot, after: Snapshot, seconds: number): Readonly<Record<RateName, number>> {
  const rate = (count: (snapshot: Snapshot) => number): number => (count(after) - count(before)) / seconds
  return {
    messagesIn: rate(({ messages }) => messages.received),
    messagesOut: rate(({ messages }) => messages.sent),
    bytesIn: rate(({ bytes }) => bytes.received),
    bytesOut: rate(({ bytes }) => bytes.sent),
    dropped: rate(droppedOf),
    accepted: rate(({ clients }) => clients.accepted),
    forwarded: rate(({ rules }) => rules.forwarded),
  }
}

function droppedOf({ messages, rules }: Snapshot): number {
  const { droppedQos0, droppedQueued, droppedExpired, droppedRetained, refused } = messages
  return droppedQos0 + droppedQueued + droppedExpired + droppedRetained + refused + rules.dropped
}

const topicKey = ({ topic }: TopAnswer['topics'][number]): string => topic
const ruleKey = ({ name }: TopAnswer['rules'][number]): string => name
/** A client that came back counts from 0. */
const clientKey = ({ id, connectedAt }: TopAnswer['clients'][number]): string => `${connectedAt} ${id}`

/** The busiest now first, then the busiest since the start. */
function rows<Item>(
  before: readonly Item[] | undefined,
  after: readonly Item[],
  seconds: number,
  key: (item: Item) => string,
  count: (item: Item) => number,
): Row<Item>[] {
  const counts = new Map(before?.map(item => [key(item), count(item)]))
  const found = after.map((item): Row<Item> => {
    const old = counts.get(key(item))
    // A topic that was forgotten meanwhile counts from 0 again.
    return { item, rate: old === undefined ? null : Math.max(count(item) - old, 0) / seconds }
  })
  return found.sort((a, b) => (b.rate ?? -1) - (a.rate ?? -1) || count(b.item) - count(a.item))
}

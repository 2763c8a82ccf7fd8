import type { TopAnswer } from '../../../src/broker/index.ts'

type Snapshot = TopAnswer['snapshot']

/** What a hub answers that has done nothing, but for what is given. */
export function topAnswer(
  given: Partial<Omit<TopAnswer, 'snapshot'>> = {},
  snapshot: { [Part in keyof Snapshot]?: Partial<Snapshot[Part]> } = {},
): TopAnswer {
  const empty: Snapshot = {
    time: 0,
    uptimeSeconds: 100,
    clients: {
      connected: 0,
      maximum: 0,
      sessions: 0,
      disconnected: 0,
      expired: 0,
      connections: 0,
      accepted: 0,
      refused: 0,
      protocolErrors: 0,
    },
    messages: {
      received: 0,
      sent: 0,
      droppedQos0: 0,
      droppedQueued: 0,
      droppedExpired: 0,
      refused: 0,
      retained: 0,
      retainedBytes: 0,
      droppedRetained: 0,
    },
    packets: { received: 0, sent: 0 },
    bytes: { received: 0, sent: 0, publishReceived: 0, publishSent: 0 },
    subscriptions: 0,
    queues: { messages: 0, bytes: 0, memoryBytes: 0, unacknowledged: 0 },
    store: { alarm: 'ok', bytes: 0, pendingBytes: 0, waitingMessages: 0 },
    rules: { count: 0, forwarded: 0, dropped: 0 },
    process: { rssBytes: 0, heapUsedBytes: 0, heapTotalBytes: 0, externalBytes: 0, cpuSeconds: 0 },
  }
  const merged = Object.fromEntries(
    Object.entries(empty).map(([part, value]) => {
      const more = snapshot[part as keyof Snapshot]
      if (typeof value !== 'object' || value === null || more === null) return [part, more ?? value]
      return [part, { ...value, ...(more as object | undefined) }]
    }),
  ) as unknown as Snapshot
  return {
    at: 1000,
    version: '1.2.3',
    pid: 42,
    loopDelay: null,
    topics: [],
    rules: [],
    slow: [],
    clients: [],
    ...given,
    snapshot: merged,
  }
}

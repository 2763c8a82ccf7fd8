import { type LoadAverage, SPANS } from './load-average.ts'
import type { HubSnapshot } from './snapshot.ts'

/** What comes before all of them. */
const BROKER = '$SYS/broker/'

/** The counters of which averages are published, under `load/`. */
export interface LoadTotals {
  readonly 'messages/received': number
  readonly 'messages/sent': number
  readonly 'publish/received': number
  readonly 'publish/sent': number
  readonly 'publish/dropped': number
  readonly 'bytes/received': number
  readonly 'bytes/sent': number
  /** Connections opened. */
  readonly sockets: number
  /** CONNECT packets answered. */
  readonly connections: number
}

export type LoadName = keyof LoadTotals

/** Messages thrown away that somebody had subscribed to. */
function droppedOf({ messages }: HubSnapshot): number {
  return messages.droppedQos0 + messages.droppedQueued + messages.droppedExpired
}

/** `connects`: CONNECT packets answered so far. */
export function loadTotals(snapshot: HubSnapshot, connects: number): LoadTotals {
  const { bytes, clients, messages, packets } = snapshot
  return {
    'messages/received': packets.received,
    'messages/sent': packets.sent,
    'publish/received': messages.received,
    'publish/sent': messages.sent,
    'publish/dropped': droppedOf(snapshot),
    'bytes/received': bytes.received,
    'bytes/sent': bytes.sent,
    sockets: clients.accepted,
    connections: connects,
  }
}

/** What the figures are called on `$SYS/broker/...`: topic -> payload. The names are mosquitto's, but for those of rules. */
export function sysTopics(
  snapshot: HubSnapshot,
  loads: ReadonlyMap<LoadName, LoadAverage>,
  { version, heapMaximum }: { readonly version: string; readonly heapMaximum: number },
): Map<string, string> {
  const topics = new Map<string, string>()
  const say = (name: string, value: number | string): void => void topics.set(BROKER + name, String(value))
  const { bytes, clients, messages, packets, queues, rules } = snapshot
  // As mosquitto counts: what is retained, and what is kept until it is acknowledged.
  const stored = queues.messages + queues.unacknowledged + messages.retained
  say('version', `openedge version ${version}`)
  say('uptime', `${Math.floor(snapshot.uptimeSeconds)} seconds`)
  say('clients/total', clients.connected + clients.disconnected)
  say('clients/connected', clients.connected)
  say('clients/disconnected', clients.disconnected)
  say('clients/maximum', clients.maximum)
  say('clients/expired', clients.expired)
  say('messages/received', packets.received)
  say('messages/sent', packets.sent)
  say('messages/stored', stored)
  say('store/messages/count', stored)
  say('store/messages/bytes', queues.bytes + messages.retainedBytes)
  say('publish/messages/received', messages.received)
  say('publish/messages/sent', messages.sent)
  say('publish/messages/dropped', droppedOf(snapshot))
  say('publish/bytes/received', bytes.publishReceived)
  say('publish/bytes/sent', bytes.publishSent)
  say('bytes/received', bytes.received)
  say('bytes/sent', bytes.sent)
  say('subscriptions/count', snapshot.subscriptions)
  say('retained messages/count', messages.retained)
  say('heap/current', snapshot.process.heapUsedBytes)
  say('heap/maximum', heapMaximum)
  say('rules/forwarded', rules.forwarded)
  say('rules/dropped', rules.dropped)
  for (const [name, load] of loads)
    SPANS.forEach((span, i) => say(`load/${name}/${span.name}`, (load.values[i] as number).toFixed(2)))
  return topics
}

import type { Hub } from '../hub.ts'
import { sessionTotals } from './session-totals.ts'

/** All figures of a hub at one moment. Counts are since its start, sizes in bytes. */
export interface HubSnapshot {
  /** Milliseconds since 1970. */
  readonly time: number
  /** Of the process. */
  readonly uptimeSeconds: number
  readonly clients: {
    readonly connected: number
    /** Most that were connected at one time. */
    readonly maximum: number
    /** Of connected clients, and kept for absent ones. */
    readonly sessions: number
    /** Sessions kept for clients that are not connected. */
    readonly disconnected: number
    /** Kept sessions forgotten because their clients stayed away. */
    readonly expired: number
    /** Connections now, those included that have not sent CONNECT. */
    readonly connections: number
    readonly accepted: number
    /** CONNECTs answered with another return code than 0. */
    readonly refused: number
    /** Connections closed because the client broke the protocol, or a limit by what it sent. */
    readonly protocolErrors: number
  }
  /** Application messages. */
  readonly messages: {
    readonly received: number
    readonly sent: number
    readonly droppedQos0: number
    readonly droppedQueued: number
    readonly droppedExpired: number
    /** Neither stored nor acknowledged. */
    readonly refused: number
    /** With those of the hub itself, and bytes of their topics and payloads. */
    readonly retained: number
    readonly retainedBytes: number
    readonly droppedRetained: number
  }
  /** MQTT control packets of all types. */
  readonly packets: { readonly received: number; readonly sent: number }
  readonly bytes: {
    readonly received: number
    readonly sent: number
    /** Of payloads alone. */
    readonly publishReceived: number
    readonly publishSent: number
  }
  /** Pairs of a client and a topic filter. */
  readonly subscriptions: number
  readonly queues: {
    /** Messages that wait for their clients, and bytes of their topics and payloads; wherever they lie. */
    readonly messages: number
    readonly bytes: number
    /** Those of the bytes that are in memory. */
    readonly memoryBytes: number
    /** Messages sent and not acknowledged. */
    readonly unacknowledged: number
  }
  /** Null: nothing is stored. */
  readonly store: StoreSnapshot | null
  readonly rules: {
    readonly count: number
    readonly forwarded: number
    readonly dropped: number
  }
  readonly process: {
    readonly rssBytes: number
    readonly heapUsedBytes: number
    readonly heapTotalBytes: number
    readonly externalBytes: number
    /** Processor time, user and system. */
    readonly cpuSeconds: number
  }
}

export interface StoreSnapshot {
  /** `full` and `failed`: nothing new is stored or acknowledged. */
  readonly alarm: 'ok' | 'full' | 'failed'
  /** What the database takes on the disk, as it was measured last; null: it was not. */
  readonly bytes: number | null
  /** Not written yet. */
  readonly pendingBytes: number
  /** Messages that wait in it for their clients. */
  readonly waitingMessages: number
}

/** Takes all figures, in one pass over the sessions. A plain object, ready for JSON. */
export function snapshotOf(hub: Hub): HubSnapshot {
  const { state, retained } = hub
  const { counters, rules } = state
  const totals = sessionTotals(hub)
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  return {
    time: Date.now(),
    uptimeSeconds: process.uptime(),
    clients: {
      connected: hub.connectedClients,
      maximum: counters.clientsMaximum,
      sessions: hub.sessions.size,
      disconnected: totals.absent,
      expired: counters.sessionsExpired,
      connections: hub.connections,
      accepted: counters.connectionsAccepted,
      refused: counters.connectionsRefused,
      protocolErrors: counters.protocolErrors,
    },
    messages: {
      received: counters.messagesReceived,
      sent: counters.messagesSent,
      droppedQos0: counters.droppedQos0,
      droppedQueued: counters.droppedQueued,
      droppedExpired: counters.droppedExpired,
      refused: counters.refused,
      retained: retained.count,
      retainedBytes: retained.bytes,
      droppedRetained: counters.droppedRetained,
    },
    packets: {
      received: counters.messagesReceived + counters.controlReceived,
      sent: counters.messagesSent + counters.controlSent,
    },
    bytes: {
      received: counters.bytesReceived,
      sent: counters.bytesSent,
      publishReceived: counters.publishBytesReceived,
      publishSent: counters.publishBytesSent,
    },
    subscriptions: hub.sessions.tree.size,
    queues: {
      messages: totals.queued,
      bytes: state.waitingBytes + totals.diskBytes,
      memoryBytes: state.waitingBytes,
      unacknowledged: totals.unacknowledged,
    },
    store: storeOf(hub, totals.stored),
    rules: { count: rules.rules.length, forwarded: counters.forwarded, dropped: counters.forwardsDropped },
    process: {
      rssBytes: rss,
      heapUsedBytes: heapUsed,
      heapTotalBytes: heapTotal,
      externalBytes: external,
      cpuSeconds: (user + system) / 1e6,
    },
  }
}

function storeOf(hub: Hub, waitingMessages: number): StoreSnapshot | null {
  const { store } = hub.state
  if (store === null) return null
  return {
    alarm: store.blocked ?? 'ok',
    bytes: store.usedBytes,
    pendingBytes: store.commit.pendingBytes,
    waitingMessages,
  }
}

import { DEFAULT_TOPIC_LIMITS, type TopicLimits } from '../common/index.ts'
import type { HubConfig } from '../config/index.ts'

/** The numbers the broker obeys, from the configuration or from an embedder's options. */
export interface Settings {
  readonly topic: TopicLimits
  /** Whether clients may publish to topics that start with `$` (other than below `$SYS/`). */
  readonly dollarTopics: boolean
  /** Largest packet taken from a client, fixed header included. Bytes. */
  readonly maxPacketBytes: number
  readonly clientIdLength: number
  /** Client identifiers of MQTT 3.1 (level 3) may have at most this many characters. */
  readonly clientIdLengthOf31: number
  readonly clientIdCharset: 'openedge' | 'any'
  /** Packets a client may send behind CONNECT before it is answered. */
  readonly packetsBeforeConnect: number
  /** Connections at the same time. */
  readonly connections: number
  /** An invalid topic filter ends the connection, as in aedes; else its SUBACK entry is 0x80, as in OpenEdge. */
  readonly closeOnInvalidFilter: boolean
  /** Topic filters per client. */
  readonly filters: number
  readonly retainedCount: number
  readonly retainedBytes: number
  readonly connectTimeoutMs: number
  /** 0: wait for ever. */
  readonly drainTimeoutMs: number
  /** Largest keep alive a client may ask for, in seconds; 0: any. */
  readonly keepAliveLimit: number
  /** QoS 2 messages of one client between PUBREC and PUBREL; 0: any number. */
  readonly inboundQos2: number
  /** Unacknowledged messages on their way to one client. */
  readonly window: number
  /** The oldest unacknowledged message is sent again after this time. */
  readonly retryIntervalMs: number
  /** QoS 0 messages that wait for a slow client. */
  readonly qos0Buffer: number
  /** Bytes that wait for a slow client before QoS 0 messages to it are dropped. */
  readonly qos0BufferBytes: number
  /** Per session. */
  readonly queueMessages: number
  readonly queueBytes: number
  /** All sessions together. */
  readonly queueTotalBytes: number
  /** What gives way when a message of QoS 1 or 2 finds the queue of a session full. */
  readonly overflow: HubConfig['queue']['overflow']
  /** A kept session whose client stays away so long is removed; null: never. */
  readonly sessionExpiryMs: number | null
  /** Messages of QoS 1 and 2 that wait longer are deleted. */
  readonly retentionMs: number
  /** Time between two searches for what is older than that. */
  readonly cleanupIntervalMs: number
  readonly shutdownTimeoutMs: number
}

/** OpenEdge adds two to the configured buffer before its window is full (its 100 are 102). */
const OPENEDGE_WINDOW_EXTRA = 2

const QOS0_BUFFER_BYTES = 1_048_576

/** What an embedder gets who gives no configuration: as open as aedes, but bounded. */
export const EMBEDDED_SETTINGS: Settings = {
  topic: { maxBytes: 65_535, maxLevels: 100 },
  dollarTopics: true,
  maxPacketBytes: 16_777_216,
  clientIdLength: 65_535,
  clientIdLengthOf31: 23,
  clientIdCharset: 'any',
  packetsBeforeConnect: 42,
  connections: Number.POSITIVE_INFINITY,
  closeOnInvalidFilter: true,
  filters: 10_000,
  retainedCount: 1_000_000,
  retainedBytes: 268_435_456,
  connectTimeoutMs: 30_000,
  drainTimeoutMs: 60_000,
  keepAliveLimit: 0,
  inboundQos2: 1000,
  window: 102,
  retryIntervalMs: 20_000,
  qos0Buffer: 10_000,
  qos0BufferBytes: QOS0_BUFFER_BYTES,
  queueMessages: 10_000,
  queueBytes: 16_777_216,
  queueTotalBytes: 268_435_456,
  overflow: 'drop-oldest',
  sessionExpiryMs: null,
  retentionMs: 172_800_000,
  cleanupIntervalMs: 60_000,
  shutdownTimeoutMs: 5000,
}

export function settingsOf(config: HubConfig): Settings {
  const { limits, message, queue, session } = config
  return {
    ...EMBEDDED_SETTINGS,
    topic:
      limits.topicLength === DEFAULT_TOPIC_LIMITS.maxBytes && limits.topicLevels === DEFAULT_TOPIC_LIMITS.maxLevels
        ? DEFAULT_TOPIC_LIMITS
        : { maxBytes: limits.topicLength, maxLevels: limits.topicLevels },
    dollarTopics: limits.topicDollar === 'allow',
    maxPacketBytes: message.maxBytes,
    clientIdLength: limits.clientIdLength,
    inboundQos2: 0, // packet identifiers bound them to 65,535, and MQTT 3.1.1 knows no other limit
    clientIdLengthOf31: 65_535, // OpenEdge makes no difference; clientid.length holds for all
    clientIdCharset: limits.clientIdCharset,
    packetsBeforeConnect: limits.packetsBeforeConnect,
    connections: limits.connections,
    closeOnInvalidFilter: false,
    filters: limits.filters,
    retainedCount: limits.retainedCount,
    retainedBytes: limits.retainedBytes,
    connectTimeoutMs: limits.connectTimeoutMs,
    drainTimeoutMs: limits.drainTimeoutMs,
    window: message.egress.qos1BufferSize + OPENEDGE_WINDOW_EXTRA,
    retryIntervalMs: message.egress.qos1RetryIntervalMs,
    qos0Buffer: message.egress.qos0BufferSize,
    queueMessages: queue.maxMessages,
    queueBytes: queue.maxBytes,
    queueTotalBytes: queue.maxTotalBytes,
    overflow: queue.overflow,
    sessionExpiryMs: session.expiryMs,
    retentionMs: message.ingress.qos1RetentionMs,
    cleanupIntervalMs: message.ingress.qos1CleanupIntervalMs,
    shutdownTimeoutMs: config.shutdownTimeoutMs,
  }
}

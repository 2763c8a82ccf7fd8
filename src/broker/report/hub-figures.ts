import { type Figures, type Readings, registerProgram, type Sample } from '../../metrics/index.ts'
import type { Hub } from '../hub.ts'
import type { Latency } from '../latency.ts'
import { type RuleReport, rulesOf } from './rule-reports.ts'
import { type HubSnapshot, type StoreSnapshot, snapshotOf } from './snapshot.ts'

/** Of so many rules, those that matched most, there are figures of their own. */
const MOST_RULES = 1000

interface Taken {
  readonly snapshot: HubSnapshot
  readonly rules: readonly RuleReport[]
}

/** The figures of a hub. No label is a client identifier, and none a topic but those of the configured rules. */
export class HubFigures implements Figures {
  readonly #hub: Hub
  readonly #version: string
  #taken: Taken

  constructor(hub: Hub, version: string) {
    this.#hub = hub
    this.#version = version
    this.#taken = takenOf(hub)
  }

  /** Looks at everything: what is read from now on is of this moment. */
  take(): void {
    this.#taken = takenOf(this.#hub)
  }

  register(readings: Readings): void {
    registerProgram(readings, this.#version)
    this.#registerClients(readings)
    this.#registerMessages(readings)
    this.#registerBytes(readings)
    this.#registerQueues(readings)
    this.#registerStore(readings)
    this.#registerRules(readings)
    readings.histogram(
      'openedge_delivery_seconds',
      'Time from the receipt of a message to its hand-over to the kernel, for messages that went at once by the data path.',
      () => histogramOf('openedge_delivery_seconds', this.#hub.state.latency),
    )
  }

  #registerClients(readings: Readings): void {
    const clients = (read: (clients: HubSnapshot['clients']) => number) => () => read(this.#taken.snapshot.clients)
    readings.gauge(
      'openedge_clients_connected',
      'Connected clients.',
      clients(({ connected }) => connected),
    )
    readings.gauge(
      'openedge_clients_connected_maximum',
      'Most clients that were connected at one time.',
      clients(({ maximum }) => maximum),
    )
    readings.gauge(
      'openedge_sessions',
      'Sessions, of connected clients and kept for absent ones.',
      clients(({ sessions }) => sessions),
    )
    readings.gauge(
      'openedge_sessions_absent',
      'Sessions kept for clients that are not connected.',
      clients(({ disconnected }) => disconnected),
    )
    readings.counter(
      'openedge_sessions_expired_total',
      'Sessions forgotten because their clients stayed away.',
      clients(({ expired }) => expired),
    )
    readings.gauge(
      'openedge_connections',
      'Open connections, with those that have not sent CONNECT.',
      clients(({ connections }) => connections),
    )
    readings.counter(
      'openedge_connections_accepted_total',
      'Connections accepted.',
      clients(({ accepted }) => accepted),
    )
    readings.counter(
      'openedge_connects_refused_total',
      'CONNECTs answered with another return code than 0.',
      clients(({ refused }) => refused),
    )
    readings.counter(
      'openedge_protocol_errors_total',
      'Connections closed because the client broke the protocol or a limit by what it sent.',
      clients(({ protocolErrors }) => protocolErrors),
    )
    readings.gauge('openedge_subscriptions', 'Pairs of a client and a topic filter.', () => {
      return this.#taken.snapshot.subscriptions
    })
  }

  #registerMessages(readings: Readings): void {
    const messages = (read: (messages: HubSnapshot['messages']) => number) => () => read(this.#taken.snapshot.messages)
    readings.counter(
      'openedge_messages_received_total',
      'Application messages taken from clients.',
      messages(({ received }) => received),
    )
    readings.counter(
      'openedge_messages_sent_total',
      'Application messages written to clients.',
      messages(({ sent }) => sent),
    )
    readings.counter('openedge_messages_dropped_total', 'Messages thrown away on their way to a client.', () => {
      const { droppedExpired, droppedQos0, droppedQueued } = this.#taken.snapshot.messages
      return [
        { labels: { reason: 'slow_client' }, value: droppedQos0 },
        { labels: { reason: 'queue_full' }, value: droppedQueued },
        { labels: { reason: 'expired' }, value: droppedExpired },
      ]
    })
    readings.counter(
      'openedge_messages_refused_total',
      'Messages neither stored nor acknowledged: the storage or a queue is full.',
      messages(({ refused }) => refused),
    )
    readings.gauge(
      'openedge_retained_messages',
      'Retained messages.',
      messages(({ retained }) => retained),
    )
    readings.gauge(
      'openedge_retained_bytes',
      'Topics and payloads of retained messages.',
      messages(({ retainedBytes }) => retainedBytes),
    )
    readings.counter(
      'openedge_retained_dropped_total',
      'Messages not retained because a limit was reached.',
      messages(({ droppedRetained }) => droppedRetained),
    )
  }

  #registerBytes(readings: Readings): void {
    const { packets, bytes } = {
      packets: () => this.#taken.snapshot.packets,
      bytes: () => this.#taken.snapshot.bytes,
    }
    readings.counter('openedge_packets_received_total', 'Packets of all types from clients.', () => packets().received)
    readings.counter('openedge_packets_sent_total', 'Packets of all types to clients.', () => packets().sent)
    readings.counter('openedge_received_bytes_total', 'Bytes from clients.', () => bytes().received)
    readings.counter('openedge_sent_bytes_total', 'Bytes to clients.', () => bytes().sent)
    readings.counter('openedge_publish_received_bytes_total', 'Payloads of messages from clients.', () => {
      return bytes().publishReceived
    })
    readings.counter('openedge_publish_sent_bytes_total', 'Payloads of messages to clients.', () => {
      return bytes().publishSent
    })
  }

  #registerQueues(readings: Readings): void {
    const queues = (read: (queues: HubSnapshot['queues']) => number) => () => read(this.#taken.snapshot.queues)
    readings.gauge(
      'openedge_queued_messages',
      'Messages that wait for their clients.',
      queues(({ messages }) => messages),
    )
    readings.gauge(
      'openedge_queued_bytes',
      'Topics and payloads of messages that wait, in memory and on disk.',
      queues(({ bytes }) => bytes),
    )
    readings.gauge(
      'openedge_queued_memory_bytes',
      'Those of them that are in memory.',
      queues(({ memoryBytes }) => memoryBytes),
    )
    readings.gauge(
      'openedge_unacknowledged_messages',
      'Messages sent and not acknowledged.',
      queues(({ unacknowledged }) => unacknowledged),
    )
  }

  #registerStore(readings: Readings): void {
    const store = (read: (store: StoreSnapshot) => number | readonly Sample[]) => () => {
      const taken = this.#taken.snapshot.store
      return taken === null ? [] : read(taken)
    }
    readings.gauge(
      'openedge_store_state',
      '1 for what the storage is: ok; full or failed, and then takes nothing new.',
      store(({ alarm }) =>
        ['ok', 'full', 'failed'].map(state => ({ labels: { state }, value: state === alarm ? 1 : 0 })),
      ),
    )
    readings.gauge(
      'openedge_store_bytes',
      'What the storage takes on the disk.',
      store(({ bytes }) => bytes ?? []),
    )
    readings.gauge(
      'openedge_store_pending_bytes',
      'What is not written yet.',
      store(({ pendingBytes }) => pendingBytes),
    )
    readings.gauge(
      'openedge_store_queued_messages',
      'Stored messages that wait for their clients.',
      store(({ waitingMessages }) => waitingMessages),
    )
  }

  #registerRules(readings: Readings): void {
    const rules = (read: (rule: RuleReport) => number) => () =>
      this.#taken.rules.map(rule => ({ labels: { source: rule.source, target: rule.target }, value: read(rule) }))
    readings.gauge('openedge_rules', 'Rules of the router.', () => this.#taken.snapshot.rules.count)
    readings.counter('openedge_rules_forwarded_total', 'Messages that all rules have forwarded.', () => {
      return this.#taken.snapshot.rules.forwarded
    })
    readings.counter('openedge_rules_dropped_total', 'Messages that all rules have dropped.', () => {
      return this.#taken.snapshot.rules.dropped
    })
    readings.counter(
      'openedge_rule_matched_total',
      'Messages that a rule took.',
      rules(({ matched }) => matched),
    )
    readings.counter(
      'openedge_rule_forwarded_total',
      'Messages that a rule has forwarded.',
      rules(({ forwarded }) => forwarded),
    )
    readings.counter(
      'openedge_rule_dropped_total',
      'Messages that a rule has dropped: beyond its limit, not permitted, or with nowhere to go.',
      rules(({ dropped }) => dropped),
    )
  }
}

function takenOf(hub: Hub): Taken {
  return { snapshot: snapshotOf(hub), rules: rulesOf(hub, MOST_RULES) }
}

/** Buckets that each count all that is not above their bound, as Prometheus has them. */
function histogramOf(name: string, latency: Latency | null): Sample[] {
  if (latency === null) return []
  const { bounds, counts, sum } = latency
  const samples: Sample[] = []
  let total = 0
  counts.forEach((count, i) => {
    total += count
    samples.push({ metricName: `${name}_bucket`, labels: { le: bounds[i] ?? '+Inf' }, value: total })
  })
  samples.push({ metricName: `${name}_sum`, value: sum }, { metricName: `${name}_count`, value: total })
  return samples
}

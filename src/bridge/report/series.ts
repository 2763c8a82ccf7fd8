import { type Figures, type Readings, registerProgram, type Sample } from '../../metrics/index.ts'
import type { BridgeFigures, FlowFigures, LinkFigures, RuleFigures } from '../figures.ts'

const NOTHING: BridgeFigures = { startedAt: 0, rules: [] }

/**
 * The figures of a bridge for Prometheus. All that is in a label is written in the configuration: neither a topic nor a
 * client identifier is.
 */
export class BridgeSeries implements Figures {
  readonly #figures: () => BridgeFigures
  readonly #version: string
  #taken = NOTHING

  constructor(figures: () => BridgeFigures, version: string) {
    this.#figures = figures
    this.#version = version
  }

  take(): void {
    this.#taken = this.#figures()
  }

  register(readings: Readings): void {
    registerProgram(readings, this.#version)
    readings.gauge('openedge_bridge_rules', 'Rules of the bridge.', () => this.#taken.rules.length)
    this.#registerLinks(readings)
    this.#registerTraffic(readings)
    this.#registerBacklog(readings)
  }

  #registerLinks(readings: Readings): void {
    const links = (read: (link: LinkFigures) => number) => () =>
      this.#samples(rule => rule.links.map(link => ({ labels: linkLabels(rule, link), value: read(link) })))
    readings.gauge(
      'openedge_bridge_link_up',
      '1 for a connection that stands, else 0.',
      links(({ phase }) => (phase === 'connected' ? 1 : 0)),
    )
    readings.counter(
      'openedge_bridge_connects_total',
      'Connections that were made.',
      links(({ connects }) => connects),
    )
    readings.gauge(
      'openedge_bridge_refused_filters',
      'Topic filters that the broker refused.',
      links(({ refused }) => refused.length),
    )
  }

  #registerTraffic(readings: Readings): void {
    const flows = this.#flows
    readings.counter(
      'openedge_bridge_received_total',
      'Messages that came from the source.',
      flows(({ received }) => received),
    )
    readings.counter(
      'openedge_bridge_forwarded_total',
      'Messages handed to the target, each once.',
      flows(({ forwarded }) => forwarded),
    )
    readings.counter(
      'openedge_bridge_forwarded_bytes_total',
      'Bytes of messages handed to the target.',
      flows(({ forwardedBytes }) => forwardedBytes),
    )
    readings.counter(
      'openedge_bridge_acknowledged_total',
      'Messages of QoS 1 and 2 that the target took over.',
      flows(({ acknowledged }) => acknowledged),
    )
    readings.counter(
      'openedge_bridge_duplicates_total',
      'Messages sent again because a connection broke before they were acknowledged.',
      flows(({ duplicates }) => duplicates),
    )
    readings.counter('openedge_bridge_dropped_total', 'Messages that went no further, by why.', () =>
      this.#samples(rule =>
        rule.flows.flatMap(flow =>
          Object.entries(flow.dropped).map(([reason, value]) => ({
            labels: { ...flowLabels(rule, flow), reason },
            value,
          })),
        ),
      ),
    )
  }

  #registerBacklog(readings: Readings): void {
    const flows = this.#flows
    readings.gauge(
      'openedge_bridge_in_flight',
      'Messages sent to the target and not acknowledged.',
      flows(({ inFlight }) => inFlight),
    )
    readings.gauge(
      'openedge_bridge_waiting',
      'Messages taken from the source and not sent yet.',
      flows(({ waiting }) => waiting),
    )
    readings.gauge(
      'openedge_bridge_lag_seconds',
      'How long the oldest message that is not sent, or not acknowledged, has been here.',
      flows(({ lagMs }) => lagMs / 1000),
    )
  }

  readonly #flows = (read: (flow: FlowFigures) => number) => (): Sample[] =>
    this.#samples(rule => rule.flows.map(flow => ({ labels: flowLabels(rule, flow), value: read(flow) })))

  #samples(of: (rule: RuleFigures) => Sample[]): Sample[] {
    return this.#taken.rules.flatMap(of)
  }
}

function linkLabels(rule: RuleFigures, { side }: LinkFigures): Record<string, string> {
  return { rule: rule.name, side, remote: rule.remote }
}

function flowLabels(rule: RuleFigures, { direction }: FlowFigures): Record<string, string> {
  return { rule: rule.name, direction }
}

import { Histogram } from './histogram.ts'

/** What a broker may not do. Each is a number of messages; a measurement with any of them counts for nothing. */
export interface Faults {
  /** Not delivered when everything else was. */
  lost: number
  /** Delivered again. */
  duplicate: number
  /** Delivered after a later message of the same publisher and topic. */
  disordered: number
  /** Payload not the one that was sent. */
  corrupt: number
  /** Delivered under another topic, or to a subscriber of another topic. */
  misrouted: number
  /** Delivered at a QoS other than the lower one of publish and subscription. */
  wrongQos: number
  /** Delivered with DUP or RETAIN set, which nothing here calls for. */
  wrongFlags: number
  /** PUBACK of a message that is not waiting for one. */
  unknownAck: number
  /** Never acknowledged. */
  unacknowledged: number
}

export type Fault = keyof Faults

/** Counts deliveries and faults; keeps a description of the first fault. */
export class Tally {
  readonly latency = new Histogram()
  readonly faults: Faults = {
    lost: 0,
    duplicate: 0,
    disordered: 0,
    corrupt: 0,
    misrouted: 0,
    wrongQos: 0,
    wrongFlags: 0,
    unknownAck: 0,
    unacknowledged: 0,
  }
  /** Deliveries that were the first of their message to that subscriber. */
  delivered = 0
  /** Deliveries that the messages published so far call for. */
  expected = 0
  acknowledged = 0
  /** PUBACKs that the messages published so far call for. */
  acknowledgements = 0
  firstFault: string | null = null

  fault(kind: Fault, detail: string, count = 1): void {
    this.faults[kind] += count
    this.firstFault ??= `${kind}: ${detail}`
  }

  get hasFault(): boolean {
    return this.firstFault !== null
  }
}

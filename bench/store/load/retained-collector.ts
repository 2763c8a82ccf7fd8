import { type PacketSink, refusePuback } from '../../e2e/load/client.ts'
import { retainedPayload, retainedTopic } from '../../e2e/load/retained-topics.ts'

/** First byte of a PUBLISH with QoS 1 and RETAIN. */
const RETAINED_AT_QOS_1 = 0x33

/** Takes the retained messages that a SUBSCRIBE brings and checks them against what was published. */
export class RetainedCollector implements PacketSink {
  readonly puback = refusePuback
  /** Topics whose message came, and messages that should not have come or not so. */
  arrived = 0
  wrong = 0
  readonly #seen: Uint8Array

  constructor(topics: number) {
    this.#seen = new Uint8Array(topics)
  }

  publish(first: number, bytes: Buffer, view: DataView, at: number, end: number): void {
    const topicEnd = at + 2 + (end - at < 2 ? 0 : view.getUint16(at))
    const topic = bytes.toString('latin1', at + 2, topicEnd)
    const number = Number(topic.split('/')[2])
    const payload = bytes.toString('latin1', topicEnd + 2, end)
    const isRight =
      first === RETAINED_AT_QOS_1 && topic === retainedTopic(number) && payload === retainedPayload(number)
    if (!isRight || this.#seen[number] !== 0) {
      this.wrong++
      return
    }
    this.#seen[number] = 1
    this.arrived++
  }
}

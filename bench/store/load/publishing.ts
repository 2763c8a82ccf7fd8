import { type Client, refusePublish } from '../../e2e/load/client.ts'
import { Sender, type SenderTopic } from '../../e2e/load/sender.ts'
import { Tally } from '../../e2e/load/tally.ts'

export interface PublishingOptions {
  /** Names the run in every payload. */
  run: number
  /** The topics that messages go round. */
  topics: readonly string[]
  /** Payload bytes. */
  size: number
  /** Messages that may be unacknowledged. */
  window: number
  /** How many are published; Infinity for as many as the time allows. */
  count: number
}

/** Publishes at QoS 1 as fast as the acknowledgements come, and knows which messages are acknowledged. */
export class Publishing {
  readonly sender: Sender
  readonly #client: Client
  readonly #count: number
  readonly #tally = new Tally()
  #isDue = false

  constructor(client: Client, { topics, count, ...options }: PublishingOptions) {
    // Nobody is there to receive them: a slot is free again when its message is acknowledged.
    const own = topics.map((name): SenderTopic => ({ name, receivers: 0 }))
    this.sender = new Sender({ ...options, publisher: 0, topics: own, qos: 1 }, this.#tally, [])
    this.#count = count
    this.#client = client
    client.sink = { publish: refusePublish, puback: packetId => this.#puback(packetId) }
  }

  /** All messages before this number are acknowledged. */
  get acknowledged(): number {
    return this.sender.done
  }

  /** What the broker did wrong, null when nothing. */
  get fault(): string | null {
    const early = this.#tally.acknowledged - this.sender.done
    return this.#tally.firstFault ?? (early > 0 ? `${early} PUBACKs overtook an earlier one` : null)
  }

  start(): void {
    this.#send()
  }

  #puback(packetId: number): void {
    this.sender.puback(packetId)
    if (this.#isDue) return
    this.#isDue = true
    // Once for all acknowledgements of a read.
    setImmediate(() => this.#send())
  }

  #send(): void {
    this.#isDue = false
    const { sender } = this
    for (let left = Math.min(sender.room, this.#count - sender.made); left > 0; left--) sender.make(0)
    this.#client.writeAll(sender.takeUnwritten())
  }
}

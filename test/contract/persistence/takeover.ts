// A session that passes from one connection to the next while messages flow.
import assert from 'node:assert/strict'
import { type Packet, puback, pubcomp, pubrec } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'
import type { It } from './lab.ts'
import { pour, QOS, series, silence, texts } from './traffic.ts'

const ROUNDS = 6
const EACH = 150

/** A receiver that keeps its own part of the session over its connections, as section 4.3 asks. */
class Subscriber {
  /** Payloads in the order of arrival; at QoS 2 repeated packets are left out. */
  readonly texts: string[] = []
  /** Payloads that came a second time, at QoS 1. */
  readonly repeated: string[] = []
  readonly #seen = new Set<string>()
  readonly #unreleased = new Set<number>()

  /** No exchange is open. */
  get isDone(): boolean {
    return this.#unreleased.size === 0
  }

  /** Takes one packet; gives the answer. */
  take(packet: Packet): Uint8Array {
    if (packet.type === 'pubrel') {
      this.#unreleased.delete(packet.packetId)
      return pubcomp(packet.packetId)
    }
    assert.ok(packet.type === 'publish', `expected messages, got ${JSON.stringify(packet)}`)
    const { qos, packetId, dup } = packet
    const text = packet.payload.toString()
    if (qos === 2) {
      if (!this.#unreleased.has(packetId)) this.texts.push(text)
      this.#unreleased.add(packetId)
      return pubrec(packetId)
    }
    if (this.#seen.has(text)) {
      assert.ok(dup, `${text} came again without DUP`)
      this.repeated.push(text)
    } else this.texts.push(text)
    this.#seen.add(text)
    return puback(packetId)
  }

  async read(client: RawClient, until: () => boolean): Promise<void> {
    while (!until()) client.send(this.take(await client.next()))
  }
}

export function takeover(it: It): void {
  for (const qos of QOS) {
    it(`QoS ${qos}: take-over while messages flow loses none, keeps their order and repeats none that was complete`, async lab => {
      let client = await lab.begin('kept')
      await client.subscribe(['t', qos])
      const sender = await lab.guest()
      const subscriber = new Subscriber()
      for (let round = 0; round < ROUNDS; round++) {
        const pouring = pour(sender, series('t', qos, EACH, `${round} `))
        const goal = subscriber.texts.length + 10 + round * 13
        await subscriber.read(client, () => subscriber.texts.length >= goal)
        const next = await lab.resume('kept')
        // What the old connection still got was received; its acknowledgement was not.
        for (const packet of await client.drain()) subscriber.take(packet)
        client = next
        await pouring
      }
      await subscriber.read(client, () => subscriber.texts.length >= ROUNDS * EACH)
      await subscriber.read(client, () => subscriber.isDone)
      const expected = Array.from({ length: ROUNDS }, (_, round) => texts(EACH, `${round} `)).flat()
      assert.deepEqual(subscriber.texts, expected)
      await silence(client)
      await lab.restart()
      await silence(await lab.resume('kept'))
    })
  }
}

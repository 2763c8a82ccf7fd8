import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { type ClientHub, startClientHub } from '../support/client-hub.ts'
import { CLIENT_KINDS, connectClient, Inbox } from '../support/js-clients.ts'

const MESSAGES = 2000
/** At QoS 0 the hub may drop what a slow client does not take; so many messages in flight fit into any buffer. */
const QOS0_IN_FLIGHT = 100
const LARGEST = 32_768

/** 0 B to 32 KiB: mostly small, all lengths around powers of two, and now and then a large one. */
function sizeOf(i: number): number {
  if (i % 200 === 199) return LARGEST
  if (i % 100 === 99) return 8180 + (i % 40) // around where payloads go by reference
  if (i % 50 === 49) return 0
  return (i * 61) % 1500
}

function payloadOf(i: number): Buffer {
  const payload = Buffer.alloc(sizeOf(i))
  for (let at = 0; at < payload.length; at++) payload[at] = (i * 131 + at * 7 + (at >> 8)) & 255
  return payload
}

suite(`${MESSAGES} messages of 0 B to 32 KiB`, () => {
  let hub: ClientHub
  before(async () => {
    hub = await startClientHub('username', ['message: { length: { max: 33k } }'])
  })
  after(() => hub.close())

  for (const kind of CLIENT_KINDS) {
    for (const qos of [0, 1, 2] as const) {
      test(`${kind.name} at QoS ${qos}: none lost, none twice, in order, whole`, { timeout: 120_000 }, async t => {
        const topic = `t/many/${kind.transport}/${qos}`
        const subscriber = await connectClient(t, hub, kind)
        const inbox = new Inbox(subscriber)
        await subscriber.subscribeAsync(topic, { qos })
        const publisher = await connectClient(t, hub, kind)
        const sent: Promise<unknown>[] = []
        for (let i = 0; i < MESSAGES; i++) {
          sent.push(publisher.publishAsync(topic, payloadOf(i), { qos }))
          if (qos === 0 && i % QOS0_IN_FLIGHT === QOS0_IN_FLIGHT - 1) await inbox.until(i + 1)
        }
        await Promise.all(sent)
        const arrivals = await inbox.until(MESSAGES, 60_000)
        // A PINGREQ of a kind: what is there too much comes before it.
        await subscriber.unsubscribeAsync(topic)
        assert.equal(arrivals.length, MESSAGES)
        for (const [i, { payload, ...rest }] of arrivals.entries()) {
          assert.deepEqual(rest, { topic, qos, retain: false, dup: false })
          assert.ok(payload.equals(payloadOf(i)), `message ${i} is another one or damaged`)
        }
        const { droppedQos0, droppedQueued } = hub.hub.state.counters
        assert.deepEqual({ droppedQos0, droppedQueued }, { droppedQos0: 0, droppedQueued: 0 })
        await Promise.all([subscriber.endAsync(), publisher.endAsync()])
      })
    }
  }
})

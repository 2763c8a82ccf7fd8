import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { type ClientHub, startClientHub } from '../support/client-hub.ts'
import { CLIENT_KINDS, closed, connectClient, Inbox } from '../support/js-clients.ts'

const MESSAGES = 2000
/**
 * How many messages are under way at a time. At QoS 0 the hub may drop what a slow client does not take; so many fit into
 * any buffer. At QoS 1 all that there are.
 */
const IN_FLIGHT = [100, MESSAGES, 500] as const
/** websocket-stream makes one frame of all that waits, and frames are limited. */
const IN_FLIGHT_OF_OLD = 50
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
        const cut = closed(publisher).then(() => {
          if (inbox.arrivals.length < MESSAGES) throw new Error('the publisher lost its connection')
        })
        const inFlight = kind.isOld ? IN_FLIGHT_OF_OLD : IN_FLIGHT[qos]
        for (let i = 0; i < MESSAGES; ) {
          const sent: Promise<unknown>[] = []
          do sent.push(publisher.publishAsync(topic, payloadOf(i), { qos }))
          while (++i % inFlight !== 0)
          await Promise.race([cut, Promise.all(sent)])
          await Promise.race([cut, inbox.until(i)])
        }
        const { arrivals } = inbox
        // Whatever comes too much comes before the answer to this.
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

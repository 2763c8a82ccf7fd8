import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { useClientHub } from '../support/client-hub.ts'
import { CLIENT_KINDS, closed, connectClient, Inbox } from '../support/js-clients.ts'
import type { Cleanup } from '../support/raw-client.ts'

/**
 * A program that publishes in a loop and waits afterwards: MQTT 3.1.1 knows no limit to what may be under way, so a
 * hub that ends the connection would end it again after every reconnect.
 */
async function burst(t: Cleanup, kindName: string, qos: 1 | 2, count: number, bytes: number): Promise<void> {
  const hub = await useClientHub(t)
  const kind = CLIENT_KINDS.find(({ name }) => name === kindName)
  assert.ok(kind !== undefined)
  const subscriber = await connectClient(t, hub, kind)
  const inbox = new Inbox(subscriber)
  await subscriber.subscribeAsync('t/burst', { qos })
  const publisher = await connectClient(t, hub, kind)
  const cut = closed(publisher).then(() => 'closed')
  const sent = Array.from({ length: count }, () => publisher.publishAsync('t/burst', Buffer.alloc(bytes), { qos }))
  assert.notEqual(
    await Promise.race([cut, Promise.all(sent)]),
    'closed',
    'the hub closed the connection of the publisher',
  )
  await inbox.until(count)
}

suite('a burst', () => {
  test('of 3,000 messages of QoS 2 from MQTT.js, all at once', { timeout: 30_000 }, async t => {
    await burst(t, 'MQTT.js over tcp', 2, 3000, 20)
  })

  test('of 1,000 messages from websocket-stream, which makes one frame of 500 KB of them', {
    timeout: 30_000,
  }, async t => {
    await burst(t, 'websocket-stream over ws', 1, 1000, 500)
  })

  test('of 1,000 messages from MQTT.js over WebSockets', { timeout: 30_000 }, async t => {
    await burst(t, 'MQTT.js over ws', 1, 1000, 500)
  })
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { useHub } from '../support/hub.ts'
import { publish, pubrel } from '../support/packets.ts'
import type { RawClient } from '../support/raw-client.ts'

async function publishNumbers(publisher: RawClient, topic: string, qos: number, count: number): Promise<void> {
  const ids = Array.from({ length: count }, (_, i) => i + 1)
  publisher.send(Buffer.concat(ids.map(packetId => publish({ topic, payload: `${packetId}`, qos, packetId }))))
  if (qos > 0) for (let i = 0; i < count; i++) await publisher.expect(qos === 1 ? 'puback' : 'pubrec')
  if (qos === 2) {
    publisher.send(Buffer.concat(ids.map(pubrel)))
    for (let i = 0; i < count; i++) await publisher.expect('pubcomp')
  }
  await publisher.quiet()
}

describe('Order', { concurrency: true }, () => {
  const hub = useHub()

  for (const qos of [0, 1, 2]) {
    test(`[MQTT-4.6.0-5] [MQTT-4.6.0-6] messages of QoS ${qos} are delivered in the order of their publisher`, async t => {
      const exact = await hub.connect(t)
      await exact.subscribe([`order/${qos}`, 2])
      const wildcard = await hub.connect(t)
      await wildcard.subscribe([`order/${qos}/#`, 2])
      const publisher = await hub.connect(t)
      await publishNumbers(publisher, `order/${qos}`, qos, 60)
      for (const subscriber of [exact, wildcard]) {
        for (let i = 1; i <= 60; i++) assert.equal((await subscriber.receive()).payload.toString(), `${i}`)
        await subscriber.quiet()
      }
    })

    test(`[MQTT-4.6.0-6] messages of QoS ${qos} to a subscription of QoS 0 are in order`, async t => {
      const subscriber = await hub.connect(t)
      await subscriber.subscribe([`order0/${qos}`, 0])
      await publishNumbers(await hub.connect(t), `order0/${qos}`, qos, 60)
      for (let i = 1; i <= 60; i++) assert.equal((await subscriber.receive()).payload.toString(), `${i}`)
    })
  }

  for (const qos of [1, 2]) {
    test(`[MQTT-4.6.0-1] [MQTT-4.4.0-1] [MQTT-3.3.1-1] QoS ${qos}: sent again in order, DUP set, same identifiers`, async t => {
      const clientId = `again-${qos}`
      const first = await hub.connect(t, { clientId, cleanSession: false })
      await first.subscribe([`again/${qos}`, qos])
      const publisher = await hub.connect(t)
      await publishNumbers(publisher, `again/${qos}`, qos, 10)
      const sent: [string, number][] = []
      for (let i = 0; i < 10; i++) {
        const message = await first.expect('publish')
        assert.equal(message.dup, false)
        sent.push([message.payload.toString(), message.packetId])
      }
      first.destroy()
      // Twice: what is sent again and not acknowledged is sent again once more.
      for (let round = 0; round < 2; round++) {
        const again = await hub.connect(t, { clientId, cleanSession: false })
        const received: [string, number][] = []
        for (let i = 0; i < 10; i++) {
          const message = await again.expect('publish')
          assert.equal(message.dup, true)
          received.push([message.payload.toString(), message.packetId])
        }
        assert.deepEqual(received, sent)
        await again.quiet()
        again.destroy()
      }
    })
  }

  test('[MQTT-4.6.0-1] [MQTT-3.3.1-1] what was never sent follows what is sent again, without DUP', async t => {
    const clientId = 'again-then-new'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['then-new', 1])
    const publisher = await hub.connect(t)
    await publishNumbers(publisher, 'then-new', 1, 3)
    for (let i = 0; i < 3; i++) await first.expect('publish')
    first.destroy()
    await publisher.publish({ topic: 'then-new', payload: '4', qos: 1 })
    await publisher.publish({ topic: 'then-new', payload: '5', qos: 1 })
    const again = await hub.connect(t, { clientId, cleanSession: false })
    const received: [string, boolean][] = []
    for (let i = 0; i < 5; i++) {
      const message = await again.receive()
      received.push([message.payload.toString(), message.dup])
    }
    assert.deepEqual(
      received.map(([payload]) => payload),
      ['1', '2', '3', '4', '5'],
    )
    assert.deepEqual(
      received.slice(0, 3).map(([, dup]) => dup),
      [true, true, true],
    )
    assert.deepEqual(received[4], ['5', false])
    await again.quiet()
  })

  test('[MQTT-4.4.0-1] acknowledged ones are not sent again, those between are', async t => {
    const clientId = 'again-gaps'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['gaps', 1])
    await publishNumbers(await hub.connect(t), 'gaps', 1, 6)
    const kept: number[] = []
    for (let i = 0; i < 3; i++) {
      kept.push((await first.expect('publish')).packetId)
      await first.receive()
    }
    await first.quiet()
    first.destroy()
    const again = await hub.connect(t, { clientId, cleanSession: false })
    for (const packetId of kept) assert.equal((await again.receive()).packetId, packetId)
    await again.quiet()
  })
})

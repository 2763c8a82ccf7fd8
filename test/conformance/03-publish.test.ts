import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { transports, useHub } from '../support/hub.ts'
import { field, packet, publish, pubrel, u16 } from '../support/packets.ts'

for (const transport of transports) {
  describe(`PUBLISH on ${transport}`, { concurrency: true }, () => {
    const hub = useHub({ transports: [transport] })

    for (const qos of [0, 1, 2] as const) {
      test(`[MQTT-3.3.4-1] a PUBLISH of QoS ${qos} is answered as its QoS asks and delivered`, async t => {
        const subscriber = await hub.connect(t, { transport })
        await subscriber.subscribe([`answer/${qos}`, qos])
        const publisher = await hub.connect(t, { transport })
        await publisher.publish({ topic: `answer/${qos}`, payload: 'x', qos, packetId: 65535 })
        const message = await subscriber.receive()
        assert.deepEqual([message.topic, message.payload.toString(), message.qos], [`answer/${qos}`, 'x', qos])
        await publisher.quiet()
        await subscriber.quiet()
      })

      test(`[MQTT-3.3.4-1] a PUBLISH of QoS ${qos} that nobody subscribed to is answered all the same`, async t => {
        const publisher = await hub.connect(t, { transport })
        await publisher.publish({ topic: 'nobody/listens', payload: 'x', qos })
        await publisher.quiet()
      })

      test(`[MQTT-4.5.0-1] a message of QoS ${qos} goes to every matching subscription, the publisher's too`, async t => {
        const clients = await Promise.all(Array.from({ length: 5 }, () => hub.connect(t, { transport })))
        for (const client of clients) await client.subscribe([`all/${qos}/+`, qos])
        const bystander = await hub.connect(t, { transport })
        await bystander.subscribe(['other/#', qos])
        const publisher = await hub.connect(t, { transport })
        await publisher.publish({ topic: `all/${qos}/x`, payload: 'to all', qos })
        for (const client of clients) assert.equal((await client.receive()).payload.toString(), 'to all')
        const [own] = clients
        assert.ok(own !== undefined)
        own.send(publish({ topic: `all/${qos}/own`, payload: 'to myself', qos: 0 }))
        assert.equal((await own.receive()).payload.toString(), 'to myself')
        await bystander.quiet()
      })
    }

    test('[MQTT-2.3.1-6] PUBACK, PUBREC and PUBCOMP carry the identifier of the PUBLISH', async t => {
      const client = await hub.connect(t, { transport })
      for (const packetId of [1, 255, 256, 0x1234, 65535]) {
        client.send(publish({ topic: 'ids', qos: 1, packetId }))
        assert.deepEqual(await client.next(), { type: 'puback', packetId })
        client.send(publish({ topic: 'ids', qos: 2, packetId }))
        assert.deepEqual(await client.next(), { type: 'pubrec', packetId })
        client.send(pubrel(packetId))
        assert.deepEqual(await client.next(), { type: 'pubcomp', packetId })
      }
    })

    test('[MQTT-2.3.1-5] [MQTT-4.3.1-1] no packet identifier at QoS 0: the payload starts behind the topic', async t => {
      const client = await hub.connect(t, { transport })
      await client.subscribe(['no-id', 2])
      client.send(packet(0x30, field('no-id'), Buffer.from([0, 1, 2])))
      const message = await client.receive()
      assert.deepEqual([message.qos, message.dup], [0, false])
      assert.deepEqual(message.payload, Buffer.from([0, 1, 2]))
    })

    test('[MQTT-3.3.1-3] DUP of the publisher is not passed on', async t => {
      const client = await hub.connect(t, { transport })
      await client.subscribe(['dup/#', 2])
      for (const qos of [1, 2]) {
        const packetId = 10 + qos
        client.send(publish({ topic: `dup/${qos}`, qos, dup: true, packetId }))
        if (qos === 2) client.send(pubrel(packetId))
        let seen = 0
        while (seen < (qos === 1 ? 2 : 3)) {
          const received = await client.next()
          seen++
          if (received.type === 'publish') assert.equal(received.dup, false)
        }
      }
    })

    test('[MQTT-3.3.1-9] RETAIN of the publisher is not passed on to established subscriptions', async t => {
      const client = await hub.connect(t, { transport })
      await client.subscribe(['retain/live', 0])
      client.send(publish({ topic: 'retain/live', payload: 'x', retain: true }))
      assert.equal((await client.receive()).retain, false)
    })

    test('[MQTT-3.3.1-4] QoS 3 ends the connection', async t => {
      const witness = await hub.connect(t, { transport })
      await witness.subscribe(['qos3', 0])
      const client = await hub.connect(t, { transport })
      client.send(packet(0x36, field('qos3'), u16(1), Buffer.from('x')))
      await client.closed()
      await witness.quiet()
    })

    test('[MQTT-3.3.1-2] DUP at QoS 0 is a violation and ends the connection', async t => {
      const client = await hub.connect(t, { transport })
      client.send(packet(0x38, field('dup0'), Buffer.from('x')))
      await client.closed()
    })

    for (const qos of [0, 1, 2]) {
      for (const topic of ['#', '+', 'a/#', 'a/+/b', 'a+', 'a#b', '/+']) {
        test(`[MQTT-3.3.2-2] [MQTT-4.7.1-1] the topic ${topic} at QoS ${qos} ends the connection`, async t => {
          const client = await hub.connect(t, { transport })
          client.send(publish({ topic, qos, payload: 'x' }))
          await client.closed()
        })
      }
    }

    test('[MQTT-4.7.3-1] an empty topic ends the connection', async t => {
      const client = await hub.connect(t, { transport })
      client.send(publish({ topic: '' }))
      await client.closed()
    })

    test('[MQTT-2.3.1-1] packet identifier 0 ends the connection', async t => {
      for (const qos of [1, 2]) {
        const client = await hub.connect(t, { transport })
        client.send(publish({ topic: 'zero', qos, packetId: 0 }))
        await client.closed()
      }
    })

    test('payloads from nothing to nearly the largest packet arrive as they are', async t => {
      const subscriber = await hub.connect(t, { transport })
      await subscriber.subscribe(['size/#', 0])
      const publisher = await hub.connect(t, { transport })
      for (const size of [0, 1, 118, 119, 120, 125, 126, 127, 128, 4096, 16_383, 16_384, 32_000]) {
        const payload = Buffer.alloc(size, size % 251)
        await publisher.publish({ topic: 'size/x', payload })
        assert.deepEqual((await subscriber.receive()).payload, payload)
      }
    })
  })
}

// The events ack and ping.
import assert from 'node:assert/strict'
import type { Client } from 'aedes'
import type { IPublishPacket } from 'mqtt-packet'
import { type Create, contract, emitted, message, publish } from './harness.ts'

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'ack and ping', create, oracle, it => {
    it('ack: QoS 1 gives the message to a kept session, and the client', async lab => {
      const broker = await lab.open()
      const subscriber = await lab.connect(broker, 'subscriber', { clean: false })
      await subscriber.subscribe('a', 1)
      await publish(broker, message('a', 'x', { qos: 1 }))
      const packet = await subscriber.expect('publish')
      const acked = emitted<[IPublishPacket, Client]>(broker, 'ack')
      subscriber.send({ cmd: 'puback', messageId: packet.messageId ?? 0 })
      const [original, client] = await acked
      assert.equal(client, subscriber.client)
      assert.equal(original.cmd, 'publish')
      assert.equal(original.topic, 'a')
      assert.equal(original.payload.toString(), 'x')
      assert.equal(original.messageId, packet.messageId)
    })

    it('ack: QoS 2 gives the PUBREL, when PUBCOMP has come', async lab => {
      const broker = await lab.open()
      const subscriber = await lab.connect(broker, 'subscriber', { clean: false })
      await subscriber.subscribe('a', 2)
      await publish(broker, message('a', 'x', { qos: 2 }))
      const { messageId = 0 } = await subscriber.expect('publish')
      const acked = emitted<[{ cmd: string; messageId: number }, Client]>(broker, 'ack')
      let early = 0
      broker.once('ack', () => early++)
      subscriber.send({ cmd: 'pubrec', messageId })
      assert.equal((await subscriber.expect('pubrel')).messageId, messageId)
      assert.equal(early, 0)
      subscriber.send({ cmd: 'pubcomp', messageId })
      const [packet, client] = await acked
      assert.equal(client, subscriber.client)
      assert.equal(packet.cmd, 'pubrel')
      assert.equal(packet.messageId, messageId)
    })

    it('ack: comes for a clean session too', async lab => {
      const broker = await lab.open()
      const subscriber = await lab.connect(broker, 'subscriber')
      await subscriber.subscribe('a', 1)
      await publish(broker, message('a', 'x', { qos: 1 }))
      const packet = await subscriber.expect('publish')
      const acked = emitted<[unknown, Client]>(broker, 'ack')
      subscriber.send({ cmd: 'puback', messageId: packet.messageId ?? 0 })
      assert.equal((await acked)[1], subscriber.client)
    })

    it(
      'ack: gives the message to a clean session too',
      async lab => {
        const broker = await lab.open()
        const subscriber = await lab.connect(broker, 'subscriber')
        await subscriber.subscribe('a', 1)
        await publish(broker, message('a', 'x', { qos: 1 }))
        const packet = await subscriber.expect('publish')
        const acked = emitted<[IPublishPacket, Client]>(broker, 'ack')
        subscriber.send({ cmd: 'puback', messageId: packet.messageId ?? 0 })
        assert.equal((await acked)[0].topic, 'a')
      },
      { oracle: false },
    )

    it('ping: the event has packet and client, and comes before the answer', async lab => {
      const broker = await lab.open()
      const device = await lab.connect(broker, 'a')
      const pinged = emitted<[{ cmd: string }, Client]>(broker, 'ping')
      device.send({ cmd: 'pingreq' })
      const [packet, client] = await pinged
      assert.equal(packet.cmd, 'pingreq')
      assert.equal(client, device.client)
      await device.expect('pingresp')
    })
  })
}

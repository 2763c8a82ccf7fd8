// authorizeForward: what is on its way to a subscriber may be withheld or changed.
import assert from 'node:assert/strict'
import type { Client } from 'aedes'
import { type Create, contract, type Delivered, emitted, type Hook, message, publish, turns } from './harness.ts'

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'authorizeForward', create, oracle, it => {
    it('is asked once per subscriber, with its client and an aedes packet', async lab => {
      const calls: [Client, Delivered][] = []
      const broker = await lab.open({
        id: 'home',
        authorizeForward: (client, packet) => {
          calls.push([client, { ...packet } as unknown as Delivered])
          return packet
        },
      })
      const one = await lab.connect(broker, 'one')
      const two = await lab.connect(broker, 'two')
      await one.subscribe('a/+', 1)
      await two.subscribe('a/b', 1)
      await lab.connect(broker, 'three')
      const sender = await lab.connect(broker, 'sender')
      sender.send({ ...message('a/b', 'x', { qos: 1 }), messageId: 1 })
      await one.expect('publish')
      await two.expect('publish')
      assert.deepEqual(calls.map(([client]) => client.id).sort(), ['one', 'two'])
      for (const [client, packet] of calls) {
        assert.equal(client, client.id === 'one' ? one.client : two.client)
        assert.equal(packet.cmd, 'publish')
        assert.equal(packet.topic, 'a/b')
        assert.ok(Buffer.isBuffer(packet.payload), 'the bytes are a Buffer')
        assert.equal(packet.payload.toString(), 'x')
        assert.equal(packet.qos, 1)
        assert.equal(packet.retain, false)
        assert.equal(packet.brokerId, 'home')
        assert.equal(typeof packet.brokerCounter, 'number')
        assert.equal(packet.clientId, 'sender')
      }
    })

    it('is asked once for a client whose filters overlap', async lab => {
      let asked = 0
      const broker = await lab.open({
        authorizeForward: (_client, packet) => {
          asked++
          return packet
        },
      })
      const device = await lab.connect(broker, 'subscriber')
      await device.subscribe('a/b')
      await device.subscribe('a/+', 0, 2)
      await device.subscribe('#', 0, 3)
      await publish(broker, message('a/b', 'x'))
      assert.equal((await device.settle()).length, 1)
      assert.equal(asked, 1)
    })

    for (const nothing of [null, undefined]) {
      for (const qos of [0, 1, 2] as const) {
        it(`${nothing}: that client does not get the QoS ${qos} message, others do`, async lab => {
          const authorizeForward: Hook<'authorizeForward'> = (client, packet) => {
            if (client.id === 'left out' && packet.topic === 'a') return nothing
            return packet
          }
          const broker = await lab.open({ authorizeForward })
          const without = await lab.connect(broker, 'left out')
          const other = await lab.connect(broker, 'other')
          await without.subscribe('#', 2)
          await other.subscribe('a', 2)
          await publish(broker, message('a', 'x', { qos }))
          await publish(broker, message('b', 'y', { qos }))
          assert.equal((await other.expect('publish')).payload.toString(), 'x')
          assert.equal((await without.expect('publish')).payload.toString(), 'y')
          assert.deepEqual(await without.settle(), [])
        })
      }
    }

    it('a changed payload and topic reach that client only', async lab => {
      const broker = await lab.open({
        authorizeForward: (client, packet) => {
          if (client.id === 'one') {
            packet.payload = Buffer.from('changed')
            packet.topic = 'another'
          }
          return packet
        },
      })
      const devices = [await lab.connect(broker, 'zero'), await lab.connect(broker, 'one')]
      devices.push(await lab.connect(broker, 'two'))
      for (const device of devices) await device.subscribe('a', 1)
      for (const qos of [0, 1] as const) {
        await publish(broker, message('a', 'original', { qos }))
        const got: string[] = []
        for (const device of devices) {
          const packet = await device.expect('publish')
          assert.equal(packet.qos, qos)
          got.push(`${packet.topic} ${packet.payload.toString()}`)
        }
        assert.deepEqual(got, ['a original', 'another changed', 'a original'])
      }
    })

    it('another packet than the given one is sent in its place', async lab => {
      const broker = await lab.open({
        authorizeForward: (_client, packet) => ({ ...packet, payload: Buffer.from('replaced') }) as typeof packet,
      })
      const device = await lab.connect(broker, 'subscriber')
      await device.subscribe('a', 1)
      await publish(broker, message('a', 'x', { qos: 1 }))
      const packet = await device.expect('publish')
      assert.equal(packet.payload.toString(), 'replaced')
      assert.equal(packet.qos, 1)
    })

    it('is asked for retained messages', async lab => {
      const broker = await lab.open({
        authorizeForward: (_client, packet) => {
          if (packet.topic === 'secret') return null
          packet.payload = Buffer.from(`${packet.payload.toString()}, shortened`)
          return packet
        },
      })
      await publish(broker, message('secret', 's', { retain: true }))
      await publish(broker, message('open', 'o', { retain: true }))
      const device = await lab.connect(broker, 'late')
      await device.subscribe('#')
      const packet = await device.expect('publish')
      assert.equal(packet.topic, 'open')
      assert.equal(packet.payload.toString(), 'o, shortened')
      assert.equal(packet.retain, true)
      await turns()
      assert.deepEqual(await device.settle(), [])
    })

    it('is asked for what waited for a kept session, before clientReady', async lab => {
      const order: string[] = []
      const broker = await lab.open({
        authorizeForward: (_client, packet) => {
          order.push(packet.topic)
          return packet.topic === 'a/secret' ? null : packet
        },
      })
      const first = await lab.connect(broker, 'kept', { clean: false })
      await first.subscribe('a/+', 1)
      await first.disconnect()
      for (const topic of ['a/one', 'a/secret', 'a/two']) await publish(broker, message(topic, 'x', { qos: 1 }))
      assert.equal(order.length, 0)
      broker.on('connackSent', () => order.push('connackSent'))
      broker.on('clientReady', () => order.push('clientReady'))
      const ready = emitted(broker, 'clientReady')
      const again = await lab.connect(broker, 'kept', { clean: false })
      await ready
      assert.deepEqual(order, ['connackSent', 'a/one', 'a/secret', 'a/two', 'clientReady'])
      const packets = await again.settle()
      assert.deepEqual(
        packets.map(packet => packet.cmd === 'publish' && packet.topic),
        ['a/one', 'a/two'],
      )
    })

    it('what it withheld from a kept session does not come later', async lab => {
      let withhold = true
      const broker = await lab.open({ authorizeForward: (_client, packet) => (withhold ? null : packet) })
      const first = await lab.connect(broker, 'kept', { clean: false })
      await first.subscribe('a', 1)
      await first.disconnect()
      await publish(broker, message('a', 'withheld', { qos: 1 }))
      const second = await lab.connect(broker, 'kept', { clean: false })
      assert.deepEqual(await second.settle(), [])
      await second.disconnect()
      withhold = false
      const third = await lab.connect(broker, 'kept', { clean: false })
      assert.deepEqual(await third.settle(), [])
    })

    it('is asked for what client.publish() sends', async lab => {
      const broker = await lab.open({
        authorizeForward: (_client, packet) => (packet.topic === 'secret' ? null : packet),
      })
      const device = await lab.connect(broker, 'target')
      device.client.publish(message('secret', 'x'), () => {})
      device.client.publish(message('open', 'y'), () => {})
      assert.equal((await device.expect('publish')).topic, 'open')
    })
  })
}

// A persistence that outlives its broker: the next broker on it finds what the first one left.
import assert from 'node:assert/strict'
import type { Client } from 'aedes'
import { type Create, closing, contract, message, publish, until, within } from './harness.ts'
import { memoryPersistence } from './plugins.ts'

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'restart on the same persistence', create, oracle, it => {
    it('subscriptions of kept sessions hold', async lab => {
      const persistence = memoryPersistence()
      const before = await lab.open({ persistence })
      const device = await lab.connect(before, 'kept', { clean: false })
      await device.subscribe('a/+', 1)
      await device.subscribe('b', 0, 2)
      await closing(before)
      const after = await lab.open({ persistence })
      const again = await lab.connect(after, 'kept', { clean: false })
      assert.equal(again.connack?.sessionPresent, true)
      await publish(after, message('b', 'zero', { qos: 1 }))
      await publish(after, message('a/b', 'one', { qos: 1 }))
      const packets = await again.settle()
      assert.deepEqual(
        packets.map(packet => packet.cmd === 'publish' && [packet.topic, packet.qos]),
        [
          ['b', 0],
          ['a/b', 1],
        ],
      )
    })

    it('a session that is away during the restart gets what is published while it is away, before and after', async lab => {
      const persistence = memoryPersistence()
      const before = await lab.open({ persistence })
      const device = await lab.connect(before, 'kept', { clean: false })
      await device.subscribe('a', 1)
      await device.disconnect()
      for (const payload of ['1', '2']) await publish(before, message('a', payload, { qos: 1 }))
      await closing(before)
      const after = await lab.open({ persistence })
      for (const payload of ['3', '4']) await publish(after, message('a', payload, { qos: 1 }))
      const again = await lab.connect(after, 'kept', { clean: false })
      assert.equal(again.connack?.sessionPresent, true)
      const got: string[] = []
      for (let index = 0; index < 4; index++) {
        const packet = await again.expect('publish')
        assert.equal(packet.qos, 1)
        got.push(packet.payload.toString())
        again.send({ cmd: 'puback', messageId: packet.messageId ?? 0 })
      }
      assert.deepEqual(got, ['1', '2', '3', '4'])
      assert.deepEqual(await again.settle(), [])
    })

    it('what was acknowledged does not come again', async lab => {
      const persistence = memoryPersistence()
      const before = await lab.open({ persistence })
      const device = await lab.connect(before, 'kept', { clean: false })
      await device.subscribe('a', 1)
      const acked = new Promise<void>(resolve => {
        before.on('ack', () => resolve())
      })
      await publish(before, message('a', 'seen', { qos: 1 }))
      await publish(before, message('a', 'open', { qos: 1 }))
      const first = await device.expect('publish')
      await device.expect('publish')
      device.send({ cmd: 'puback', messageId: first.messageId ?? 0 })
      await within(acked, 'the event ack')
      await closing(before)
      const after = await lab.open({ persistence })
      const again = await lab.connect(after, 'kept', { clean: false })
      const packets = await again.settle()
      assert.deepEqual(
        packets.map(packet => packet.cmd === 'publish' && packet.payload.toString()),
        ['open'],
      )
    })

    it('retained messages are found', async lab => {
      const persistence = memoryPersistence()
      const before = await lab.open({ persistence })
      await publish(before, message('a/one', '1', { retain: true }))
      await publish(before, message('a/two', '2', { retain: true }))
      await publish(before, message('a/two', '', { retain: true }))
      await closing(before)
      const after = await lab.open({ persistence })
      const device = await lab.connect(after, 'late')
      await device.subscribe('a/#')
      const packet = await device.expect('publish')
      assert.equal(packet.topic, 'a/one')
      assert.equal(packet.retain, true)
      assert.deepEqual(await device.settle(), [])
    })

    it('a QoS 2 message received before is not published a second time', async lab => {
      const persistence = memoryPersistence()
      const before = await lab.open({ persistence })
      const device = await lab.connect(before, 'sender', { clean: false })
      device.send({ ...message('a', 'x', { qos: 2 }), messageId: 8 })
      await device.expect('pubrec')
      await closing(before)
      const after = await lab.open({ persistence })
      let published = 0
      after.on('publish', packet => packet.topic === 'a' && published++)
      const again = await lab.connect(after, 'sender', { clean: false })
      again.send({ ...message('a', 'x', { qos: 2 }), messageId: 8, dup: true })
      await again.expect('pubrec')
      again.send({ cmd: 'pubrel', messageId: 8 })
      await again.expect('pubcomp')
      assert.equal(published, 0)
    })

    it('wills of a broker that is gone are published by the next one, after authorizePublish with null', async lab => {
      const persistence = memoryPersistence()
      const lost = await lab.open({ id: 'lost', persistence })
      const will = { topic: 'last/words', payload: Buffer.from('goodbye'), qos: 0, retain: true } as const
      await lab.connect(lost, 'mortal', { will })
      assert.equal((await persistence.getWill({ id: 'mortal' }))?.topic, 'last/words')
      const asked: [Client | null, string][] = []
      const next = await lab.open({
        id: 'next',
        persistence,
        heartbeatInterval: 5,
        authorizePublish: (client, packet, done) => {
          asked.push([client, packet.topic])
          done(null)
        },
      })
      const heard = new Promise<string>(resolve => {
        next.on('publish', packet => packet.topic === will.topic && resolve(packet.payload.toString()))
      })
      assert.equal(await within(heard, 'the will'), 'goodbye')
      assert.deepEqual(asked[0], [null, 'last/words'])
      let left = true
      await until(() => {
        void persistence.getWill({ id: 'mortal' }).then(found => {
          left = found !== undefined
        })
        return !left
      }, 'the will is taken out of the persistence')
    })
  })
}

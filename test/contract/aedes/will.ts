// Wills: when they are published, who is asked, and what the plug-ins see.
import assert from 'node:assert/strict'
import type { Client } from 'aedes'
import {
  type Create,
  closing,
  connectPacket,
  contract,
  emitted,
  listen,
  message,
  publish,
  turns,
  until,
} from './harness.ts'

const WILL = { topic: 'last/words', payload: Buffer.from('goodbye'), qos: 0, retain: false } as const

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'will', create, oracle, it => {
    it('is published when the connection is lost, after authorizePublish, with its client', async lab => {
      const order: string[] = []
      const clients: (Client | null)[] = []
      const broker = await lab.open({
        authorizePublish: (client, packet, done) => {
          order.push(`authorizePublish ${packet.topic} ${packet.payload.toString()}`)
          clients.push(client)
          done(null)
        },
      })
      const heard = new Promise<Client | null>(resolve => {
        broker.on('publish', (packet, client) => {
          if (packet.topic !== WILL.topic) return
          order.push(`publish ${packet.topic} ${packet.payload.toString()}`)
          resolve(client)
        })
      })
      const device = await lab.connect(broker, 'mortal', { will: WILL })
      device.cut()
      clients.push(await heard)
      assert.deepEqual(order, ['authorizePublish last/words goodbye', 'publish last/words goodbye'])
      assert.deepEqual(clients, [device.client, device.client])
    })

    it('is not published after DISCONNECT', async lab => {
      const broker = await lab.open()
      const seen = await listen(broker, WILL.topic)
      const device = await lab.connect(broker, 'polite', { will: WILL })
      const gone = emitted(broker, 'clientDisconnect')
      await device.disconnect()
      await gone
      await turns()
      assert.deepEqual(seen, [])
    })

    it('is not published when authorizePublish refuses it, and nobody gets an error', async lab => {
      let errors = 0
      const broker = await lab.open({
        authorizePublish: (_client, packet, done) => done(packet.topic === WILL.topic ? new Error('no') : null),
      })
      broker.on('clientError', () => errors++)
      const seen = await listen(broker, WILL.topic)
      const device = await lab.connect(broker, 'mortal', { will: WILL })
      const gone = emitted(broker, 'clientDisconnect')
      device.cut()
      await gone
      await turns()
      assert.deepEqual(seen, [])
      assert.equal(errors, 0)
    })

    it('authorizePublish may change it', async lab => {
      const broker = await lab.open({
        authorizePublish: (_client, packet, done) => {
          packet.payload = Buffer.from('changed')
          done(null)
        },
      })
      const seen = await listen(broker, WILL.topic)
      ;(await lab.connect(broker, 'mortal', { will: WILL })).cut()
      await until(() => seen.length === 1, 'the will arrives')
      assert.equal(seen[0]?.payload.toString(), 'changed')
    })

    it('is published when the client is taken over', async lab => {
      const broker = await lab.open()
      const seen = await listen(broker, WILL.topic)
      await lab.connect(broker, 'twin', { will: WILL })
      await lab.connect(broker, 'twin')
      await until(() => seen.length === 1, 'the will arrives')
    })

    it('is published when a hook refuses a message of the client', async lab => {
      const broker = await lab.open({
        authorizePublish: (_client, packet, done) => done(packet.topic === 'forbidden' ? new Error('no') : null),
      })
      const seen = await listen(broker, WILL.topic)
      const device = await lab.connect(broker, 'bold', { will: WILL })
      device.send(message('forbidden', 'x'))
      await until(() => seen.length === 1, 'the will arrives')
    })

    it('is published when client.close() ends the connection', async lab => {
      const broker = await lab.open()
      const seen = await listen(broker, WILL.topic)
      const device = await lab.connect(broker, 'closed', { will: WILL })
      device.client.close()
      await until(() => seen.length === 1, 'the will arrives')
    })

    it('is retained and sent with QoS as it asks', async lab => {
      const broker = await lab.open()
      const subscriber = await lab.connect(broker, 'subscriber')
      await subscriber.subscribe(WILL.topic, 1)
      const mortal = await lab.connect(broker, 'mortal', { will: { ...WILL, qos: 1, retain: true } })
      mortal.cut()
      const packet = await subscriber.expect('publish')
      assert.equal(packet.qos, 1)
      assert.equal(packet.retain, false)
      const late = await lab.connect(broker, 'late')
      await late.subscribe(WILL.topic)
      const retained = await late.expect('publish')
      assert.equal(retained.retain, true)
      assert.equal(retained.payload.toString(), 'goodbye')
    })

    it('is not published for a client that was refused', async lab => {
      const broker = await lab.open({ authenticate: (_client, _username, _password, done) => done(null, false) })
      const seen = await listen(broker, WILL.topic)
      const device = lab.attach(broker)
      device.send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: 'x', will: WILL })
      await device.expect('connack')
      await device.expectClosed()
      await turns()
      assert.deepEqual(seen, [])
    })

    it('with too many levels in its topic is not published; the broker lives on', async lab => {
      const broker = await lab.open({ maxTopicLevels: 3 })
      const seen = await listen(broker, '#')
      const device = lab.attach(broker)
      device.send(connectPacket('deep', { will: { ...WILL, topic: 'a/b/c/d' } }))
      await Promise.race([device.expect('connack').catch(() => {}), device.closed])
      device.cut()
      await turns()
      await lab.connect(broker, 'next')
      await publish(broker, message('a', 'x'))
      assert.deepEqual(
        seen.map(packet => packet.topic).filter(topic => topic.startsWith('a')),
        ['a'],
      )
    })

    it('is published when the broker is closed with the client connected', async lab => {
      const broker = await lab.open()
      const seen = await listen(broker, WILL.topic)
      await lab.connect(broker, 'mortal', { will: WILL })
      await closing(broker)
      assert.equal(seen.length, 1)
    })
  })
}

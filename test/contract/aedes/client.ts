// The Client object: its properties, events and methods.
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { Client } from 'aedes'
import {
  type Create,
  connectPacket,
  contract,
  emitted,
  listen,
  message,
  publish,
  turns,
  until,
  within,
} from './harness.ts'

/** Resolves with what a method gives to its callback. */
function called(run: (done: (error?: Error | null) => void) => void): Promise<Error | null | undefined> {
  return within(new Promise(resolve => run(resolve)), 'the callback')
}

/** The methods of Client as their documentation has them; the types of aedes know fewer forms. */
type Documented = Record<'subscribe' | 'unsubscribe', (packet: unknown, done?: (error?: Error | null) => void) => void>

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'client', create, oracle, it => {
    it('is what handle returns: an event emitter with conn and req', async lab => {
      const broker = await lab.open()
      const request = new IncomingMessage(new Socket())
      const device = lab.attach(broker, { request })
      assert.ok(device.client instanceof EventEmitter, 'it is an event emitter')
      assert.equal(device.client.conn, device.near)
      assert.equal(device.client.req, request)
      assert.equal(lab.attach(broker).client.req, undefined)
    })

    it('req is there in every hook', async lab => {
      const seen: unknown[] = []
      const broker = await lab.open({
        preConnect: (client, _packet, done) => {
          seen.push(client.req)
          done(null, true)
        },
        authenticate: (client, _username, _password, done) => {
          seen.push(client.req)
          done(null, true)
        },
      })
      const request = new IncomingMessage(new Socket())
      const device = lab.attach(broker, { request })
      device.send(connectPacket('a'))
      await device.expect('connack')
      assert.deepEqual(seen, [request, request])
    })

    it('before CONNECT: no id, clean, no version, neither connecting, connected nor closed', async lab => {
      const { client } = lab.attach(await lab.open())
      const { id, clean, version, connecting, connected, closed } = client
      assert.deepEqual(
        { id, clean, version, connecting, connected, closed },
        { id: null, clean: true, version: null, connecting: false, connected: false, closed: false },
      )
    })

    it('once connected: id, clean and version of the CONNECT', async lab => {
      const broker = await lab.open()
      const device = await lab.connect(broker, 'a', { clean: false })
      const { id, clean, version, connecting, connected, closed } = device.client
      assert.deepEqual(
        { id, clean, version, connecting, connected, closed },
        { id: 'a', clean: false, version: 4, connecting: false, connected: true, closed: false },
      )
      const old = await lab.connect(broker, 'b', { protocolId: 'MQIsdp', protocolVersion: 3 })
      assert.equal(old.client.version, 3)
      assert.equal(old.client.clean, true)
    })

    it('connecting while authenticate is asked, with id, clean and version of the CONNECT', async lab => {
      const states: unknown[] = []
      const broker = await lab.open({
        authenticate: ({ id, clean, version, connecting, connected }, _username, _password, done) => {
          states.push({ id, clean, version, connecting, connected })
          done(null, true)
        },
      })
      await lab.connect(broker, 'a', { clean: false })
      assert.deepEqual(states, [{ id: 'a', clean: false, version: 4, connecting: true, connected: false }])
    })

    it('after the connection: closed, not connected, keeps its id', async lab => {
      const broker = await lab.open()
      const device = await lab.connect(broker, 'a')
      const gone = emitted<[Client]>(broker, 'clientDisconnect')
      device.cut()
      const [{ id, connecting, connected, closed }] = await gone
      assert.deepEqual(
        { id, connecting, connected, closed },
        { id: 'a', connecting: false, connected: false, closed: true },
      )
    })

    it('error: an error of the stream reaches the listeners of client and broker, and closes', async lab => {
      const broker = await lab.open()
      const device = await lab.connect(broker, 'a')
      const cause = new Error('cable pulled')
      const own = emitted<[Error]>(device.client, 'error')
      const failed = emitted<[Client, Error]>(broker, 'clientError')
      const gone = emitted<[Client]>(broker, 'clientDisconnect')
      device.near.destroy(cause)
      assert.deepEqual(await own, [cause])
      assert.deepEqual(await failed, [device.client, cause])
      assert.deepEqual(await gone, [device.client])
    })

    it('error: an error of the stream before CONNECT is a connectionError', async lab => {
      const broker = await lab.open()
      const device = lab.attach(broker)
      const cause = new Error('cable pulled')
      const failed = emitted<[Client, Error]>(broker, 'connectionError')
      device.near.destroy(cause)
      assert.deepEqual(await failed, [device.client, cause])
    })

    it('keep alive: a silent client gets keepaliveTimeout, then clientError, and is closed', async lab => {
      const broker = await lab.open()
      const device = await lab.connect(broker, 'silent', { keepalive: 1 })
      const order: string[] = []
      broker.on('keepaliveTimeout', client => order.push(`keepaliveTimeout ${client.id}`))
      broker.on('clientError', (client, error) => order.push(`clientError ${client.id}: ${error.message}`))
      await emitted(broker, 'clientError')
      await device.expectClosed()
      assert.deepEqual(order, ['keepaliveTimeout silent', 'clientError silent: keep alive timeout'])
    })

    for (const qos of [0, 1, 2] as const) {
      it(`publish: sends a QoS ${qos} message to this client only, subscribed or not`, async lab => {
        const broker = await lab.open()
        const device = await lab.connect(broker, 'target')
        const other = await lab.connect(broker, 'other')
        await other.subscribe('#', 2)
        assert.equal(
          (await called(done => device.client.publish(message('a', 'x', { qos }), done as () => void))) ?? null,
          null,
        )
        const packet = await device.expect('publish')
        assert.equal(packet.topic, 'a')
        assert.equal(packet.payload.toString(), 'x')
        assert.equal(packet.qos, qos)
        assert.equal(packet.messageId !== undefined, qos > 0)
        if (qos === 2) {
          device.send({ cmd: 'pubrec', messageId: packet.messageId ?? 0 })
          assert.equal((await device.expect('pubrel')).messageId, packet.messageId)
        }
        assert.deepEqual(await other.settle(), [])
      })
    }

    it('publish: is neither authorized nor told as a publish', async lab => {
      let asked = 0
      const broker = await lab.open({
        authorizePublish: (_client, _packet, done) => {
          asked++
          done(null)
        },
      })
      broker.on('publish', packet => packet.topic === 'a' && asked++)
      const seen = await listen(broker, 'a')
      const device = await lab.connect(broker, 'target')
      device.client.publish(message('a', 'x', { qos: 1 }), () => {})
      await device.expect('publish')
      await turns()
      assert.equal(asked, 0)
      assert.deepEqual(seen, [])
    })

    it('publish: what a kept session has not acknowledged comes again when it is back', async lab => {
      const broker = await lab.open()
      const device = await lab.connect(broker, 'kept', { clean: false })
      await called(done => device.client.publish(message('a', 'x', { qos: 1 }), done as () => void))
      await device.expect('publish')
      await device.disconnect()
      const again = await lab.connect(broker, 'kept', { clean: false })
      const packet = await again.expect('publish')
      assert.equal(packet.payload.toString(), 'x')
      const acked = emitted(broker, 'ack')
      again.send({ cmd: 'puback', messageId: packet.messageId ?? 0 })
      await acked
    })

    for (const [form, subscriptions] of [
      ['one subscription', { topic: 'a', qos: 1 }],
      ['a list', [{ topic: 'a', qos: 1 }]],
      ['an object with subscriptions', { subscriptions: [{ topic: 'a', qos: 1 }] }],
    ] as const) {
      it(`subscribe: takes ${form}, asks authorizeSubscribe, emits subscribe, sends no SUBACK`, async lab => {
        const asked: unknown[] = []
        const broker = await lab.open({
          authorizeSubscribe: (client, subscription, done) => {
            asked.push(client.id, subscription.topic)
            done(null, subscription)
          },
        })
        const device = await lab.connect(broker, 'a')
        const event = emitted<[{ topic: string; qos: number }[], Client]>(broker, 'subscribe')
        const client = device.client as unknown as Documented
        assert.equal((await called(done => client.subscribe(structuredClone(subscriptions), done))) ?? null, null)
        const [told, whose] = await event
        assert.deepEqual(
          told.map(({ topic, qos }) => [topic, qos]),
          [['a', 1]],
        )
        assert.equal(whose, device.client)
        assert.deepEqual(asked, ['a', 'a'])
        await publish(broker, message('a', 'x', { qos: 1 }))
        const packet = await device.expect('publish')
        assert.equal(packet.qos, 1)
      })
    }

    it('subscribe: a SUBSCRIBE packet with a messageId is answered with SUBACK', async lab => {
      const broker = await lab.open()
      const device = await lab.connect(broker, 'a')
      const client = device.client as unknown as Documented
      client.subscribe({ cmd: 'subscribe', messageId: 24, subscriptions: [{ topic: 'a', qos: 0 }] }, () => {})
      const suback = await device.expect('suback')
      assert.equal(suback.messageId, 24)
      assert.deepEqual(suback.granted, [0])
    })

    it('subscribe: gets retained messages', async lab => {
      const broker = await lab.open()
      await publish(broker, message('a', 'kept', { retain: true }))
      const device = await lab.connect(broker, 'a')
      await called(done => device.client.subscribe({ topic: 'a', qos: 0 }, done))
      assert.equal((await device.expect('publish')).retain, true)
    })

    it('subscribe: works in the listener of client and of clientReady', async lab => {
      const broker = await lab.open()
      broker.on('client', client => client.subscribe({ topic: `early/${client.id}`, qos: 0 }, () => {}))
      broker.on('clientReady', client => client.subscribe({ topic: `late/${client.id}`, qos: 0 }, () => {}))
      const device = await lab.connect(broker, 'a')
      await turns()
      await publish(broker, message('early/a', 'x'))
      await publish(broker, message('late/a', 'x'))
      assert.equal((await device.expect('publish')).topic, 'early/a')
      assert.equal((await device.expect('publish')).topic, 'late/a')
    })

    it('subscribe: an error of authorizeSubscribe goes to the callback', async lab => {
      const refusal = new Error('no')
      const broker = await lab.open({ authorizeSubscribe: (_client, _subscription, done) => done(refusal) })
      const device = await lab.connect(broker, 'a')
      assert.equal(await called(done => device.client.subscribe({ topic: 'a', qos: 0 }, done)), refusal)
    })

    for (const [form, filters] of [
      ['one filter', 'a'],
      ['a list', ['a']],
      ['an object with unsubscriptions', { unsubscriptions: ['a'] }],
    ] as const) {
      it(`unsubscribe: takes ${form}, emits unsubscribe, sends no UNSUBACK`, async lab => {
        const broker = await lab.open()
        const device = await lab.connect(broker, 'a')
        await device.subscribe('a')
        const event = emitted<[string[], Client]>(broker, 'unsubscribe')
        const client = device.client as unknown as Documented
        assert.equal((await called(done => client.unsubscribe(filters, done))) ?? null, null)
        assert.deepEqual(await event, [['a'], device.client])
        await publish(broker, message('a', 'x'))
        assert.deepEqual(await device.settle(), [])
      })
    }

    it('unsubscribe: an UNSUBSCRIBE packet with a messageId is answered with UNSUBACK', async lab => {
      const broker = await lab.open()
      const device = await lab.connect(broker, 'a')
      await device.subscribe('a')
      const client = device.client as unknown as Documented
      client.unsubscribe({ cmd: 'unsubscribe', messageId: 42, unsubscriptions: ['a'] }, () => {})
      assert.equal((await device.expect('unsuback')).messageId, 42)
    })

    for (const [form, filters] of [
      ['one subscription', { topic: 'a', qos: 0 }],
      ['a list of subscriptions', [{ topic: 'a', qos: 0 }]],
    ] as const) {
      it(
        `unsubscribe: takes ${form}, as documented`,
        async lab => {
          const broker = await lab.open()
          const device = await lab.connect(broker, 'a')
          await device.subscribe('a')
          const event = emitted<[string[], Client]>(broker, 'unsubscribe')
          const client = device.client as unknown as Documented
          await called(done => client.unsubscribe(filters, done))
          assert.deepEqual((await event)[0], ['a'])
          await publish(broker, message('a', 'x'))
          assert.deepEqual(await device.settle(), [])
        },
        { oracle: false },
      )
    }

    it(
      'publish, subscribe, unsubscribe: their callbacks may be left out, as documented',
      async lab => {
        const broker = await lab.open()
        const device = await lab.connect(broker, 'a')
        for (const qos of [0, 1] as const) {
          device.client.publish(message('direct', 'x', { qos }))
          assert.equal((await device.expect('publish')).topic, 'direct')
        }
        const subscribed = emitted(broker, 'subscribe')
        device.client.subscribe({ topic: 'a', qos: 0 })
        await subscribed
        const unsubscribed = emitted(broker, 'unsubscribe')
        const client = device.client as unknown as Documented
        client.unsubscribe('a')
        await unsubscribed
      },
      { oracle: false },
    )

    it('close: closes the connection, calls back, clientDisconnect comes', async lab => {
      const broker = await lab.open()
      const device = await lab.connect(broker, 'a')
      const gone = emitted<[Client]>(broker, 'clientDisconnect')
      await called(done => device.client.close(done))
      assert.equal(device.client.closed, true)
      assert.equal(device.client.connected, false)
      assert.deepEqual(await gone, [device.client])
      await device.expectClosed()
    })

    it('close: calls back when closed already, without a second clientDisconnect', async lab => {
      const broker = await lab.open()
      let events = 0
      broker.on('clientDisconnect', () => events++)
      const device = await lab.connect(broker, 'a')
      await called(done => device.client.close(done))
      await called(done => device.client.close(done))
      device.client.close()
      await turns()
      assert.equal(events, 1)
    })

    it('close: before CONNECT there is no clientDisconnect', async lab => {
      const broker = await lab.open()
      let events = 0
      broker.on('clientDisconnect', () => events++)
      const device = lab.attach(broker)
      device.client.close()
      await device.expectClosed()
      await turns()
      assert.equal(events, 0)
      assert.equal(broker.connectedClients, 0)
    })

    it('emptyOutgoingQueue: what waited for a kept session is gone', async lab => {
      const broker = await lab.open()
      const device = await lab.connect(broker, 'kept', { clean: false })
      await device.subscribe('a', 1)
      for (const payload of ['1', '2', '3']) await publish(broker, message('a', payload, { qos: 1 }))
      for (let index = 0; index < 3; index++) await device.expect('publish')
      await called(done => device.client.emptyOutgoingQueue(done as () => void))
      await device.disconnect()
      const again = await lab.connect(broker, 'kept', { clean: false })
      assert.equal(again.connack?.sessionPresent, true)
      assert.deepEqual(await again.settle(), [])
      await publish(broker, message('a', '4', { qos: 1 }))
      assert.equal((await again.expect('publish')).payload.toString(), '4')
    })

    it('emptyOutgoingQueue: calls back when nothing waits', async lab => {
      const broker = await lab.open()
      const device = await lab.connect(broker, 'a')
      await called(done => device.client.emptyOutgoingQueue(done as () => void))
    })

    it('a client that half-closes its side is closed', async lab => {
      const broker = await lab.open()
      const device = await lab.connect(broker, 'a')
      const gone = emitted<[Client]>(broker, 'clientDisconnect')
      device.end()
      assert.deepEqual(await gone, [device.client])
      await until(() => device.isClosed, 'the stream is closed')
    })
  })
}

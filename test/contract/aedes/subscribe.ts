// Subscriptions of clients: authorizeSubscribe, and the events subscribe and unsubscribe.
import assert from 'node:assert/strict'
import type { Client } from 'aedes'
import type { ISubscription } from 'mqtt-packet'
import { type Create, contract, emitted, message, publish, turns } from './harness.ts'

type ClientAndError = [Client, Error]
type SubscriptionsAndClient = [ISubscription[], Client]

/** The subscriptions of an event as bare topic and QoS. */
function plain(subscriptions: ISubscription[]): { topic: string; qos: number }[] {
  return subscriptions.map(({ topic, qos }) => ({ topic, qos }))
}

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'subscribe', create, oracle, it => {
    it('authorizeSubscribe is asked for each filter with the client', async lab => {
      const calls: [Client, { topic: string; qos: number }][] = []
      const broker = await lab.open({
        authorizeSubscribe: (client, subscription, done) => {
          calls.push([client, { topic: subscription.topic, qos: subscription.qos }])
          done(null, subscription)
        },
      })
      const device = await lab.connect(broker, 'subscriber')
      const subscriptions: ISubscription[] = [
        { topic: 'a', qos: 0 },
        { topic: 'b/+', qos: 1 },
        { topic: 'c/#', qos: 2 },
      ]
      device.send({ cmd: 'subscribe', messageId: 9, subscriptions })
      const suback = await device.expect('suback')
      assert.equal(suback.messageId, 9)
      assert.deepEqual(suback.granted, [0, 1, 2])
      assert.deepEqual(
        calls,
        subscriptions.map(subscription => [device.client, subscription]),
      )
    })

    it('authorizeSubscribe comes before the event subscribe, which has all filters and the client', async lab => {
      const order: string[] = []
      const broker = await lab.open({
        authorizeSubscribe: (_client, subscription, done) => {
          order.push(`authorizeSubscribe ${subscription.topic}`)
          setImmediate(() => done(null, subscription))
        },
      })
      broker.on('subscribe', () => order.push('subscribe'))
      const event = emitted<SubscriptionsAndClient>(broker, 'subscribe')
      const device = await lab.connect(broker, 'subscriber')
      device.send({
        cmd: 'subscribe',
        messageId: 1,
        subscriptions: [
          { topic: 'a', qos: 1 },
          { topic: 'b', qos: 0 },
        ],
      })
      const [subscriptions, client] = await event
      assert.deepEqual(plain(subscriptions), [
        { topic: 'a', qos: 1 },
        { topic: 'b', qos: 0 },
      ])
      assert.equal(client, device.client)
      assert.deepEqual(order, ['authorizeSubscribe a', 'authorizeSubscribe b', 'subscribe'])
      await device.expect('suback')
    })

    for (const nothing of [null, undefined]) {
      it(`authorizeSubscribe with ${nothing}: 128 for that filter, the others hold`, async lab => {
        const broker = await lab.open({
          authorizeSubscribe: (_client, subscription, done) =>
            done(null, subscription.topic === 'secret' ? nothing : subscription),
        })
        const event = emitted<SubscriptionsAndClient>(broker, 'subscribe')
        const device = await lab.connect(broker, 'curious')
        device.send({
          cmd: 'subscribe',
          messageId: 1,
          subscriptions: [
            { topic: 'open', qos: 1 },
            { topic: 'secret', qos: 1 },
            { topic: 'free', qos: 0 },
          ],
        })
        assert.deepEqual((await device.expect('suback')).granted, [1, 128, 0])
        assert.deepEqual(plain((await event)[0]), [
          { topic: 'open', qos: 1 },
          { topic: 'secret', qos: 128 },
          { topic: 'free', qos: 0 },
        ])
        await publish(broker, message('secret', 'x'))
        await publish(broker, message('free', 'y'))
        const packets = await device.settle()
        assert.deepEqual(
          packets.map(packet => packet.cmd === 'publish' && packet.topic),
          ['free'],
        )
      })
    }

    it('a refused filter gets no retained message either', async lab => {
      const broker = await lab.open({ authorizeSubscribe: (_client, _subscription, done) => done(null, null) })
      await publish(broker, message('secret', 'x', { retain: true }))
      const device = await lab.connect(broker, 'curious')
      assert.equal(await device.subscribe('secret'), 128)
      assert.equal(await device.subscribe('#', 0, 2), 128)
      await turns()
      assert.deepEqual(await device.settle(), [])
    })

    for (const variant of ['at once', 'later']) {
      it(`authorizeSubscribe that fails ${variant}: clientError with its error, closed, no SUBACK`, async lab => {
        const refusal = new Error('not this filter')
        const broker = await lab.open({
          authorizeSubscribe: (_client, _subscription, done) =>
            variant === 'at once' ? done(refusal) : setImmediate(() => done(refusal)),
        })
        let events = 0
        broker.on('subscribe', () => events++)
        const device = await lab.connect(broker, 'curious')
        const failed = emitted<ClientAndError>(broker, 'clientError')
        device.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 0 }] })
        assert.deepEqual(await failed, [device.client, refusal])
        await device.expectClosed()
        assert.deepEqual(device.inbox, [])
        assert.equal(events, 0)
      })
    }

    it('authorizeSubscribe may change topic and QoS in place', async lab => {
      const broker = await lab.open({
        authorizeSubscribe: (_client, subscription, done) => {
          subscription.topic = 'changed'
          subscription.qos = 0
          done(null, subscription)
        },
      })
      const device = await lab.connect(broker, 'subscriber')
      await device.subscribe('asked', 1)
      await publish(broker, message('asked', 'x', { qos: 1 }))
      await publish(broker, message('changed', 'y', { qos: 1 }))
      const packets = await device.settle()
      assert.deepEqual(
        packets.map(packet => packet.cmd === 'publish' && [packet.topic, packet.qos]),
        [['changed', 0]],
      )
    })

    it('authorizeSubscribe may answer with another subscription', async lab => {
      const broker = await lab.open({
        authorizeSubscribe: (client, subscription, done) =>
          done(null, { topic: `${client.id}/${subscription.topic}`, qos: subscription.qos }),
      })
      const device = await lab.connect(broker, 'tenant')
      await device.subscribe('a', 1)
      await publish(broker, message('a', 'x', { qos: 1 }))
      await publish(broker, message('tenant/a', 'y', { qos: 1 }))
      const packets = await device.settle()
      assert.deepEqual(
        packets.map(packet => packet.cmd === 'publish' && [packet.topic, packet.qos]),
        [['tenant/a', 1]],
      )
    })

    it(
      'SUBACK tells the QoS that authorizeSubscribe left',
      async lab => {
        const broker = await lab.open({
          authorizeSubscribe: (_client, subscription, done) => done(null, { ...subscription, qos: 0 }),
        })
        const device = await lab.connect(broker, 'subscriber')
        assert.equal(await device.subscribe('a', 2), 0)
      },
      { oracle: false },
    )

    it('authorizeSubscribe is asked again when a kept session comes back, and may drop a filter then', async lab => {
      let allowed = true
      const asked: string[] = []
      const broker = await lab.open({
        authorizeSubscribe: (_client, subscription, done) => {
          asked.push(subscription.topic)
          done(null, allowed || subscription.topic !== 'b' ? subscription : null)
        },
      })
      const first = await lab.connect(broker, 'kept', { clean: false })
      await first.subscribe('a', 0)
      await first.subscribe('b', 0, 2)
      await first.disconnect()
      allowed = false
      asked.length = 0
      const again = await lab.connect(broker, 'kept', { clean: false })
      assert.equal(again.connack?.sessionPresent, true)
      assert.deepEqual(asked.sort(), ['a', 'b'])
      await publish(broker, message('b', 'refused'))
      await publish(broker, message('a', 'allowed'))
      const packets = await again.settle()
      assert.deepEqual(
        packets.map(packet => packet.cmd === 'publish' && packet.topic),
        ['a'],
      )
    })

    it('a session that comes back emits no subscribe and gets no retained message again', async lab => {
      const broker = await lab.open()
      await publish(broker, message('a', 'kept', { retain: true }))
      const first = await lab.connect(broker, 'kept', { clean: false })
      await first.subscribe('a')
      await first.expect('publish')
      await first.disconnect()
      let events = 0
      broker.on('subscribe', () => events++)
      const again = await lab.connect(broker, 'kept', { clean: false })
      await turns()
      assert.deepEqual(await again.settle(), [])
      assert.equal(events, 0)
    })

    it('the same filter twice in one SUBSCRIBE: the event has it once, with the last QoS', async lab => {
      const broker = await lab.open()
      const event = emitted<SubscriptionsAndClient>(broker, 'subscribe')
      const device = await lab.connect(broker, 'subscriber')
      device.send({
        cmd: 'subscribe',
        messageId: 1,
        subscriptions: [
          { topic: 'a', qos: 0 },
          { topic: 'a', qos: 1 },
        ],
      })
      assert.deepEqual(plain((await event)[0]), [{ topic: 'a', qos: 1 }])
      await device.expect('suback')
      await publish(broker, message('a', 'x', { qos: 1 }))
      const packets = await device.settle()
      assert.deepEqual(
        packets.map(packet => packet.cmd === 'publish' && packet.qos),
        [1],
      )
    })

    it(
      'the same filter twice in one SUBSCRIBE: SUBACK has one return code for each [MQTT-3.8.4-5]',
      async lab => {
        const broker = await lab.open()
        const device = await lab.connect(broker, 'subscriber')
        device.send({
          cmd: 'subscribe',
          messageId: 1,
          subscriptions: [
            { topic: 'a', qos: 1 },
            { topic: 'a', qos: 1 },
          ],
        })
        assert.deepEqual((await device.expect('suback')).granted, [1, 1])
      },
      { oracle: false },
    )

    it('an invalid filter in SUBSCRIBE or UNSUBSCRIBE: clientError, closed, authorizeSubscribe is not asked', async lab => {
      let asked = 0
      const broker = await lab.open({
        authorizeSubscribe: (_client, subscription, done) => {
          asked++
          done(null, subscription)
        },
      })
      for (const topic of ['a/#/b', 'ab#']) {
        for (const cmd of ['subscribe', 'unsubscribe'] as const) {
          const device = await lab.connect(broker, 'careless')
          const failed = emitted<ClientAndError>(broker, 'clientError')
          if (cmd === 'subscribe') device.send({ cmd, messageId: 1, subscriptions: [{ topic, qos: 0 }] })
          else device.send({ cmd, messageId: 1, unsubscriptions: [topic] })
          const [client, error] = await failed
          assert.equal(client, device.client)
          assert.ok(error instanceof Error, 'an error is given')
          await device.expectClosed()
          assert.deepEqual(device.inbox, [])
        }
      }
      assert.equal(asked, 0)
    })

    it('unsubscribe: UNSUBACK, and the event has the filters and the client', async lab => {
      const broker = await lab.open()
      const device = await lab.connect(broker, 'subscriber')
      await device.subscribe('a')
      await device.subscribe('b', 0, 2)
      const event = emitted<[string[], Client]>(broker, 'unsubscribe')
      device.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['a', 'never/had'] })
      assert.equal((await device.expect('unsuback')).messageId, 3)
      assert.deepEqual(await event, [['a', 'never/had'], device.client])
      await publish(broker, message('a', 'x'))
      await publish(broker, message('b', 'y'))
      const packets = await device.settle()
      assert.deepEqual(
        packets.map(packet => packet.cmd === 'publish' && packet.topic),
        ['b'],
      )
    })

    it('the end of a clean session emits clientDisconnect, then unsubscribe with its filters', async lab => {
      const broker = await lab.open()
      const device = await lab.connect(broker, 'subscriber')
      await device.subscribe('a')
      await device.subscribe('b', 1, 2)
      const order: string[] = []
      broker.on('unsubscribe', () => order.push('unsubscribe'))
      broker.on('clientDisconnect', () => order.push('clientDisconnect'))
      const event = emitted<[string[], Client]>(broker, 'unsubscribe')
      const gone = emitted(broker, 'clientDisconnect')
      await device.disconnect()
      const [filters, client] = await event
      assert.deepEqual(filters.sort(), ['a', 'b'])
      assert.equal(client, device.client)
      await gone
      assert.deepEqual(order, ['clientDisconnect', 'unsubscribe'])
    })

    it('a kept session that goes away emits no unsubscribe', async lab => {
      const broker = await lab.open()
      let events = 0
      broker.on('unsubscribe', () => events++)
      const device = await lab.connect(broker, 'kept', { clean: false })
      await device.subscribe('a')
      const gone = emitted(broker, 'clientDisconnect')
      await device.disconnect()
      await gone
      assert.equal(events, 0)
    })
  })
}

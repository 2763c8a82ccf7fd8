// Subscriptions: authorizeSubscribe, the events subscribe and unsubscribe, and subscribe() of the broker.
import assert from 'node:assert/strict'
import type { Aedes, Client } from 'aedes'
import type { ISubscription } from 'mqtt-packet'
import { type Create, contract, emitted, listen, message, publish, turns, until, within } from './harness.ts'

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

    it('subscribe() of the broker: callback, then messages of clients and of the broker, as aedes packets', async lab => {
      const broker = await lab.open({ id: 'home' })
      const seen = await listen(broker, 'a/+')
      const device = await lab.connect(broker, 'sender')
      device.send({ ...message('a/one', 'from a client', { qos: 1 }), messageId: 5 })
      await device.expect('puback')
      await until(() => seen.length === 1, 'the message of the client arrives')
      await publish(broker, message('a/two', 'from the broker', { retain: true }))
      assert.equal(seen.length, 2)
      const [first, second] = seen
      assert.ok(first !== undefined && second !== undefined, 'both arrived')
      assert.equal(first.cmd, 'publish')
      assert.equal(first.topic, 'a/one')
      assert.ok(Buffer.isBuffer(first.payload), 'the bytes are a Buffer')
      assert.equal(first.payload.toString(), 'from a client')
      assert.equal(first.qos, 1)
      assert.equal(first.retain, false)
      assert.equal(first.brokerId, 'home')
      assert.equal(first.clientId, 'sender')
      assert.equal(second.topic, 'a/two')
      assert.equal(second.retain, true)
      assert.equal(second.brokerId, 'home')
      assert.equal(second.clientId, undefined)
      assert.ok(second.brokerCounter > first.brokerCounter, 'the counter grows')
    })

    it('subscribe() of the broker skips authorizeSubscribe and authorizeForward, and gets no retained message', async lab => {
      let asked = 0
      const broker = await lab.open({
        authorizeSubscribe: (_client, _subscription, done) => {
          asked++
          done(null, null)
        },
        authorizeForward: () => {
          asked++
          return null
        },
      })
      await publish(broker, message('a', 'old', { retain: true }))
      const seen = await listen(broker, 'a')
      await turns()
      assert.deepEqual(seen, [])
      await publish(broker, message('a', 'new'))
      assert.equal(seen.length, 1)
      assert.equal(asked, 0)
    })

    it('subscribe() of the broker with # hears $SYS as well', async lab => {
      const broker = await lab.open({ id: 'home' })
      const seen = await listen(broker, '#')
      await lab.connect(broker, 'someone')
      await until(() => seen.some(packet => packet.topic === '$SYS/home/new/clients'), '$SYS is heard')
    })

    it('subscribe() of the broker: two functions on one filter both hear; unsubscribe ends one', async lab => {
      const broker = await lab.open()
      const heard: string[] = []
      const hearer =
        (who: string) =>
        (packet: { payload: Buffer | string }, done: () => void): void => {
          heard.push(`${who} ${packet.payload.toString()}`)
          done()
        }
      const one = hearer('one')
      const two = hearer('two')
      for (const func of [one, two]) {
        await within(new Promise<void>(resolve => broker.subscribe('a', func, resolve)), 'the callback')
      }
      await publish(broker, message('a', '1'))
      await within(new Promise<void>(resolve => broker.unsubscribe('a', one, resolve)), 'the callback')
      await publish(broker, message('a', '2'))
      assert.deepEqual(heard.sort(), ['one 1', 'two 1', 'two 2'])
    })

    it('unsubscribe() of the broker with another function or filter takes nothing away', async lab => {
      const broker = await lab.open()
      const seen: unknown[] = []
      const func = (packet: unknown, done: () => void): void => {
        seen.push(packet)
        done()
      }
      await within(new Promise<void>(resolve => broker.subscribe('a', func, resolve)), 'the callback')
      const other = (_packet: unknown, done: () => void): void => done()
      await within(new Promise<void>(resolve => broker.unsubscribe('a', other, resolve)), 'the callback')
      await within(new Promise<void>(resolve => broker.unsubscribe('b', func, resolve)), 'the callback')
      await publish(broker, message('a', 'x'))
      assert.equal(seen.length, 1)
    })

    it('subscribe() and unsubscribe() of the broker work without a callback', async lab => {
      const broker = (await lab.open()) as Aedes & Record<'subscribe' | 'unsubscribe', (...values: unknown[]) => void>
      let heard = 0
      const func = (_packet: unknown, done: () => void): void => {
        heard++
        done()
      }
      broker.subscribe('a', func)
      await publish(broker, message('a', 'x'))
      assert.equal(heard, 1)
      broker.unsubscribe('a', func)
      await turns()
      await publish(broker, message('a', 'y'))
      assert.equal(heard, 1)
    })

    it('a deliver function holds back the callback of publish() until it is done', async lab => {
      const broker = await lab.open()
      const waiting: (() => void)[] = []
      await within(
        new Promise<void>(resolve =>
          broker.subscribe(
            'a',
            (_packet, done) => {
              waiting.push(done)
            },
            resolve,
          ),
        ),
        'the callback',
      )
      let over = false
      const sent = publish(broker, message('a', 'x')).then(() => {
        over = true
      })
      await until(() => waiting.length === 1, 'the deliver function is called')
      await turns()
      assert.equal(over, false)
      waiting[0]?.()
      await sent
    })
  })
}

// A persistence that fails: who is told, what the client sees, and that the broker lives on.
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { Readable } from 'node:stream'
import type { Aedes, Client } from 'aedes'
import type { IConnectPacket } from 'mqtt-packet'
import {
  type Create,
  connectPacket,
  contract,
  type Device,
  emitted,
  type Lab,
  message,
  publish,
  turns,
  within,
} from './harness.ts'
import { failing, memoryPersistence } from './plugins.ts'

type ClientAndError = [Client, Error]

const FAILURE = new Error('disk is full')
const WILL = { topic: 'last/words', payload: Buffer.from('goodbye'), qos: 0, retain: false } as const

/** A broker whose persistence fails at one method once `fail()` is called. */
async function open(lab: Lab, method: string): Promise<{ broker: Aedes; fail: () => void; heal: () => void }> {
  const { plugin, switch: state } = failing(memoryPersistence(), method, FAILURE)
  const broker = await lab.open({ persistence: plugin })
  return {
    broker,
    fail: () => {
      state.on = true
    },
    heal: () => {
      state.on = false
    },
  }
}

/** The client concerned gets clientError with the failure and is closed; afterwards the broker serves others. */
async function expectFailure(
  lab: Lab,
  broker: Aedes,
  device: Device,
  heal: () => void,
  act: () => void,
): Promise<void> {
  const failed = emitted<ClientAndError>(broker, 'clientError')
  act()
  assert.deepEqual(await failed, [device.client, FAILURE])
  await device.expectClosed()
  heal()
  const next = await lab.connect(broker, 'next')
  assert.equal(await next.subscribe('after'), 0)
  await publish(broker, message('after', 'x'))
  await next.expect('publish')
}

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'persistence that fails', create, oracle, it => {
    const onConnect: [string, Partial<IConnectPacket>][] = [
      ['cleanSubscriptions', { clean: true }],
      ['cleanIncoming', { clean: true }],
      ['subscriptionsByClient', { clean: false }],
      ['putWill', { will: WILL }],
    ]
    for (const [method, options] of onConnect) {
      it(`${method} on CONNECT: clientError, closed without CONNACK`, async lab => {
        const { broker, fail, heal } = await open(lab, method)
        fail()
        const device = lab.attach(broker)
        await expectFailure(lab, broker, device, heal, () => device.send(connectPacket('unlucky', options)))
        assert.deepEqual(device.inbox, [])
        assert.equal(device.client.connected, false)
      })
    }

    it('addSubscriptions: clientError, closed without SUBACK', async lab => {
      const { broker, fail, heal } = await open(lab, 'addSubscriptions')
      const device = await lab.connect(broker, 'kept', { clean: false })
      fail()
      await expectFailure(lab, broker, device, heal, () =>
        device.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 1 }] }),
      )
      assert.deepEqual(device.inbox, [])
    })

    it('removeSubscriptions: clientError, closed without UNSUBACK', async lab => {
      const { broker, fail, heal } = await open(lab, 'removeSubscriptions')
      const device = await lab.connect(broker, 'kept', { clean: false })
      await device.subscribe('a', 1)
      fail()
      await expectFailure(lab, broker, device, heal, () =>
        device.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['a'] }),
      )
      assert.deepEqual(device.inbox, [])
    })

    for (const qos of [0, 1, 2] as const) {
      it(`storeRetained with QoS ${qos}: clientError, closed`, async lab => {
        const { broker, fail, heal } = await open(lab, 'storeRetained')
        const device = await lab.connect(broker, 'sender')
        fail()
        await expectFailure(lab, broker, device, heal, () =>
          device.send({ ...message('a', 'x', { qos, retain: true }), messageId: 1 }),
        )
      })
    }

    it('incomingStorePacket: clientError, closed without PUBREC, nothing delivered', async lab => {
      const { broker, fail, heal } = await open(lab, 'incomingStorePacket')
      const subscriber = await lab.connect(broker, 'subscriber')
      await subscriber.subscribe('a', 2)
      const device = await lab.connect(broker, 'sender', { clean: false })
      fail()
      await expectFailure(lab, broker, device, heal, () =>
        device.send({ ...message('a', 'x', { qos: 2 }), messageId: 1 }),
      )
      assert.deepEqual(device.inbox, [])
      assert.deepEqual(await subscriber.settle(), [])
    })

    it('outgoingEnqueueCombi with QoS 2: clientError, closed without PUBREC', async lab => {
      const { broker, fail, heal } = await open(lab, 'outgoingEnqueueCombi')
      const away = await lab.connect(broker, 'away', { clean: false })
      await away.subscribe('a', 2)
      await away.disconnect()
      const device = await lab.connect(broker, 'sender')
      fail()
      await expectFailure(lab, broker, device, heal, () =>
        device.send({ ...message('a', 'x', { qos: 2 }), messageId: 1 }),
      )
      assert.deepEqual(device.inbox, [])
    })

    it('publish() of the broker calls back with the error of storeRetained and outgoingEnqueueCombi', async lab => {
      for (const method of ['storeRetained', 'outgoingEnqueueCombi']) {
        const { broker, fail } = await open(lab, method)
        const away = await lab.connect(broker, 'away', { clean: false })
        await away.subscribe('a', 1)
        await away.disconnect()
        fail()
        await assert.rejects(publish(broker, message('a', 'x', { qos: 1, retain: true })), FAILURE)
      }
    })

    it('subscriptionsByTopic: the failure is told, by the event error of the broker or by the callback', async lab => {
      const { broker, fail } = await open(lab, 'subscriptionsByTopic')
      const away = await lab.connect(broker, 'away', { clean: false })
      await away.subscribe('a', 1)
      await away.disconnect()
      const told = new Promise(resolve => {
        EventEmitter.prototype.once.call(broker, 'error', resolve)
        fail()
        broker.publish(message('a', 'x', { qos: 1 }), resolve)
      })
      assert.equal(await within(told, 'the failure'), FAILURE)
    })

    it(
      'subscriptionsByTopic: the sending client gets clientError and is closed without PUBACK',
      async lab => {
        const { broker, fail, heal } = await open(lab, 'subscriptionsByTopic')
        const device = await lab.connect(broker, 'sender')
        fail()
        await expectFailure(lab, broker, device, heal, () =>
          device.send({ ...message('a', 'x', { qos: 1 }), messageId: 1 }),
        )
        assert.deepEqual(device.inbox, [])
      },
      { oracle: false },
    )

    it('outgoingClearMessageId: clientError for the client that acknowledged', async lab => {
      const { broker, fail } = await open(lab, 'outgoingClearMessageId')
      const device = await lab.connect(broker, 'kept', { clean: false })
      await device.subscribe('a', 1)
      await publish(broker, message('a', 'x', { qos: 1 }))
      const packet = await device.expect('publish')
      const failed = emitted<ClientAndError>(broker, 'clientError')
      fail()
      device.send({ cmd: 'puback', messageId: packet.messageId ?? 0 })
      assert.deepEqual(await failed, [device.client, FAILURE])
      await device.expectClosed()
    })

    it('incomingDelPacket: PUBCOMP is sent all the same', async lab => {
      const { broker, fail } = await open(lab, 'incomingDelPacket')
      const device = await lab.connect(broker, 'sender')
      device.send({ ...message('a', 'x', { qos: 2 }), messageId: 1 })
      await device.expect('pubrec')
      fail()
      device.send({ cmd: 'pubrel', messageId: 1 })
      await device.expect('pubcomp')
    })

    it('delWill after the end of a connection: nobody is disturbed', async lab => {
      const { broker, fail, heal } = await open(lab, 'delWill')
      let errors = 0
      broker.on('clientError', () => errors++)
      const device = await lab.connect(broker, 'mortal', { will: WILL })
      fail()
      await device.disconnect()
      await turns()
      heal()
      await lab.connect(broker, 'next')
      assert.equal(errors, 0)
    })

    for (const [method, qos] of [
      ['storeRetained', 1],
      ['outgoingEnqueueCombi', 1],
    ] as const) {
      it(
        `${method} with QoS ${qos}: no PUBACK for what is not stored`,
        async lab => {
          const { broker, fail, heal } = await open(lab, method)
          const away = await lab.connect(broker, 'away', { clean: false })
          await away.subscribe('a', 1)
          await away.disconnect()
          const device = await lab.connect(broker, 'sender')
          fail()
          await expectFailure(lab, broker, device, heal, () =>
            device.send({ ...message('a', 'x', { qos, retain: true }), messageId: 1 }),
          )
          assert.deepEqual(device.inbox, [])
        },
        { oracle: false },
      )
    }

    it(
      'delWill on CONNECT: costs that connection at most',
      async lab => {
        const { broker, fail, heal } = await open(lab, 'delWill')
        fail()
        const device = lab.attach(broker)
        device.send(connectPacket('unlucky'))
        await Promise.race([device.next().catch(() => {}), device.closed])
        heal()
        await lab.connect(broker, 'next')
      },
      { oracle: false },
    )

    it(
      'createRetainedStreamCombi: costs that subscriber at most',
      async lab => {
        let broken = false
        const memory = memoryPersistence()
        const persistence = new Proxy(memory, {
          get(target, property) {
            const value: unknown = Reflect.get(target, property, target)
            if (typeof value !== 'function') return value
            if (property === 'setup') return async (broker: unknown) => target.setup(broker)
            if (property !== 'createRetainedStreamCombi') return value.bind(target)
            return (...values: unknown[]) =>
              broken
                ? new Readable({
                    read() {
                      this.destroy(FAILURE)
                    },
                  })
                : Reflect.apply(value, target, values)
          },
        })
        const broker = await lab.open({ persistence })
        const device = await lab.connect(broker, 'unlucky')
        broken = true
        device.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 0 }] })
        await Promise.race([device.next().catch(() => {}), device.closed])
        await turns()
        broken = false
        const next = await lab.connect(broker, 'next')
        assert.equal(await next.subscribe('a'), 0)
      },
      { oracle: false },
    )
  })
}

// Where the hub does not follow aedes. Only the right behaviour is stated here; aedes is not run on it.
import assert from 'node:assert/strict'
import { type Create, connectPacket, contract, message, publish, until } from './harness.ts'
import type { Persistence } from './plugins.ts'
import { memoryPersistence, watched } from './plugins.ts'

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'differences from aedes', create, oracle, it => {
    const only = { oracle: false }

    it(
      'PUBACK is sent after the message is stored for the sessions that are away',
      async lab => {
        let store: (() => void) | undefined
        const memory = memoryPersistence()
        const slow: Persistence = new Proxy(memory, {
          get(target, property) {
            const value: unknown = Reflect.get(target, property, target)
            if (typeof value !== 'function') return value
            if (property === 'setup') return async (broker: unknown) => target.setup(broker)
            if (property !== 'outgoingEnqueueCombi') return value.bind(target)
            return async (...values: unknown[]) => {
              if ((values[0] as unknown[]).length > 0) {
                await new Promise<void>(resolve => {
                  store = resolve
                })
              }
              return Reflect.apply(value, target, values)
            }
          },
        })
        const broker = await lab.open({ persistence: slow })
        const away = await lab.connect(broker, 'away', { clean: false })
        await away.subscribe('a', 1)
        await away.disconnect()
        const sender = await lab.connect(broker, 'sender')
        sender.send({ ...message('a', 'x', { qos: 1 }), messageId: 5 })
        await until(() => store !== undefined, 'the message is given to the persistence')
        assert.deepEqual(
          (await lab.connect(broker, 'other').then(other => other.settle())).concat(sender.inbox),
          [],
          'nothing is acknowledged yet',
        )
        store?.()
        assert.equal((await sender.expect('puback')).messageId, 5)
      },
      only,
    )

    it(
      'a filter with wildcards is served with the QoS it was granted [MQTT-3.8.4-6]',
      async lab => {
        const broker = await lab.open()
        for (const filter of ['a/+', 'a/#', '+/b']) {
          const device = await lab.connect(broker, 'subscriber')
          assert.equal(await device.subscribe(filter, 1), 1)
          await publish(broker, message('a/b', 'x', { qos: 2 }))
          assert.equal((await device.expect('publish')).qos, 1, filter)
        }
      },
      only,
    )

    it(
      'a retained message comes to a filter with wildcards with the QoS it was granted',
      async lab => {
        const broker = await lab.open()
        await publish(broker, message('a/b', 'x', { qos: 2, retain: true }))
        for (const granted of [0, 1] as const) {
          const device = await lab.connect(broker, 'late')
          await device.subscribe('a/+', granted)
          assert.equal((await device.expect('publish')).qos, granted)
        }
      },
      only,
    )

    it(
      'overlapping filters give one copy with the highest QoS granted, in whatever order they came',
      async lab => {
        const broker = await lab.open()
        for (const order of [
          ['a/b', 'a/+', '#'],
          ['#', 'a/+', 'a/b'],
        ]) {
          const device = await lab.connect(broker, 'subscriber')
          for (const [index, filter] of order.entries()) {
            await device.subscribe(filter, filter === 'a/+' ? 2 : 0, index + 1)
          }
          await publish(broker, message('a/b', 'x', { qos: 2 }))
          const packets = await device.settle()
          assert.deepEqual(
            packets.map(packet => packet.cmd === 'publish' && packet.qos),
            [2],
          )
        }
      },
      only,
    )

    it(
      'messages of different QoS on one topic arrive in the order in which they were published',
      async lab => {
        const broker = await lab.open()
        const subscriber = await lab.connect(broker, 'subscriber', { clean: false })
        await subscriber.subscribe('a', 1)
        const sender = await lab.connect(broker, 'sender')
        const count = 20
        sender.send(
          ...Array.from({ length: count }, (_value, index) => ({
            ...message('a', String(index), { qos: (index % 2) as 0 | 1 }),
            messageId: index + 1,
          })),
        )
        const got: string[] = []
        for (let index = 0; index < count; index++) {
          const packet = await subscriber.expect('publish')
          got.push(packet.payload.toString())
          if (packet.qos === 1) subscriber.send({ cmd: 'puback', messageId: packet.messageId ?? 0 })
        }
        assert.deepEqual(
          got,
          Array.from({ length: count }, (_value, index) => String(index)),
        )
      },
      only,
    )

    it(
      'every invalid filter is refused: a wildcard that does not fill its level too [MQTT-4.7.1-2] [MQTT-4.7.1-3]',
      async lab => {
        const broker = await lab.open()
        for (const topic of ['a#', 'a+', '+a']) {
          const device = await lab.connect(broker, 'careless')
          device.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos: 0 }] })
          await device.expectClosed()
          assert.deepEqual(device.inbox, [], topic)
        }
      },
      only,
    )

    it(
      'a kept session without subscriptions is present when it comes back [MQTT-3.2.2-2]',
      async lab => {
        const broker = await lab.open()
        const first = await lab.connect(broker, 'kept', { clean: false })
        assert.equal(first.connack?.sessionPresent, false)
        await first.disconnect()
        const again = await lab.connect(broker, 'kept', { clean: false })
        assert.equal(again.connack?.sessionPresent, true)
      },
      only,
    )

    it(
      'a connection that is still being authenticated is closed with the broker',
      async lab => {
        let asked = false
        const broker = await lab.open({
          authenticate: () => {
            asked = true
          },
        })
        const device = lab.attach(broker)
        device.send(connectPacket('slow'))
        await until(() => asked, 'authenticate is asked')
        broker.close()
        await device.expectClosed()
      },
      only,
    )

    it(
      'many messages that nobody listens to do not exhaust the stack',
      async lab => {
        const broker = await lab.open()
        const device = await lab.connect(broker, 'flood')
        device.send(...Array.from({ length: 50_000 }, () => message('nobody/listens', '')))
        assert.deepEqual(await device.settle(), [])
      },
      only,
    )

    it(
      'a kept session gets what the persistence has before what is published now',
      async lab => {
        const { plugin } = watched(memoryPersistence())
        const broker = await lab.open({ persistence: plugin })
        const first = await lab.connect(broker, 'kept', { clean: false })
        await first.subscribe('a', 1)
        await first.disconnect()
        for (let index = 0; index < 20; index++) await publish(broker, message('a', String(index), { qos: 1 }))
        broker.on('connackSent', () => broker.publish(message('a', 'live', { qos: 1 }), () => {}))
        const again = await lab.connect(broker, 'kept', { clean: false })
        const got: string[] = []
        while (got.at(-1) !== 'live') {
          const packet = await again.expect('publish')
          got.push(packet.payload.toString())
          again.send({ cmd: 'puback', messageId: packet.messageId ?? 0 })
        }
        assert.deepEqual(got, [...Array.from({ length: 20 }, (_value, index) => String(index)), 'live'])
      },
      only,
    )
  })
}

// The mq plug-in: messages leave through it and come in through it; brokers that share one are a cluster.
import assert from 'node:assert/strict'
import type { Aedes, AedesOptions, Client } from 'aedes'
import {
  type Create,
  closing,
  contract,
  type Delivered,
  emitted,
  listen,
  message,
  publish,
  turns,
  until,
  within,
} from './harness.ts'
import { callsOf, memoryPersistence, memoryQueue, type Queue, watched } from './plugins.ts'

/** Emits a message as another broker on the same mq would. */
function emit(queue: Queue, brokerCounter: number, topic: string, payload: string): Promise<void> {
  const packet = { ...message(topic, payload), brokerId: 'elsewhere', brokerCounter }
  return within(new Promise<void>(resolve => queue.emit(packet, () => resolve())), 'the callback of emit')
}

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'mq', create, oracle, it => {
    it('is the property mq of the broker', async lab => {
      const queue = memoryQueue()
      const broker = (await lab.open({ mq: queue })) as Aedes & { mq: Queue }
      assert.equal(broker.mq, queue)
    })

    it('what clients and the broker publish goes through emit as aedes packets', async lab => {
      const { plugin, calls } = watched(memoryQueue())
      const broker = await lab.open({ id: 'home', mq: plugin })
      const device = await lab.connect(broker, 'sender')
      device.send({ ...message('a/client', 'x', { qos: 1, retain: true }), messageId: 1 })
      await device.expect('puback')
      await until(() => calls.some(call => (call.values[0] as Delivered)?.topic === 'a/client'), 'emit is called')
      await publish(broker, message('a/broker', 'y'))
      const packets = callsOf(calls, 'emit')
        .map(([packet]) => packet as Delivered)
        .filter(packet => packet.topic.startsWith('a/'))
      assert.deepEqual(
        packets.map(({ cmd, topic, payload, qos, retain, brokerId, clientId }) => [
          cmd,
          topic,
          payload.toString(),
          qos,
          retain,
          brokerId,
          clientId,
        ]),
        [
          ['publish', 'a/client', 'x', 1, true, 'home', 'sender'],
          ['publish', 'a/broker', 'y', 0, false, 'home', undefined],
        ],
      )
      const [first, second] = packets
      assert.ok(
        first !== undefined && second !== undefined && second.brokerCounter > first.brokerCounter,
        'the counter grows',
      )
    })

    it('what others emit reaches the clients and the functions subscribed here', async lab => {
      const queue = memoryQueue()
      const broker = await lab.open({ mq: queue })
      const seen = await listen(broker, 'a/#')
      const device = await lab.connect(broker, 'subscriber')
      await device.subscribe('a/+')
      await emit(queue, 1, 'a/b', 'from elsewhere')
      assert.equal((await device.expect('publish')).payload.toString(), 'from elsewhere')
      await until(() => seen.length === 1, 'the function hears it')
      await emit(queue, 2, 'b', 'not subscribed')
      assert.deepEqual(await device.settle(), [])
    })

    it('an error of emit is the error of publish()', async lab => {
      const failure = new Error('queue is down')
      const queue = memoryQueue()
      const down = new Proxy(queue, {
        get(target, property) {
          const value: unknown = Reflect.get(target, property, target)
          if (typeof value !== 'function') return value
          if (property !== 'emit') return value.bind(target)
          return (packet: { topic: string }, done?: (error?: Error) => void) =>
            packet.topic === 'a' ? done?.(failure) : target.emit(packet, done)
        },
      })
      const broker = await lab.open({ mq: down })
      await assert.rejects(publish(broker, message('a', 'x')), failure)
    })

    it('is closed with the broker', async lab => {
      const { plugin, calls } = watched(memoryQueue())
      await closing(await lab.open({ mq: plugin }))
      assert.equal(callsOf(calls, 'close').length, 1)
    })

    it('two brokers on one mq: clients of one get what clients of the other publish, once', async lab => {
      const queue = memoryQueue()
      const one = await lab.open({ id: 'one', mq: queue })
      const two = await lab.open({ id: 'two', mq: queue })
      const subscriber = await lab.connect(one, 'subscriber')
      await subscriber.subscribe('a/b', 1)
      const sender = await lab.connect(two, 'sender')
      for (const [messageId, qos] of [
        [1, 0],
        [2, 1],
        [3, 2],
      ] as const) {
        sender.send({ ...message('a/b', String(qos), { qos }), messageId })
        const packet = await subscriber.expect('publish')
        assert.equal(packet.payload.toString(), String(qos))
        assert.equal(packet.qos, Math.min(qos, 1))
      }
      assert.deepEqual(await subscriber.settle(), [])
    })

    it('two brokers on one mq: hooks of the receiving broker are asked, published only where it came in', async lab => {
      const queue = memoryQueue()
      const calls: string[] = []
      const options = (id: string): AedesOptions => ({
        id,
        mq: queue,
        authorizeForward: (client, packet) => {
          calls.push(`${id} forwards to ${client.id}`)
          return packet
        },
        published: (packet, _client, done) => {
          if (packet.topic === 'a') calls.push(`${id} published`)
          done()
        },
      })
      const one = await lab.open(options('one'))
      const two = await lab.open(options('two'))
      const subscriber = await lab.connect(one, 'subscriber')
      await subscriber.subscribe('a')
      await publish(two, message('a', 'x'))
      await subscriber.expect('publish')
      await turns()
      assert.deepEqual(calls, ['one forwards to subscriber', 'two published'])
    })

    it('two brokers on one mq: the same client id at the other one ends the connection here', async lab => {
      const queue = memoryQueue()
      const persistence = memoryPersistence()
      const one = await lab.open({ id: 'one', mq: queue, persistence })
      const two = await lab.open({ id: 'two', mq: queue, persistence })
      const first = await lab.connect(one, 'roamer')
      const gone = emitted<[Client]>(one, 'clientDisconnect')
      const second = await lab.connect(two, 'roamer')
      assert.deepEqual(await gone, [first.client])
      await first.expectClosed()
      assert.equal(one.connectedClients, 0)
      assert.equal(two.connectedClients, 1)
      assert.deepEqual(await second.settle(), [])
    })

    it('two brokers on one mq and persistence: a session that is away is served by either', async lab => {
      const queue = memoryQueue()
      const persistence = memoryPersistence()
      const one = await lab.open({ id: 'one', mq: queue, persistence })
      const two = await lab.open({ id: 'two', mq: queue, persistence })
      const device = await lab.connect(one, 'roamer', { clean: false })
      await device.subscribe('a', 1)
      await device.disconnect()
      await publish(one, message('a', 'x', { qos: 1 }))
      await publish(two, message('a', 'y', { qos: 1 }))
      const again = await lab.connect(two, 'roamer', { clean: false })
      assert.equal(again.connack?.sessionPresent, true)
      assert.equal((await again.expect('publish')).payload.toString(), 'x')
      assert.equal((await again.expect('publish')).payload.toString(), 'y')
    })

    it('two brokers on one mq: each knows the other by its heartbeat', async lab => {
      const queue = memoryQueue()
      const one = await lab.open({ id: 'one', mq: queue, heartbeatInterval: 10 })
      await lab.open({ id: 'two', mq: queue, heartbeatInterval: 10 })
      const began = Date.now()
      await until(() => (one.brokers['two'] ?? 0) >= began, 'the heartbeat of two is noted')
    })

    it('two brokers on one mq: the wills of a living broker are left alone', async lab => {
      const queue = memoryQueue()
      const persistence = memoryPersistence()
      const options = { mq: queue, persistence, heartbeatInterval: 10 }
      const one = await lab.open({ ...options, id: 'one' })
      const two = await lab.open({ ...options, id: 'two' })
      const seen = await listen(two, 'last/words')
      await until(() => two.brokers['one'] !== undefined, 'two knows one')
      await lab.connect(one, 'mortal', {
        will: { topic: 'last/words', payload: Buffer.from('x'), qos: 0, retain: false },
      })
      const beats = await listen(two, '$SYS/two/heartbeat')
      await until(() => beats.length >= 10, 'two has looked for lost wills')
      assert.deepEqual(seen, [])
    })
  })
}

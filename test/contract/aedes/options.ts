// The options that are numbers: time limits, size limits, and what a client that exceeds them gets.
import assert from 'node:assert/strict'
import type { Aedes, AedesOptions, Client } from 'aedes'
import { type Create, connectPacket, contract, emitted, listen, message, publish, turns, until } from './harness.ts'

type ClientAndError = [Client, Error & { errorCode?: number }]

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'options', create, oracle, it => {
    it('connectTimeout: a connection that sends no CONNECT in time gets connectionError and is closed', async lab => {
      const broker = await lab.open({ connectTimeout: 30 })
      const failed = emitted<ClientAndError>(broker, 'connectionError')
      const device = lab.attach(broker)
      const [client, error] = await failed
      assert.equal(client, device.client)
      assert.equal(error.message, 'connect did not arrive in time')
      await device.expectClosed()
      assert.deepEqual(device.inbox, [])
    })

    it('connectTimeout: has no effect on a client that has connected', async lab => {
      const broker = await lab.open({ connectTimeout: 30 })
      const device = await lab.connect(broker, 'in-time')
      const late = emitted<ClientAndError>(broker, 'connectionError')
      lab.attach(broker)
      await late
      assert.deepEqual(await device.settle(), [])
    })

    it('queueLimit: more packets behind an unanswered CONNECT get connectionError', async lab => {
      const broker = await lab.open({ queueLimit: 2, preConnect: () => {} })
      const failed = emitted<ClientAndError>(broker, 'connectionError')
      const device = lab.attach(broker)
      device.send(connectPacket('eager'), { cmd: 'pingreq' }, { cmd: 'pingreq' }, { cmd: 'pingreq' })
      const [client, error] = await failed
      assert.equal(client, device.client)
      assert.equal(error.message, 'Client queue limit reached')
      await device.expectClosed()
    })

    it('queueLimit: as many packets as allowed are answered after CONNACK', async lab => {
      const broker = await lab.open({ queueLimit: 2 })
      const device = lab.attach(broker)
      device.send(
        connectPacket('eager'),
        { cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a', qos: 0 }] },
        { cmd: 'pingreq' },
      )
      assert.equal((await device.expect('connack')).returnCode, 0)
      const answers = [(await device.next()).cmd, (await device.next()).cmd]
      assert.deepEqual(answers.sort(), ['pingresp', 'suback'])
    })

    it('queueLimit: is 42 by default', async lab => {
      const broker = await lab.open({ preConnect: () => {} })
      const failed = emitted<ClientAndError>(broker, 'connectionError')
      const pings = (count: number) => Array.from({ length: count }, () => ({ cmd: 'pingreq' as const }))
      const patient = lab.attach(broker)
      patient.send(connectPacket('patient'), ...pings(42))
      await turns()
      assert.equal(patient.isClosed, false)
      const eager = lab.attach(broker)
      eager.send(connectPacket('eager'), ...pings(43))
      assert.equal((await failed)[0], eager.client)
    })

    it('maxClientsIdLength: a longer id in MQTT 3.1 is refused with return code 2 and connectionError', async lab => {
      const broker = await lab.open()
      const failed = emitted<ClientAndError>(broker, 'connectionError')
      const device = lab.attach(broker)
      device.send(connectPacket('x'.repeat(24), { protocolId: 'MQIsdp', protocolVersion: 3 }))
      assert.equal((await device.expect('connack')).returnCode, 2)
      const [client, error] = await failed
      assert.equal(client, device.client)
      assert.equal(error.message, 'identifier rejected')
      assert.equal(error.errorCode, 2)
      await device.expectClosed()
    })

    it('maxClientsIdLength: can be raised, and does not bind MQTT 3.1.1', async lab => {
      const broker = await lab.open({ maxClientsIdLength: 30 })
      const old = await lab.connect(broker, 'x'.repeat(30), { protocolId: 'MQIsdp', protocolVersion: 3 })
      assert.equal(old.client.id, 'x'.repeat(30))
      const current = await lab.connect(broker, 'y'.repeat(100))
      assert.equal(current.client.id, 'y'.repeat(100))
    })

    it('keepaliveLimit: a longer keep alive, or none, is refused with return code 6 and connectionError', async lab => {
      const broker = await lab.open({ keepaliveLimit: 10 })
      for (const keepalive of [11, 0]) {
        const failed = emitted<ClientAndError>(broker, 'connectionError')
        const device = lab.attach(broker)
        device.send(connectPacket('lazy', { keepalive }))
        assert.equal((await device.expect('connack')).returnCode, 6)
        const [, error] = await failed
        assert.equal(error.message, 'keep alive limit exceeded')
        assert.equal(error.errorCode, 6)
        await device.expectClosed()
      }
      await lab.connect(broker, 'lively', { keepalive: 10 })
    })

    it('maxTopicLevels: a PUBLISH to a deeper topic gets clientError and the connection is closed', async lab => {
      const broker = await lab.open({ maxTopicLevels: 3 })
      const seen = await listen(broker, 'a/#')
      const device = await lab.connect(broker, 'deep')
      device.send(message('a/b/c', 'fits'))
      await until(() => seen.length === 1, 'the message that fits arrives')
      const failed = emitted<ClientAndError>(broker, 'clientError')
      device.send(message('a/b/c/d', 'too deep'))
      const [client, error] = await failed
      assert.equal(client, device.client)
      assert.match(error.message, /levels/)
      await device.expectClosed()
      assert.equal(seen.length, 1)
    })

    it('maxTopicLevels: a deeper filter in SUBSCRIBE or UNSUBSCRIBE gets clientError and the connection is closed', async lab => {
      const broker = await lab.open({ maxTopicLevels: 2 })
      const subscriber = await lab.connect(broker, 'subscriber')
      assert.equal(await subscriber.subscribe('a/b'), 0)
      let failed = emitted<ClientAndError>(broker, 'clientError')
      subscriber.send({ cmd: 'subscribe', messageId: 2, subscriptions: [{ topic: 'a/b/c', qos: 0 }] })
      assert.equal((await failed)[0], subscriber.client)
      await subscriber.expectClosed()
      const other = await lab.connect(broker, 'other')
      failed = emitted<ClientAndError>(broker, 'clientError')
      other.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['a/b/c'] })
      assert.equal((await failed)[0], other.client)
      await other.expectClosed()
    })

    it('maxTopicLevels: publish, subscribe and unsubscribe of the broker call back with an error', async lab => {
      const broker = (await lab.open({ maxTopicLevels: 2 })) as unknown as Record<
        'publish' | 'subscribe' | 'unsubscribe',
        (...values: unknown[]) => void
      >
      const ignore = () => {}
      const calls: [keyof typeof broker, unknown[]][] = [
        ['publish', [message('a/b/c', 'x')]],
        ['subscribe', ['a/b/c', ignore]],
        ['unsubscribe', ['a/b/c', ignore]],
      ]
      for (const [method, values] of calls) {
        const error = await new Promise(resolve => broker[method](...values, resolve))
        assert.ok(error instanceof Error, `${method} gives an error`)
        assert.match(error.message, /too many levels/)
      }
    })

    it('maxTopicLevels: is 100 by default and at most 100', async lab => {
      const levels = (count: number) => Array.from({ length: count }, () => 'l').join('/')
      for (const options of [{}, { maxTopicLevels: 1_000 }]) {
        const broker = await lab.open(options)
        await publish(broker, message(levels(100), 'fits'))
        await assert.rejects(publish(broker, message(levels(101), 'too deep')), /too many levels/)
      }
    })

    it('maxInflightInbound: one QoS 2 PUBLISH too many without PUBREL gets clientError and the connection is closed', async lab => {
      const broker = await lab.open({ maxInflightInbound: 2 })
      const device = await lab.connect(broker, 'greedy')
      const failed = emitted<ClientAndError>(broker, 'clientError')
      for (const messageId of [1, 2]) {
        device.send({ ...message('a', 'x', { qos: 2 }), messageId })
        assert.equal((await device.expect('pubrec')).messageId, messageId)
      }
      device.send({ ...message('a', 'x', { qos: 2 }), messageId: 3 })
      const [client, error] = await failed
      assert.equal(client, device.client)
      assert.equal(error.message, 'maxInflightInbound exceeded: 2 inbound QoS 2 messages already awaiting PUBREL')
      await device.expectClosed()
    })

    it('maxInflightInbound: PUBREL makes room again, and a repeated PUBLISH needs none', async lab => {
      const broker = await lab.open({ maxInflightInbound: 1 })
      const device = await lab.connect(broker, 'modest')
      for (const messageId of [1, 2, 3]) {
        device.send({ ...message('a', 'x', { qos: 2 }), messageId })
        await device.expect('pubrec')
        device.send({ ...message('a', 'x', { qos: 2 }), messageId, dup: true })
        await device.expect('pubrec')
        device.send({ cmd: 'pubrel', messageId })
        await device.expect('pubcomp')
      }
    })

    it('maxInflightInbound: 0 means no limit; what is no whole number means the default', async lab => {
      const publishMany = async (broker: Aedes, count: number) => {
        const device = await lab.connect(broker, 'many')
        for (let messageId = 1; messageId <= count; messageId++) {
          device.send({ ...message('a', '', { qos: 2 }), messageId })
          await device.expect('pubrec')
        }
      }
      await publishMany(await lab.open({ maxInflightInbound: 0 }), 1_001)
      const broker = await lab.open({ maxInflightInbound: Number.NaN })
      const failed = emitted<ClientAndError>(broker, 'clientError')
      await assert.rejects(publishMany(broker, 1_001))
      assert.match((await failed)[1].message, /maxInflightInbound exceeded: 1000 /)
    })

    it('drainTimeout: a client that reads nothing for so long gets clientError and is closed', async lab => {
      const broker = await lab.open({ drainTimeout: 30 })
      const device = lab.attach(broker, { paused: true })
      const ready = emitted(device.client, 'connected')
      device.send(connectPacket('frozen'))
      await ready
      const subscribed = emitted(broker, 'subscribe')
      device.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'flood', qos: 0 }] })
      await subscribed
      const failed = emitted<ClientAndError>(broker, 'clientError')
      const gone = emitted<[Client]>(broker, 'clientDisconnect')
      for (let count = 0; count < 20; count++) broker.publish(message('flood', 'x'.repeat(100_000)), () => {})
      const [client, error] = await failed
      assert.equal(client, device.client)
      assert.ok(error instanceof Error, 'an error is given')
      assert.equal((await gone)[0], device.client)
      await device.expectClosed()
    })

    it('drainTimeout: a client that reads is not touched', async lab => {
      const broker = await lab.open({ drainTimeout: 30 })
      const device = await lab.connect(broker, 'awake')
      await device.subscribe('flood')
      for (let count = 0; count < 20; count++) await publish(broker, message('flood', 'x'.repeat(100_000)))
      assert.equal((await device.settle()).length, 20)
    })

    it('heartbeatInterval: the broker tells $SYS/<id>/heartbeat so often', async lab => {
      const broker = await lab.open({ id: 'alive', heartbeatInterval: 10 })
      const seen = await listen(broker, '$SYS/alive/heartbeat')
      await until(() => seen.length >= 3, 'three heartbeats were heard')
      assert.equal(seen[0]?.payload.toString(), 'alive')
    })

    it('concurrency: more subscribers and messages than that are served all the same', async lab => {
      const broker = await lab.open({ concurrency: 2 })
      const devices = []
      for (let index = 0; index < 5; index++) {
        const device = await lab.connect(broker, `reader-${index}`)
        await device.subscribe('a')
        devices.push(device)
      }
      for (let index = 0; index < 10; index++) await publish(broker, message('a', String(index)))
      for (const device of devices) {
        const packets = await device.settle()
        assert.deepEqual(
          packets.map(packet => (packet.cmd === 'publish' ? packet.payload.toString() : packet.cmd)),
          Array.from({ length: 10 }, (_value, index) => String(index)),
        )
      }
    })

    it('decodeProtocol, trustProxy, trustedProxies: are accepted and can be read back', async lab => {
      const options: AedesOptions = {
        decodeProtocol: () => ({}),
        trustProxy: true,
        trustedProxies: ['192.0.2.1'],
      }
      const broker = (await lab.open(options)) as Aedes & AedesOptions
      assert.equal(broker.decodeProtocol, options.decodeProtocol)
      assert.equal(broker.trustProxy, true)
      assert.deepEqual(broker.trustedProxies, ['192.0.2.1'])
      await lab.connect(broker, 'any')
    })
  })
}

// What the broker tells about itself below $SYS/<id>/.
import assert from 'node:assert/strict'
import { type Create, contract, listen, message, publish, turns, until } from './harness.ts'

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, '$SYS', create, oracle, it => {
    it('new/clients and disconnect/clients have the client id', async lab => {
      const broker = await lab.open({ id: 'home' })
      const seen = await listen(broker, '$SYS/home/+/clients')
      const device = await lab.connect(broker, 'a')
      await until(() => seen.length === 1, 'new/clients is heard')
      await device.disconnect()
      await until(() => seen.length === 2, 'disconnect/clients is heard')
      assert.deepEqual(
        seen.map(packet => [packet.topic, packet.payload.toString()]),
        [
          ['$SYS/home/new/clients', 'a'],
          ['$SYS/home/disconnect/clients', 'a'],
        ],
      )
    })

    it('a refused client is told nowhere', async lab => {
      const broker = await lab.open({
        id: 'home',
        authenticate: (_client, _username, _password, done) => done(null, false),
      })
      const seen = await listen(broker, '$SYS/home/+/clients')
      const device = lab.attach(broker)
      device.send({ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, clientId: 'a' })
      await device.expect('connack')
      await device.expectClosed()
      await turns()
      assert.deepEqual(seen, [])
    })

    it('new/subscribes has client id and subscriptions as JSON', async lab => {
      const broker = await lab.open({
        id: 'home',
        authorizeSubscribe: (_client, subscription, done) =>
          done(null, subscription.topic === 'no' ? null : subscription),
      })
      const seen = await listen(broker, '$SYS/home/new/subscribes')
      const device = await lab.connect(broker, 'a')
      device.send({
        cmd: 'subscribe',
        messageId: 1,
        subscriptions: [
          { topic: 'yes', qos: 1 },
          { topic: 'no', qos: 1 },
        ],
      })
      await until(() => seen.length === 1, 'new/subscribes is heard')
      const told = JSON.parse(seen[0]?.payload.toString() ?? '')
      assert.equal(told.clientId, 'a')
      assert.deepEqual(
        told.subs.map((subscription: { topic: string; qos: number }) => [subscription.topic, subscription.qos]),
        [
          ['yes', 1],
          ['no', 128],
        ],
      )
    })

    it('new/unsubscribes has client id and filters as JSON', async lab => {
      const broker = await lab.open({ id: 'home' })
      const seen = await listen(broker, '$SYS/home/new/unsubscribes')
      const device = await lab.connect(broker, 'a')
      await device.subscribe('x')
      device.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['x'] })
      await until(() => seen.length === 1, 'new/unsubscribes is heard')
      assert.deepEqual(JSON.parse(seen[0]?.payload.toString() ?? ''), { clientId: 'a', subs: ['x'] })
    })

    it('the end of a clean session is told in new/unsubscribes', async lab => {
      const broker = await lab.open({ id: 'home' })
      const seen = await listen(broker, '$SYS/home/new/unsubscribes')
      const device = await lab.connect(broker, 'a')
      await device.subscribe('x')
      await device.disconnect()
      await until(() => seen.length === 1, 'new/unsubscribes is heard')
      assert.deepEqual(JSON.parse(seen[0]?.payload.toString() ?? ''), { clientId: 'a', subs: ['x'] })
    })

    it('clients may subscribe to it by name, and # and + do not match it [MQTT-4.7.2-1]', async lab => {
      const broker = await lab.open({ id: 'home' })
      const insider = await lab.connect(broker, 'insider')
      await insider.subscribe('$SYS/home/new/clients')
      const everything = await lab.connect(broker, 'everything')
      assert.equal((await insider.expect('publish')).payload.toString(), 'everything')
      await everything.subscribe('#')
      await everything.subscribe('+/home/new/clients', 0, 2)
      await lab.connect(broker, 'third')
      const packet = await insider.expect('publish')
      assert.equal(packet.topic, '$SYS/home/new/clients')
      assert.equal(packet.payload.toString(), 'third')
      await publish(broker, message('ordinary', 'x'))
      const got = await everything.settle()
      assert.deepEqual(
        got.map(each => each.cmd === 'publish' && each.topic),
        ['ordinary'],
      )
    })

    it('heartbeat has the id of the broker, and the event publish has null as client', async lab => {
      const broker = await lab.open({ id: 'home', heartbeatInterval: 10 })
      const clients: unknown[] = []
      broker.on('publish', (packet, client) => {
        if (packet.topic === '$SYS/home/heartbeat') clients.push(packet.payload.toString(), client)
      })
      await until(() => clients.length >= 2, 'a heartbeat is told')
      assert.deepEqual(clients.slice(0, 2), ['home', null])
    })

    it('no heartbeat comes after close', async lab => {
      const broker = await lab.open({ id: 'home', heartbeatInterval: 5 })
      const seen = await listen(broker, '$SYS/home/heartbeat')
      await until(() => seen.length >= 1, 'a heartbeat is heard')
      await new Promise<void>(resolve => broker.close(resolve))
      const before = seen.length
      await new Promise(resolve => setTimeout(resolve, 20))
      assert.equal(seen.length, before)
    })
  })
}

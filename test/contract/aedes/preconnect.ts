// preConnect: the first say in a connection.
import assert from 'node:assert/strict'
import type { Client } from 'aedes'
import type { IConnectPacket } from 'mqtt-packet'
import { type Create, connectPacket, contract, emitted, record, turns, VARIANTS, when } from './harness.ts'

type ClientAndError = [Client, Error]

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'preConnect', create, oracle, it => {
    it('preConnect gets a client in its default state and the CONNECT packet', async lab => {
      const calls: unknown[][] = []
      const broker = await lab.open({
        preConnect: (client, packet, done) => {
          calls.push([client.id, client.clean, client.version, client.connected, client.closed, { ...packet }])
          done(null, true)
        },
      })
      const device = lab.attach(broker)
      device.send(
        connectPacket('a', {
          clean: false,
          keepalive: 30,
          username: 'u',
          password: Buffer.from('p'),
          will: { topic: 'w', payload: Buffer.from('gone'), qos: 1, retain: true },
        }),
      )
      await device.expect('connack')
      const [id, clean, version, connected, closed, packet] = calls[0] as [
        null,
        boolean,
        null,
        boolean,
        boolean,
        IConnectPacket,
      ]
      assert.deepEqual([id, clean, version, connected, closed], [null, true, null, false, false])
      assert.equal(packet.cmd, 'connect')
      assert.equal(packet.clientId, 'a')
      assert.equal(packet.protocolId, 'MQTT')
      assert.equal(packet.protocolVersion, 4)
      assert.equal(packet.clean, false)
      assert.equal(packet.keepalive, 30)
      assert.equal(packet.username, 'u')
      assert.equal(packet.password?.toString(), 'p')
      assert.equal(packet.will?.topic, 'w')
      assert.equal(packet.will?.payload.toString(), 'gone')
      assert.equal(packet.will?.qos, 1)
      assert.equal(packet.will?.retain, true)
      assert.equal(calls.length, 1)
    })

    it('preConnect may change the packet', async lab => {
      const names: unknown[] = []
      const broker = await lab.open({
        preConnect: (_client, packet, done) => {
          packet.clientId = `site-${packet.clientId}`
          packet.username = 'changed'
          packet.clean = false
          done(null, true)
        },
        authenticate: (client, username, _password, done) => {
          names.push(client.id, username)
          done(null, true)
        },
      })
      const device = await lab.connect(broker, 'a', { username: 'asked' })
      assert.deepEqual(names, ['site-a', 'changed'])
      assert.equal(device.client.id, 'site-a')
      assert.equal(device.client.clean, false)
    })

    for (const variant of VARIANTS) {
      it(`preConnect that fails ${variant}: connectionError with its error, closed without CONNACK`, async lab => {
        const refusal = new Error('address is blocked')
        const asked: string[] = []
        const broker = await lab.open({
          preConnect: (_client, _packet, done) => when(variant, () => done(refusal, false)),
          authenticate: (_client, _username, _password, done) => {
            asked.push('authenticate')
            done(null, true)
          },
        })
        const events = record(broker)
        const failed = emitted<ClientAndError>(broker, 'connectionError')
        const device = lab.attach(broker)
        device.send(connectPacket('a'))
        const [client, error] = await failed
        assert.equal(client, device.client)
        assert.equal(error, refusal)
        assert.equal(client.id, null)
        await device.expectClosed()
        assert.deepEqual(device.inbox, [])
        assert.deepEqual(asked, [])
        assert.deepEqual(events, ['connectionError'])
        assert.equal(broker.connectedClients, 0)
      })

      it(`preConnect that accepts ${variant}: goes on to authenticate`, async lab => {
        const broker = await lab.open({ preConnect: (_client, _packet, done) => when(variant, () => done(null, true)) })
        await lab.connect(broker, 'a')
      })
    }

    it('preConnect with an error and true: the error counts', async lab => {
      const broker = await lab.open({ preConnect: (_client, _packet, done) => done(new Error('no'), true) })
      const device = lab.attach(broker)
      device.send(connectPacket('a'))
      await device.expectClosed()
      assert.deepEqual(device.inbox, [])
    })

    it('preConnect that says no without an error: neither authenticate nor CONNACK', async lab => {
      const broker = await lab.open({ preConnect: (_client, _packet, done) => done(null, false) })
      const events = record(broker)
      const device = lab.attach(broker)
      device.send(connectPacket('a'))
      await turns()
      assert.deepEqual(device.inbox, [])
      assert.deepEqual(
        events.filter(event => event !== 'connectionError'),
        [],
      )
      assert.equal(device.client.connected, false)
    })

    it(
      'preConnect that says no without an error closes the connection',
      async lab => {
        const broker = await lab.open({ preConnect: (_client, _packet, done) => done(null, false) })
        const device = lab.attach(broker)
        device.send(connectPacket('a'))
        await device.expectClosed()
      },
      { oracle: false },
    )
  })
}

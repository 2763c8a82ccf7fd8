// The way in: authenticate, and the events until a client is ready.
import assert from 'node:assert/strict'
import type { Client } from 'aedes'
import type { IConnackPacket } from 'mqtt-packet'
import {
  type Create,
  connectPacket,
  contract,
  emitted,
  type Hook,
  record,
  turns,
  until,
  VARIANTS,
  when,
} from './harness.ts'

type Coded = Error & { returnCode?: unknown; errorCode?: number }
type ClientAndError = [Client, Coded]

export function suite(name: string, create: Create, oracle = false): void {
  contract(name, 'connect', create, oracle, it => {
    it('runs preConnect, authenticate, client, connackSent, clientReady, connected in this order', async lab => {
      const order: string[] = []
      const broker = await lab.open({
        preConnect: (client, _packet, done) => {
          order.push('preConnect')
          client.on('connected', () => order.push('connected'))
          done(null, true)
        },
        authenticate: (_client, _username, _password, done) => {
          order.push('authenticate')
          done(null, true)
        },
      })
      for (const event of ['client', 'connackSent', 'clientReady'] as const) {
        broker.on(event as 'client', () => order.push(event))
      }
      await lab.connect(broker, 'a')
      assert.deepEqual(order, ['preConnect', 'authenticate', 'client', 'connackSent', 'clientReady', 'connected'])
    })

    it('gives each event the client, and connackSent the packet first', async lab => {
      const broker = await lab.open()
      const client = emitted<[Client]>(broker, 'client')
      const connackSent = emitted<[IConnackPacket, Client]>(broker, 'connackSent')
      const clientReady = emitted<[Client]>(broker, 'clientReady')
      const gone = emitted<[Client]>(broker, 'clientDisconnect')
      const device = await lab.connect(broker, 'a')
      assert.deepEqual(await client, [device.client])
      const [packet, sentTo] = await connackSent
      assert.equal(packet.cmd, 'connack')
      assert.equal(packet.returnCode, 0)
      assert.equal(packet.sessionPresent, false)
      assert.equal(sentTo, device.client)
      assert.deepEqual(await clientReady, [device.client])
      await device.disconnect()
      assert.deepEqual(await gone, [device.client])
    })

    it('client is connecting at client, connected at clientReady', async lab => {
      const broker = await lab.open()
      const states: [boolean, boolean][] = []
      broker.on('client', client => states.push([client.connecting, client.connected]))
      broker.on('clientReady', client => states.push([client.connecting, client.connected]))
      await lab.connect(broker, 'a')
      assert.deepEqual(states, [
        [true, false],
        [false, true],
      ])
    })

    it('authenticate gets client, username and password', async lab => {
      const calls: unknown[][] = []
      const broker = await lab.open({
        authenticate: (client, username, password, done) => {
          calls.push([client, client.id, username, password])
          done(null, true)
        },
      })
      const named = await lab.connect(broker, 'a', { username: 'u', password: Buffer.from([1, 255, 0]) })
      const nameless = await lab.connect(broker, 'b')
      const [first, second] = calls
      assert.equal(first?.[0], named.client)
      assert.deepEqual(first?.slice(1, 3), ['a', 'u'])
      assert.ok(Buffer.isBuffer(first?.[3]), 'the bytes are a Buffer')
      assert.deepEqual(first?.[3], Buffer.from([1, 255, 0]))
      assert.equal(second?.[0], nameless.client)
      assert.equal(second?.[2] ?? undefined, undefined)
      assert.equal(second?.[3] ?? undefined, undefined)
    })

    for (const variant of VARIANTS) {
      it(`authenticate that accepts ${variant}: CONNACK 0`, async lab => {
        const broker = await lab.open({
          authenticate: (_client, _username, _password, done) => when(variant, () => done(null, true)),
        })
        assert.equal((await lab.connect(broker, 'a')).connack?.returnCode, 0)
      })

      it(`authenticate that says no ${variant}: CONNACK 5, clientError, closed`, async lab => {
        const broker = await lab.open({
          authenticate: (_client, _username, _password, done) => when(variant, () => done(null, false)),
        })
        const events = record(broker)
        const failed = emitted<ClientAndError>(broker, 'clientError')
        const device = lab.attach(broker)
        device.send(connectPacket('a'))
        const connack = await device.expect('connack')
        assert.equal(connack.returnCode, 5)
        assert.equal(connack.sessionPresent, false)
        const [client, error] = await failed
        assert.equal(client, device.client)
        assert.equal(error.message, 'not authorized')
        assert.equal(error.errorCode, 5)
        await device.expectClosed()
        assert.deepEqual(events, ['connackSent 5', 'clientError a'])
        assert.equal(broker.connectedClients, 0)
        assert.equal(device.client.connected, false)
        assert.equal(device.client.closed, true)
      })
    }

    for (const [given, answered] of [
      [2, 2],
      [3, 3],
      [4, 4],
      [5, 5],
      [undefined, 5],
      [0, 5],
      [1, 5],
      [6, 5],
      ['oops', 5],
    ] as const) {
      it(`authenticate with an error of returnCode ${given}: CONNACK ${answered} and clientError with it`, async lab => {
        const refusal: Coded = new Error('who are you')
        if (given !== undefined) refusal.returnCode = given
        const authenticate: Hook<'authenticate'> = (_client, _username, _password, done) => {
          ;(done as (error: Error, successful: null) => void)(refusal, null)
        }
        const broker = await lab.open({ authenticate })
        const failed = emitted<ClientAndError>(broker, 'clientError')
        const device = lab.attach(broker)
        device.send(connectPacket('a'))
        assert.equal((await device.expect('connack')).returnCode, answered)
        const [client, error] = await failed
        assert.equal(client, device.client)
        assert.equal(error, refusal)
        assert.equal(error.errorCode, answered)
        assert.equal(error.message, 'who are you')
        await device.expectClosed()
      })
    }

    it('authenticate with an error and true: the error counts', async lab => {
      const authenticate: Hook<'authenticate'> = (_client, _username, _password, done) => {
        ;(done as (error: Error, successful: boolean) => void)(new Error('no'), true)
      }
      const broker = await lab.open({ authenticate })
      const device = lab.attach(broker)
      device.send(connectPacket('a'))
      assert.equal((await device.expect('connack')).returnCode, 5)
      await device.expectClosed()
    })

    it('authenticate with an error without a message: it gets the message of its return code', async lab => {
      const refusal: Coded = new Error('')
      refusal.returnCode = 4
      const authenticate: Hook<'authenticate'> = (_client, _username, _password, done) => {
        ;(done as (error: Error, successful: null) => void)(refusal, null)
      }
      const broker = await lab.open({ authenticate })
      const failed = emitted<ClientAndError>(broker, 'clientError')
      lab.attach(broker).send(connectPacket('a'))
      assert.equal((await failed)[1].message, 'bad user name or password')
    })

    it('authenticate that answers after the client has left: nothing comes of it', async lab => {
      let answer: (() => void) | undefined
      const broker = await lab.open({
        authenticate: (_client, _username, _password, done) => {
          answer = () => done(null, true)
        },
      })
      const events = record(broker)
      const device = lab.attach(broker)
      device.send(connectPacket('a'))
      await until(() => answer !== undefined, 'authenticate is called')
      device.cut()
      await until(() => device.client.closed, 'the client is closed')
      answer?.()
      await turns()
      assert.deepEqual(events, [])
      assert.equal(broker.connectedClients, 0)
    })

    it('a first packet that is no CONNECT: connectionError, closed', async lab => {
      const broker = await lab.open()
      const failed = emitted<ClientAndError>(broker, 'connectionError')
      const device = lab.attach(broker)
      device.send({ cmd: 'pingreq' })
      const [client, error] = await failed
      assert.equal(client, device.client)
      assert.ok(error instanceof Error, 'an error is given')
      await device.expectClosed()
      assert.deepEqual(device.inbox, [])
    })

    it('a second CONNECT: clientError, closed', async lab => {
      const broker = await lab.open()
      const device = await lab.connect(broker, 'a')
      const failed = emitted<ClientAndError>(broker, 'clientError')
      device.send(connectPacket('a'))
      const [client, error] = await failed
      assert.equal(client, device.client)
      assert.ok(error instanceof Error, 'an error is given')
      await device.expectClosed()
    })

    it('bytes that are no MQTT: connectionError before CONNECT, clientError after', async lab => {
      const broker = await lab.open()
      const stranger = lab.attach(broker)
      const strange = emitted<ClientAndError>(broker, 'connectionError')
      stranger.write(Buffer.from([0xf0, 0x00]))
      const [unknown, cause] = await strange
      assert.equal(unknown, stranger.client)
      assert.ok(cause instanceof Error, 'an error is given')
      await stranger.expectClosed()
      const device = await lab.connect(broker, 'a')
      const failed = emitted<ClientAndError>(broker, 'clientError')
      device.write(Buffer.from([0xf1, 0x00]))
      const [client, error] = await failed
      assert.equal(client, device.client)
      assert.ok(error instanceof Error, 'an error is given')
      await device.expectClosed()
    })

    it('an unknown protocol version: CONNACK 1, connectionError, closed', async lab => {
      const broker = await lab.open()
      const failed = emitted<ClientAndError>(broker, 'connectionError')
      const device = lab.attach(broker)
      device.send(connectPacket('a', { protocolVersion: 5 }))
      assert.equal((await device.expect('connack')).returnCode, 1)
      const [client, error] = await failed
      assert.equal(client, device.client)
      assert.equal(error.message, 'unacceptable protocol version')
      assert.equal(error.errorCode, 1)
      await device.expectClosed()
    })

    it('the same client id again: the first is disconnected, then the second is registered', async lab => {
      const broker = await lab.open()
      const first = await lab.connect(broker, 'twin')
      const order: [string, Client][] = []
      broker.on('clientDisconnect', client => order.push(['clientDisconnect', client]))
      broker.on('client', client => order.push(['client', client]))
      const second = await lab.connect(broker, 'twin')
      await first.expectClosed()
      assert.deepEqual(
        order.map(([event]) => event),
        ['clientDisconnect', 'client'],
      )
      assert.equal(order[0]?.[1], first.client)
      assert.equal(order[1]?.[1], second.client)
      assert.equal(broker.connectedClients, 1)
      assert.deepEqual(await second.settle(), [])
    })

    it('an empty client id gets one of its own', async lab => {
      const broker = await lab.open()
      const one = await lab.connect(broker, '')
      const two = await lab.connect(broker, '')
      assert.match(one.client.id, /^aedes_[0-9a-f-]{36}$/)
      assert.notEqual(one.client.id, two.client.id)
      assert.equal(broker.connectedClients, 2)
    })

    it('client ids that are names of object properties are as good as any', async lab => {
      const broker = await lab.open()
      const ids = ['__proto__', 'constructor', 'toString']
      for (const id of ids) assert.equal((await lab.connect(broker, id)).client.id, id)
      assert.equal(broker.connectedClients, ids.length)
    })
  })
}

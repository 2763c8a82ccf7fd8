/** What throws for one connection is the end of that connection, and of no other. */
import assert from 'node:assert/strict'
import type { EventEmitter } from 'node:events'
import { Duplex } from 'node:stream'
import { suite, test } from 'node:test'
import type { HubOptions } from '../../../src/broker/index.ts'
import { type EmbeddedHub, embedHub, payloadsOf, until } from '../../support/embedded-hub.ts'
import { connect, pingreq, puback, publish, subscribe } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'

/** A stream that fails in the middle of a write, as no well-behaved stream does. */
class FailingStream extends Duplex {
  fails = false

  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    if (this.fails) throw new Error('this write fails')
    done()
  }

  override _writev(_chunks: unknown, done: () => void): void {
    if (this.fails) throw new Error('these writes fail')
    done()
  }
}

async function assertServes({ connect: connectAs }: EmbeddedHub): Promise<void> {
  const client = await connectAs('another')
  await client.subscribe(['another', 1])
  client.send(publish({ topic: 'another', payload: 'x', qos: 1, packetId: 7 }))
  const packets = [await client.next(), await client.next()].map(({ type }) => type).sort()
  assert.deepEqual(packets, ['puback', 'publish'])
}

for (const qos of [0, 1]) {
  for (const size of [10, 20_000, 300_000]) {
    test(`a stream whose write throws, QoS ${qos}, ${size} bytes: the others get every message`, async t => {
      const embedded = await embedHub(t)
      const { hub } = embedded
      const stream = new FailingStream()
      hub.handle(stream)
      stream.push(connect({ clientId: 'failing' }))
      await until(() => hub.connectedClients === 1, 'CONNECT')
      stream.push(subscribe(1, ['t', qos]))
      await until(() => hub.sessions.get('failing')?.subscriptions.size === 1, 'SUBSCRIBE')
      const reader = await embedded.connect('reader')
      await reader.subscribe(['t', qos])
      const publisher = await embedded.connect('publisher')
      stream.fails = true
      for (let packetId = 1; packetId <= 3; packetId++) {
        publisher.send(publish({ topic: 't', payload: Buffer.alloc(size, packetId), qos, packetId }))
        assert.equal((await reader.receive()).payload[0], packetId)
        if (qos > 0) assert.equal((await publisher.expect('puback')).packetId, packetId)
      }
      await until(() => hub.clients['failing'] === undefined, 'the failing connection ends')
      await assertServes(embedded)
    })
  }
}

suite('a hook that throws or answers nonsense for one client', () => {
  const answers: Readonly<Record<string, () => unknown>> = {
    throws: () => {
      throw new Error('the hook fails')
    },
    'says no topic': () => ({ cmd: 'publish', topic: undefined, payload: Buffer.alloc(0), qos: 0, retain: false }),
    'says no payload': () => ({ cmd: 'publish', topic: 't', payload: 5, qos: 0, retain: false }),
  }
  for (const [name, answer] of Object.entries(answers)) {
    for (const qos of [0, 1]) {
      test(`authorizeForward ${name}, QoS ${qos}: others get every message`, async t => {
        const embedded = await embedHub(t, {
          authorizeForward: (client, packet) => (client.id === 'hooked' ? (answer() as typeof packet) : packet),
        })
        const clients: RawClient[] = []
        for (const clientId of ['before', 'hooked', 'behind']) {
          const client = await embedded.connect(clientId)
          await client.subscribe(['t', qos])
          clients.push(client)
        }
        const publisher = await embedded.connect('publisher')
        for (const payload of ['1', '2', '3']) {
          await publisher.publish({ topic: 't', payload, qos: 1 }).catch(() => {})
          for (const i of [0, 2]) assert.equal((await clients[i]?.receive())?.payload.toString(), payload)
        }
        const hooked = clients[1] as RawClient
        hooked.destroy()
        assert.equal(embedded.hub.clients['publisher']?.closed, false, 'the publisher has to pay')
        await until(() => embedded.hub.clients['hooked'] === undefined, 'the client leaves')
        await assertServes(embedded)
      })
    }
  }

  for (const event of ['clientError', 'clientDisconnect']) {
    test(`authorizeForward throws, and so does a listener of ${event}: others get every message`, async t => {
      const embedded = await embedHub(t, {
        authorizeForward: (client, packet) => {
          if (client.id === 'hooked') throw new Error('the hook fails')
          return packet
        },
      })
      const events: EventEmitter = embedded.hub
      events.on(event, ({ id }: { id: string }) => {
        if (id === 'hooked') throw new Error(`the listener of ${event} fails`)
      })
      const clients: RawClient[] = []
      for (const clientId of ['hooked', 'behind']) {
        const client = await embedded.connect(clientId)
        await client.subscribe(['t', 1])
        clients.push(client)
      }
      const publisher = await embedded.connect('publisher')
      for (const payload of ['1', '2', '3']) {
        publisher.send(publish({ topic: 't', payload, qos: 1 }))
        assert.equal((await clients[1]?.receive())?.payload.toString(), payload)
        await publisher.expect('puback')
      }
      clients[0]?.destroy()
      await until(() => embedded.hub.clients['hooked'] === undefined, 'the client leaves')
      await assertServes(embedded)
    })
  }

  test('authorizeForward answers nonsense once while waiting messages are sent: the session goes on', async t => {
    let answersNonsense = false
    const options: HubOptions = {
      settings: { window: 1 },
      authorizeForward: (_client, packet) => {
        if (!answersNonsense) return packet
        answersNonsense = false
        return { ...packet, topic: undefined } as unknown as typeof packet
      },
    }
    const embedded = await embedHub(t, options)
    const client = await embedded.connect('kept', { cleanSession: false })
    await client.subscribe(['t', 1])
    const publisher = await embedded.connect('publisher')
    for (const payload of ['1', '2', '3', '4']) await publisher.publish({ topic: 't', payload, qos: 1 })
    const first = await client.expect('publish')
    answersNonsense = true
    client.send(puback(first.packetId))
    await client.drain()
    await until(() => embedded.hub.clients['kept'] === undefined, 'the connection ends')

    const again = await embedded.connect('kept', { cleanSession: false })
    const payloads: string[] = []
    while (!payloads.includes('4')) payloads.push((await again.receive()).payload.toString())
    assert.ok(payloads.includes('3'), payloads.join())
    await again.quiet()
    await assertServes(embedded)
  })
})

suite('a listener that throws', () => {
  const leave = (client: RawClient): void => client.destroy()
  const causes: Readonly<Record<string, (client: RawClient) => void>> = {
    ping: client => client.send(pingreq()),
    clientError: client => client.send(Buffer.from([0xf0, 0])),
    clientDisconnect: leave,
    subscribe: client => client.send(subscribe(1, ['t', 0])),
    publish: client => client.send(publish({ topic: 't', payload: 'x', qos: 1 })),
    client: leave,
    clientReady: leave,
    connackSent: leave,
    keepaliveTimeout: () => {},
  }
  for (const [event, cause] of Object.entries(causes)) {
    test(`of ${event}: only the connection that caused it ends`, async t => {
      const embedded = await embedHub(t)
      const { hub, open } = embedded
      const neighbour = await embedded.connect('neighbour')
      await neighbour.subscribe(['to-all', 0])
      const events: EventEmitter = hub
      const listener = (...args: readonly unknown[]): void => {
        const isOwn = args.some(arg => arg instanceof Object && 'id' in arg && arg.id === 'client')
        if (isOwn) throw new Error(`the listener of ${event} fails`)
      }
      events.on(event, listener)
      const client = await open()
      client.send(connect({ clientId: 'client', keepAlive: event === 'keepaliveTimeout' ? 1 : 0 }))
      await client.nextOrClosed()
      cause(client)
      await until(() => hub.connections === 1, 'the connection ends')
      assert.equal(hub.clients['client'], undefined)
      events.off(event, listener)
      hub.publish({ cmd: 'publish', topic: 'to-all', payload: 'x', qos: 0, retain: false, dup: false }, () => {})
      assert.deepEqual(payloadsOf([await neighbour.next()]), ['x'])
      await assertServes(embedded)
    })
  }
})

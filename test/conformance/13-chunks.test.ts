import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { transports, useHub } from '../support/hub.ts'
import {
  connect,
  disconnect,
  type Packet,
  pingreq,
  puback,
  publish,
  pubrel,
  subscribe,
  unsubscribe,
} from '../support/packets.ts'

/** A whole conversation and what has to come back, without what waits for acknowledgements. */
const CONVERSATION = Buffer.concat([
  connect({ clientId: 'pieces', will: { topic: 'pieces/will', payload: 'w' }, keepAlive: 60 }),
  subscribe(1, ['pieces/a', 0], ['pieces/+/c', 1]),
  publish({ topic: 'pieces/a', payload: 'x'.repeat(200) }),
  publish({ topic: 'pieces/b', payload: 'y', qos: 1, packetId: 2 }),
  publish({ topic: 'pieces/b', payload: 'z', qos: 2, packetId: 3 }),
  pubrel(3),
  puback(9),
  unsubscribe(4, 'pieces/a'),
  publish({ topic: 'pieces/a', payload: 'unheard' }),
  pingreq(),
  disconnect(),
])

const summary = (packet: Packet): string =>
  packet.type === 'publish' ? `publish ${packet.payload.length}` : packet.type

const EXPECTED = ['connack', 'suback', 'publish 200', 'puback', 'pubrec', 'pubcomp', 'unsuback', 'pingresp']

for (const transport of transports) {
  describe(`Packets and chunks on ${transport}`, { concurrency: 1 }, () => {
    const hub = useHub({ transports: [transport] })

    for (const size of [1, 2, 3, 7, 64, 4096]) {
      test(`[MQTT-6.0.0-2] [MQTT-7.1.1-1] a conversation in pieces of ${size} bytes`, async t => {
        const client = await hub.open(t, transport)
        await client.sendInPieces(CONVERSATION, size)
        assert.deepEqual((await client.drain()).map(summary).sort(), [...EXPECTED].sort())
      })
    }

    test('a hundred packets in one chunk', async t => {
      const client = await hub.connect(t, { transport })
      await client.subscribe(['hundred/+', 1])
      const packets = Array.from({ length: 100 }, (_, i) =>
        publish({ topic: `hundred/${i % 7}`, payload: `${i}`, qos: i % 2, packetId: i + 1 }),
      )
      client.send(Buffer.concat(packets))
      let acknowledged = 0
      const payloads: string[] = []
      for (let i = 0; i < 150; i++) {
        const received = await client.next()
        if (received.type === 'puback') acknowledged++
        else if (received.type === 'publish') payloads.push(received.payload.toString())
      }
      assert.equal(acknowledged, 50)
      assert.equal(new Set(payloads).size, 100)
      await client.quiet()
    })

    test('a hundred packets in one chunk together with CONNECT, up to what may wait for CONNACK', async t => {
      const client = await hub.open(t, transport)
      client.send(Buffer.concat([connect({ clientId: 'eager' }), ...Array.from({ length: 40 }, pingreq)]))
      assert.equal((await client.expect('connack')).returnCode, 0)
      for (let i = 0; i < 40; i++) await client.expect('pingresp')
    })

    test('a packet of 32,000 bytes in pieces, followed by small ones', async t => {
      const client = await hub.connect(t, { transport })
      await client.subscribe(['large', 0])
      const payload = Buffer.alloc(32_000, 'x')
      await client.sendInPieces(Buffer.concat([publish({ topic: 'large', payload }), pingreq(), pingreq()]), 1000)
      assert.deepEqual((await client.receive()).payload, payload)
      await client.expect('pingresp')
      await client.expect('pingresp')
    })
  })
}

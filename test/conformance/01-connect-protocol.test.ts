import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { transports, useHub } from '../support/hub.ts'
import {
  connect,
  disconnect,
  field,
  packet,
  pingreq,
  puback,
  pubcomp,
  publish,
  pubrec,
  pubrel,
  subscribe,
  u16,
  unsubscribe,
} from '../support/packets.ts'

const NOT_CONNECT: Record<string, Buffer> = {
  CONNACK: packet(0x20, Buffer.from([0, 0])),
  PUBLISH: publish({ topic: 'a', payload: 'x' }),
  PUBACK: puback(1),
  PUBREC: pubrec(1),
  PUBREL: pubrel(1),
  PUBCOMP: pubcomp(1),
  SUBSCRIBE: subscribe(1, ['a', 0]),
  SUBACK: packet(0x90, u16(1), Buffer.from([0])),
  UNSUBSCRIBE: unsubscribe(1, 'a'),
  UNSUBACK: packet(0xb0, u16(1)),
  PINGREQ: pingreq(),
  PINGRESP: packet(0xd0),
  DISCONNECT: disconnect(),
}

for (const transport of transports) {
  describe(`CONNECT and its protocol on ${transport}`, { concurrency: true }, () => {
    const hub = useHub({ transports: [transport] })

    for (const [name, bytes] of Object.entries(NOT_CONNECT)) {
      test(`[MQTT-3.1.0-1] the first packet must be CONNECT: ${name} ends the connection`, async t => {
        const client = await hub.open(t, transport)
        client.send(bytes)
        await client.closed()
      })
    }

    test('[MQTT-3.1.0-2] a second CONNECT ends the connection', async t => {
      const client = await hub.connect(t, { transport, clientId: 'twice' })
      client.send(connect({ clientId: 'twice' }))
      await client.closed()
    })

    test('[MQTT-3.1.0-2] a second CONNECT with another client identifier ends the connection', async t => {
      const client = await hub.connect(t, { transport, clientId: 'first-name' })
      client.send(connect({ clientId: 'second-name' }))
      await client.closed()
    })

    test('[MQTT-3.1.0-2] a second CONNECT in the same chunk ends the connection', async t => {
      const client = await hub.open(t, transport)
      client.send(Buffer.concat([connect({ clientId: 'chunk' }), connect({ clientId: 'chunk' })]))
      const before = await client.drain()
      assert.ok(before.length <= 1, 'at most one CONNACK')
    })

    for (const protocolName of ['', 'MQT', 'mqtt', 'MQTTX', 'HTTP', 'MQIsdpX']) {
      test(`[MQTT-3.1.2-1] protocol name '${protocolName}' is not served`, async t => {
        const client = await hub.open(t, transport)
        client.send(connect({ protocolName, clientId: 'name' }))
        await client.closed()
      })
    }

    for (const protocolLevel of [0, 1, 2, 5, 6, 127, 255]) {
      test(`[MQTT-3.1.2-2] [MQTT-3.2.2-5] protocol level ${protocolLevel} gets CONNACK 1 and the end`, async t => {
        const client = await hub.open(t, transport)
        client.send(connect({ protocolLevel, clientId: 'level' }))
        assert.deepEqual(await client.next(), { type: 'connack', sessionPresent: false, returnCode: 1 })
        await client.closed()
      })
    }

    test('[MQTT-3.1.2-2] protocol level 5 with the properties of MQTT 5 gets CONNACK 1', async t => {
      const client = await hub.open(t, transport)
      const noProperties = Buffer.from([0])
      client.send(connect({ protocolLevel: 5, payload: [noProperties, field('five')] }))
      assert.deepEqual(await client.next(), { type: 'connack', sessionPresent: false, returnCode: 1 })
      await client.closed()
    })

    test('[MQTT-3.1.2-3] the reserved connect flag ends the connection', async t => {
      const client = await hub.open(t, transport)
      client.send(connect({ clientId: 'reserved', flags: 0x03 }))
      await client.closed()
    })

    test('[MQTT-3.1.4-4] [MQTT-3.2.0-1] a valid CONNECT gets CONNACK 0, and it comes first', async t => {
      const client = await hub.open(t, transport)
      client.send(connect({ clientId: 'valid' }), subscribe(7, ['first/#', 1]), pingreq())
      assert.deepEqual(await client.next(), { type: 'connack', sessionPresent: false, returnCode: 0 })
      assert.deepEqual(await client.next(), { type: 'suback', packetId: 7, returnCodes: [1] })
      await client.expect('pingresp')
    })

    test('[MQTT-3.1.4-5] [MQTT-3.2.2-4] what follows a rejected CONNECT is not processed', async t => {
      const witness = await hub.connect(t, { transport })
      await witness.subscribe(['rejected/#', 0])
      const client = await hub.open(t, transport)
      const rejected = connect({ protocolLevel: 9, clientId: 'rejected' })
      const will = connect({ clientId: 'rejected', will: { topic: 'rejected/will' } })
      client.send(Buffer.concat([rejected, publish({ topic: 'rejected/1' }), will, publish({ topic: 'rejected/2' })]))
      assert.deepEqual(await client.next(), { type: 'connack', sessionPresent: false, returnCode: 1 })
      await client.closed()
      await witness.quiet()
    })

    test('[MQTT-3.1.4-5] the will of a rejected CONNECT is not published', async t => {
      const witness = await hub.connect(t, { transport })
      await witness.subscribe(['rejected-will', 0])
      const client = await hub.open(t, transport)
      client.send(connect({ protocolLevel: 9, clientId: 'rejected', will: { topic: 'rejected-will' } }))
      await client.expect('connack')
      await client.closed()
      await witness.nothing()
    })
  })
}

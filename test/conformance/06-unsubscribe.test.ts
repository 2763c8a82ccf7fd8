import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { useHub } from '../support/hub.ts'
import { packet, puback, pubcomp, publish, pubrec, u16, unsubscribe } from '../support/packets.ts'

describe('UNSUBSCRIBE', { concurrency: true }, () => {
  const hub = useHub()

  test('[MQTT-3.10.4-4] [MQTT-2.3.1-7] UNSUBACK comes with the packet identifier of UNSUBSCRIBE', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['un/acknowledged', 0])
    for (const packetId of [1, 256, 65535]) {
      client.send(unsubscribe(packetId, 'un/acknowledged'))
      assert.deepEqual(await client.next(), { type: 'unsuback', packetId })
    }
  })

  test('[MQTT-3.10.4-5] UNSUBACK comes although there is no such subscription', async t => {
    const client = await hub.connect(t)
    client.send(unsubscribe(2, 'un/known', '+/un/known', '#'))
    assert.deepEqual(await client.next(), { type: 'unsuback', packetId: 2 })
  })

  test('[MQTT-3.10.4-1] only the filter that is the same byte for byte is removed', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['un/bytes/+', 0])
    client.send(unsubscribe(1, 'un/bytes/#', 'un/bytes/a', 'un/Bytes/+', 'un/bytes/+/', 'un/bytes', '#', '+/bytes/+'))
    await client.expect('unsuback')
    client.send(publish({ topic: 'un/bytes/a' }))
    assert.equal((await client.receive()).topic, 'un/bytes/a')
    client.send(unsubscribe(2, 'un/bytes/+'))
    await client.expect('unsuback')
    client.send(publish({ topic: 'un/bytes/a' }))
    await client.quiet()
  })

  test('[MQTT-3.10.4-1] a wildcard filter is removed and the filters it covers stay', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['un/stay/#', 0], ['un/stay/a', 0])
    client.send(unsubscribe(1, 'un/stay/#'))
    await client.expect('unsuback')
    client.send(publish({ topic: 'un/stay/b' }), publish({ topic: 'un/stay/a' }))
    assert.equal((await client.receive()).topic, 'un/stay/a')
    await client.quiet()
  })

  test('[MQTT-3.10.4-2] nothing is delivered after UNSUBACK, to others it is', async t => {
    const client = await hub.connect(t)
    const other = await hub.connect(t)
    for (const each of [client, other]) await each.subscribe(['un/stop', 1])
    client.send(unsubscribe(1, 'un/stop'))
    await client.expect('unsuback')
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: 'un/stop', qos: 1 })
    await other.receive()
    await client.quiet()
  })

  test('[MQTT-3.10.4-3] deliveries of QoS 1 and 2 that have started are completed', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['un/complete/#', 2])
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: 'un/complete/1', qos: 1 })
    await publisher.publish({ topic: 'un/complete/2', qos: 2 })
    const one = await client.expect('publish')
    const two = await client.expect('publish')
    client.send(unsubscribe(1, 'un/complete/#'))
    await client.expect('unsuback')
    client.send(puback(one.packetId), pubrec(two.packetId))
    assert.equal((await client.expect('pubrel')).packetId, two.packetId)
    client.send(pubcomp(two.packetId))
    await client.quiet()
  })

  test('[MQTT-3.10.4-3] also when the client reconnects before it acknowledges', async t => {
    const clientId = 'un-reconnect'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['un/reconnect', 1])
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: 'un/reconnect', payload: 'started', qos: 1 })
    const { packetId } = await first.expect('publish')
    first.send(unsubscribe(1, 'un/reconnect'))
    await first.expect('unsuback')
    first.destroy()
    await publisher.publish({ topic: 'un/reconnect', payload: 'too late', qos: 1 })
    const again = await hub.connect(t, { clientId, cleanSession: false })
    const message = await again.receive()
    assert.deepEqual([message.payload.toString(), message.packetId], ['started', packetId])
    await again.quiet()
  })

  test('[MQTT-3.10.4-6] several filters in one UNSUBSCRIBE get one UNSUBACK and are all removed', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['un/several/a', 0], ['un/several/b/+', 1], ['un/several/c/#', 2], ['un/several/d', 0])
    client.send(unsubscribe(9, 'un/several/a', 'un/several/b/+', 'un/unknown', 'un/several/c/#'))
    assert.deepEqual(await client.next(), { type: 'unsuback', packetId: 9 })
    for (const topic of ['un/several/a', 'un/several/b/x', 'un/several/c/x']) client.send(publish({ topic }))
    await client.quiet()
    client.send(publish({ topic: 'un/several/d' }))
    assert.equal((await client.receive()).topic, 'un/several/d')
  })

  test('a removed subscription can be made again', async t => {
    const client = await hub.connect(t)
    for (let i = 0; i < 3; i++) {
      await client.subscribe(['un/again', 0])
      client.send(publish({ topic: 'un/again' }))
      await client.receive()
      client.send(unsubscribe(1, 'un/again'))
      await client.expect('unsuback')
    }
    client.send(publish({ topic: 'un/again' }))
    await client.quiet()
  })

  for (const first of [0xa0, 0xa1, 0xa3, 0xa6, 0xaa, 0xaf]) {
    test(`[MQTT-3.10.1-1] [MQTT-2.2.2-2] UNSUBSCRIBE that starts with ${first} ends the connection`, async t => {
      const client = await hub.connect(t)
      const bytes = unsubscribe(1, 'flags')
      bytes[0] = first
      client.send(bytes)
      await client.closed()
    })
  }

  for (const [name, filter] of [
    ['[MQTT-3.10.3-1] [MQTT-1.5.3-1] a filter that is no UTF-8', Buffer.from([0x80])],
    ['[MQTT-3.10.3-1] [MQTT-1.5.3-1] a filter with a surrogate', Buffer.from([0xed, 0xa0, 0x80])],
    ['[MQTT-3.10.3-1] [MQTT-1.5.3-2] a filter with U+0000', 'a\0'],
  ] as const) {
    test(`${name} ends the connection`, async t => {
      const client = await hub.connect(t)
      client.send(unsubscribe(1, filter))
      await client.closed()
    })
  }

  test('[MQTT-3.10.3-2] UNSUBSCRIBE without filters ends the connection', async t => {
    const client = await hub.connect(t)
    client.send(unsubscribe(1))
    await client.closed()
  })

  test('[MQTT-2.3.1-1] UNSUBSCRIBE with packet identifier 0 ends the connection', async t => {
    const client = await hub.connect(t)
    client.send(unsubscribe(0, 'zero'))
    await client.closed()
  })

  for (const [name, body] of [
    ['no packet identifier', []],
    ['half a packet identifier', [Buffer.from([0])]],
    ['a filter cut short', [u16(1), u16(30), Buffer.from('abc')]],
    ['half a filter length', [u16(1), Buffer.from([0])]],
  ] as const) {
    test(`[MQTT-4.8.0-1] UNSUBSCRIBE with ${name} ends the connection`, async t => {
      const client = await hub.connect(t)
      client.send(packet(0xa2, ...body))
      await client.closed()
    })
  }
})

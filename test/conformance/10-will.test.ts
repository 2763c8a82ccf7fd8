import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { useHub } from '../support/hub.ts'
import { packet, publish, subscribe } from '../support/packets.ts'

describe('Wills', { concurrency: true }, () => {
  const hub = useHub()

  for (const qos of [0, 1, 2]) {
    test(`[MQTT-3.1.2-8] [MQTT-3.1.2-9] a will of QoS ${qos} is published when the connection is cut`, async t => {
      const topic = `will/cut/${qos}`
      const witness = await hub.connect(t)
      await witness.subscribe([topic, 2])
      const client = await hub.connect(t, { will: { topic, payload: 'gone', qos } })
      await witness.quiet() // not before the connection ends
      client.destroy()
      const will = await witness.receive()
      assert.deepEqual([will.topic, will.payload.toString(), will.qos, will.retain], [topic, 'gone', qos, false])
      await witness.nothing(50)
    })
  }

  test('[MQTT-3.1.2-8] an empty will message is published', async t => {
    const witness = await hub.connect(t)
    await witness.subscribe(['will/empty', 0])
    const client = await hub.connect(t, { will: { topic: 'will/empty' } })
    client.destroy()
    assert.equal((await witness.receive()).payload.length, 0)
  })

  test('[MQTT-3.1.2-8] the will is published when the client ends its side without DISCONNECT', async t => {
    const witness = await hub.connect(t)
    await witness.subscribe(['will/end', 0])
    const client = await hub.connect(t, { will: { topic: 'will/end' } })
    client.socket.end()
    assert.equal((await witness.receive()).topic, 'will/end')
    await client.closed()
  })

  for (const [name, bytes] of [
    ['an unknown packet type', packet(0xf0)],
    ['wrong flags', packet(0xc1)],
    ['QoS 3', packet(0x36, Buffer.from('0001610001', 'hex'))],
    ['an empty SUBSCRIBE', subscribe(1)],
    ['a topic with wildcard', publish({ topic: '#' })],
    ['a remaining length of five bytes', Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01])],
  ] as const) {
    test(`[MQTT-3.1.2-8] [MQTT-4.8.0-1] the will is published when the server ends the connection for ${name}`, async t => {
      const topic = `will/violation/${name.replaceAll(' ', '-')}`
      const witness = await hub.connect(t)
      await witness.subscribe([topic, 0])
      const client = await hub.connect(t, { will: { topic, payload: 'violation' } })
      client.send(bytes)
      await client.closed()
      assert.equal((await witness.receive()).payload.toString(), 'violation')
    })
  }

  test('[MQTT-3.1.2-8] the will is published when the client identifier is taken over', async t => {
    const witness = await hub.connect(t)
    await witness.subscribe(['will/taken', 0])
    const clientId = 'will-taken'
    const old = await hub.connect(t, { clientId, will: { topic: 'will/taken', payload: 'old' } })
    const young = await hub.connect(t, { clientId, will: { topic: 'will/taken', payload: 'young' } })
    await old.closed()
    assert.equal((await witness.receive()).payload.toString(), 'old')
    await young.quiet()
    await witness.nothing(50)
    young.destroy()
    assert.equal((await witness.receive()).payload.toString(), 'young')
  })

  test('[MQTT-3.1.2-10] a will that was published is gone: the next connection has none', async t => {
    const witness = await hub.connect(t)
    await witness.subscribe(['will/once', 0])
    const clientId = 'will-once'
    const first = await hub.connect(t, { clientId, cleanSession: false, will: { topic: 'will/once' } })
    first.destroy()
    await witness.receive()
    const second = await hub.connect(t, { clientId, cleanSession: false })
    second.destroy()
    await witness.nothing()
  })

  test('[MQTT-3.1.2-10] [MQTT-3.14.4-3] a will that DISCONNECT removed does not come with the next connection', async t => {
    const witness = await hub.connect(t)
    await witness.subscribe(['will/removed', 0])
    const clientId = 'will-removed'
    const first = await hub.connect(t, { clientId, cleanSession: false, will: { topic: 'will/removed' } })
    await first.disconnect()
    const second = await hub.connect(t, { clientId, cleanSession: false })
    second.destroy()
    await witness.nothing()
  })

  test('[MQTT-3.1.2-12] without will flag nothing is published', async t => {
    const witness = await hub.connect(t)
    await witness.subscribe(['will/none/#', 0])
    const client = await hub.connect(t, { clientId: 'will-none' })
    await client.publish({ topic: 'will/none/live' })
    await witness.receive()
    client.destroy()
    await witness.nothing()
  })

  test('[MQTT-3.1.2-16] will retain 0: later subscribers get nothing, what is retained stays', async t => {
    const client = await hub.connect(t)
    await client.publish({ topic: 'will/kept', payload: 'kept', retain: true })
    const witness = await hub.connect(t)
    await witness.subscribe(['will/not-retained', 0], ['will/kept', 0])
    await witness.receive()
    for (const topic of ['will/not-retained', 'will/kept']) {
      const dying = await hub.connect(t, { will: { topic, payload: 'will' } })
      dying.destroy()
      assert.equal((await witness.receive()).retain, false)
    }
    const late = await hub.connect(t)
    await late.subscribe(['will/not-retained', 0], ['will/kept', 0])
    assert.equal((await late.receive()).payload.toString(), 'kept')
    await late.quiet()
  })

  for (const qos of [0, 1, 2]) {
    test(`[MQTT-3.1.2-17] will retain 1: a will of QoS ${qos} is retained for later subscribers`, async t => {
      const topic = `will/retained/${qos}`
      const witness = await hub.connect(t)
      await witness.subscribe([topic, 0])
      const dying = await hub.connect(t, { will: { topic, payload: 'will', qos, retain: true } })
      dying.destroy()
      assert.equal((await witness.receive()).retain, false)
      const late = await hub.connect(t)
      await late.subscribe([topic, 2])
      const message = await late.receive()
      assert.deepEqual([message.payload.toString(), message.qos, message.retain], ['will', qos, true])
    })
  }

  test('[MQTT-3.1.2-17] an empty retained will removes what is retained', async t => {
    const client = await hub.connect(t)
    await client.publish({ topic: 'will/clears', payload: 'kept', retain: true })
    await client.subscribe(['will/clears', 0])
    await client.receive()
    const dying = await hub.connect(t, { will: { topic: 'will/clears', retain: true } })
    dying.destroy()
    await client.receive()
    const late = await hub.connect(t)
    await late.subscribe(['will/clears', 0])
    await late.quiet()
  })

  test('[MQTT-3.1.2-8] a will of QoS 1 waits for a client that is away', async t => {
    const clientId = 'will-waits'
    const away = await hub.connect(t, { clientId, cleanSession: false })
    await away.subscribe(['will/waits', 1])
    await away.disconnect()
    const witness = await hub.connect(t)
    await witness.subscribe(['will/waits', 0])
    const dying = await hub.connect(t, { will: { topic: 'will/waits', qos: 1 } })
    dying.destroy()
    await witness.receive()
    const back = await hub.connect(t, { clientId, cleanSession: false })
    assert.equal((await back.receive()).topic, 'will/waits')
  })
})

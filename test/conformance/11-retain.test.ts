import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { useHub } from '../support/hub.ts'
import { publish, subscribe } from '../support/packets.ts'

describe('Retained messages', { concurrency: true }, () => {
  const hub = useHub()

  for (const qos of [0, 1, 2]) {
    test(`[MQTT-3.3.1-5] [MQTT-3.3.1-8] a retained message of QoS ${qos} is stored with its QoS`, async t => {
      const client = await hub.connect(t)
      await client.publish({ topic: `retained/${qos}`, payload: 'kept', qos, retain: true })
      for (const granted of [2, 1, 0]) {
        const late = await hub.connect(t)
        await late.subscribe([`retained/${qos}`, granted])
        const message = await late.receive()
        assert.deepEqual(
          [message.payload.toString(), message.retain, message.qos, message.dup],
          ['kept', true, Math.min(qos, granted), false],
        )
        await late.quiet()
      }
    })
  }

  test('[MQTT-3.3.1-6] the last message of each matching topic comes, and no other', async t => {
    const client = await hub.connect(t)
    for (const topic of ['each/a', 'each/b', 'each/b/c', 'eachother/a']) {
      for (const payload of ['first', `last of ${topic}`]) await client.publish({ topic, payload, retain: true })
    }
    const expected: [string, string[]][] = [
      ['each/+', ['each/a', 'each/b']],
      ['each/#', ['each/a', 'each/b', 'each/b/c']],
      ['+/a', ['each/a', 'eachother/a']],
      ['each/b', ['each/b']],
      ['each', []],
    ]
    for (const [filter, topics] of expected) {
      const late = await hub.connect(t)
      await late.subscribe([filter, 0])
      const received = await late.everything()
      assert.deepEqual(new Set(received.map(message => message.type === 'publish' && message.topic)), new Set(topics))
      assert.equal(received.length, topics.length)
      for (const message of received) {
        assert.ok(message.type === 'publish')
        assert.equal(message.payload.toString(), `last of ${message.topic}`)
      }
    }
  })

  test('[MQTT-3.3.1-7] a retained message of QoS 0 takes the place of one of QoS 1', async t => {
    const client = await hub.connect(t)
    await client.publish({ topic: 'replaced', payload: 'old', qos: 1, retain: true })
    await client.publish({ topic: 'replaced', payload: 'new', qos: 0, retain: true })
    await client.subscribe(['replaced', 1])
    for (const message of await client.everything()) {
      assert.ok(message.type === 'publish')
      assert.deepEqual([message.payload.toString(), message.qos], ['new', 0])
    }
  })

  test('[MQTT-3.3.1-9] live deliveries have RETAIN 0, also to a client that has got the retained one', async t => {
    const client = await hub.connect(t)
    await client.publish({ topic: 'live', payload: '1', retain: true })
    await client.subscribe(['live', 0])
    assert.equal((await client.receive()).retain, true)
    client.send(publish({ topic: 'live', payload: '2', retain: true }))
    const message = await client.receive()
    assert.deepEqual([message.payload.toString(), message.retain], ['2', false])
  })

  for (const qos of [0, 1, 2]) {
    test(`[MQTT-3.3.1-10] [MQTT-3.3.1-11] an empty retained message of QoS ${qos} is delivered, removes, is not stored`, async t => {
      const topic = `removed/${qos}`
      const client = await hub.connect(t)
      await client.publish({ topic, payload: 'kept', qos: 1, retain: true })
      const live = await hub.connect(t)
      await live.subscribe([topic, 2])
      await live.receive()
      await client.publish({ topic, qos, retain: true })
      const message = await live.receive()
      assert.deepEqual([message.payload.length, message.qos, message.retain], [0, qos, false])
      const late = await hub.connect(t)
      await late.subscribe([topic, 2])
      await late.quiet()
    })
  }

  test('[MQTT-3.3.1-11] an empty message is not stored where nothing was', async t => {
    const client = await hub.connect(t)
    await client.publish({ topic: 'never', retain: true })
    await client.subscribe(['never', 0])
    await client.quiet()
  })

  test('[MQTT-3.3.1-12] RETAIN 0 does not store', async t => {
    const client = await hub.connect(t)
    await client.publish({ topic: 'unstored', payload: 'live', qos: 1 })
    await client.subscribe(['unstored', 1])
    await client.quiet()
  })

  test('[MQTT-3.3.1-12] RETAIN 0 does not replace, and empty it does not remove', async t => {
    const client = await hub.connect(t)
    await client.publish({ topic: 'untouched', payload: 'kept', qos: 1, retain: true })
    await client.publish({ topic: 'untouched', payload: 'live', qos: 1 })
    await client.publish({ topic: 'untouched', qos: 1 })
    await client.publish({ topic: 'untouched', qos: 0 })
    await client.subscribe(['untouched', 1])
    assert.equal((await client.receive()).payload.toString(), 'kept')
    await client.quiet()
  })

  test('[MQTT-3.3.1-6] SUBACK comes, then the retained messages, then live ones of the same topic', async t => {
    const client = await hub.connect(t)
    await client.publish({ topic: 'sequence', payload: 'kept', retain: true })
    client.send(Buffer.concat([subscribe(1, ['sequence', 0]), publish({ topic: 'sequence', payload: 'live' })]))
    const payloads: string[] = []
    for (const received of await client.everything()) {
      if (received.type === 'publish') payloads.push(received.payload.toString())
    }
    assert.deepEqual(payloads, ['kept', 'live'])
  })

  test('[MQTT-3.3.1-6] a resumed session brings no retained messages, a new SUBSCRIBE does', async t => {
    const client = await hub.connect(t)
    await client.publish({ topic: 'resumed', payload: 'kept', retain: true })
    const clientId = 'resumes'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['resumed', 0])
    await first.receive()
    await first.disconnect()
    const second = await hub.connect(t, { clientId, cleanSession: false })
    await second.quiet()
    await second.subscribe(['resumed', 0])
    assert.equal((await second.receive()).payload.toString(), 'kept')
  })

  test('a retained message of QoS 1 is sent again until it is acknowledged, like any other', async t => {
    const client = await hub.connect(t)
    await client.publish({ topic: 'unacknowledged', payload: 'kept', qos: 1, retain: true })
    const clientId = 'retained-again'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['unacknowledged', 1])
    const { packetId } = await first.expect('publish')
    first.destroy()
    const second = await hub.connect(t, { clientId, cleanSession: false })
    const again = await second.receive()
    assert.deepEqual([again.packetId, again.dup, again.retain], [packetId, true, true])
  })

  test('200 retained messages come with one subscription', async t => {
    const client = await hub.connect(t)
    for (let i = 0; i < 200; i++) client.send(publish({ topic: `many/${i}`, payload: `${i}`, retain: true }))
    await client.quiet()
    const late = await hub.connect(t)
    await late.subscribe(['many/+', 0])
    const seen = new Set<string>()
    for (let i = 0; i < 200; i++) seen.add((await late.receive()).topic)
    assert.equal(seen.size, 200)
    await late.quiet()
  })
})

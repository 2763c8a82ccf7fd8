import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ownHubOnly, useHub } from '../support/hub.ts'
import { publish, subscribe } from '../support/packets.ts'

const VALID: Record<string, string> = {
  '255 bytes': 'x'.repeat(255),
  '255 bytes in 85 characters': '中'.repeat(85),
  'nine levels': 'a/b/c/d/e/f/g/h/i',
  'eight slashes': '/'.repeat(8),
  'a dollar behind a slash': '/$x',
  'a dollar inside': 'a$b',
  'a blank': ' ',
  'blanks around': ' b lank ',
  'an empty level': 'a//b',
  Chinese: '中国',
}

const INVALID: Record<string, string> = {
  '256 bytes': 'x'.repeat(256),
  '256 bytes in 86 characters': `${'中'.repeat(85)}x`,
  'ten levels': 'a/b/c/d/e/f/g/h/i/j',
  'nine slashes': '/'.repeat(9),
  'a dollar': '$',
  'a dollar and more': '$123',
  'a dollar topic with levels': '$abc/123',
}

describe('OpenEdge: which topics are valid', { concurrency: true, skip: ownHubOnly }, () => {
  const hub = useHub()

  for (const [name, topic] of Object.entries(VALID)) {
    test(`${name}: can be subscribed and published to`, async t => {
      const client = await hub.connect(t)
      await client.subscribe([topic, 1])
      await client.quiet()
      client.send(publish({ topic }))
      assert.equal((await client.receive()).topic, topic)
    })
  }

  for (const [name, topic] of Object.entries(INVALID)) {
    for (const qos of [0, 1, 2]) {
      test(`${name}: publishing at QoS ${qos} ends the connection, with the will`, async t => {
        const will = { topic: `will/${name.replaceAll(' ', '-')}/${qos}` }
        const witness = await hub.connect(t)
        await witness.subscribe([will.topic, 0])
        const client = await hub.connect(t, { will })
        client.send(publish({ topic, qos }))
        await client.closed()
        assert.equal((await witness.receive()).topic, will.topic)
      })
    }
  }

  for (const name of ['256 bytes', '256 bytes in 86 characters', 'ten levels', 'nine slashes']) {
    test(`${name}: subscribing gets 0x80`, async t => {
      const client = await hub.connect(t)
      client.send(subscribe(1, [INVALID[name] as string, 1]))
      assert.deepEqual(await client.next(), { type: 'suback', packetId: 1, returnCodes: [0x80] })
    })
  }

  for (const filter of ['', 'a#', '#/a', 'a/#/b', '##', '+a', 'a+', '++', 'a/+b', 'a/+#', 'a/b+/c', '/#/']) {
    test(`the filter '${filter}' gets 0x80, its neighbours are granted`, async t => {
      const client = await hub.connect(t)
      client.send(subscribe(1, ['fine/before', 1], [filter, 1], ['fine/behind', 2]))
      assert.deepEqual(await client.next(), { type: 'suback', packetId: 1, returnCodes: [1, 0x80, 2] })
    })
  }

  test('a wildcard filter of nine levels is valid, of ten it is not', async t => {
    const client = await hub.connect(t)
    client.send(subscribe(1, ['+/+/+/+/+/+/+/+/+', 0], ['+/+/+/+/+/+/+/+/+/+', 0], ['1/2/3/4/5/6/7/8/#', 0]))
    assert.deepEqual((await client.expect('suback')).returnCodes, [0, 0x80, 0])
  })
})

describe('OpenEdge: the largest packet', { concurrency: true, skip: ownHubOnly }, () => {
  const hub = useHub()
  // PUBLISH to "size" at QoS 0: 1 + 3 bytes of fixed header, 2 + 4 of topic.
  const OVERHEAD = 10

  test('a packet of 32 KiB, header included, is delivered', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['size', 0])
    client.send(publish({ topic: 'size', payload: Buffer.alloc(32_768 - OVERHEAD) }))
    assert.equal((await client.receive()).payload.length, 32_768 - OVERHEAD)
  })

  test('one byte more ends the connection, and nothing is delivered', async t => {
    const witness = await hub.connect(t)
    await witness.subscribe(['size', 0])
    const client = await hub.connect(t)
    client.send(publish({ topic: 'size', payload: Buffer.alloc(32_769 - OVERHEAD) }))
    await client.closed()
    for (const received of await witness.everything()) {
      assert.ok(received.type === 'publish' && received.payload.length !== 32_769 - OVERHEAD)
    }
  })

  test('a packet that is too large ends the connection when its length is known, not when it is complete', async t => {
    const client = await hub.connect(t)
    client.send(publish({ topic: 'size', payload: Buffer.alloc(32_769 - OVERHEAD) }).subarray(0, 4))
    await client.closed()
  })
})

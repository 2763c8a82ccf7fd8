import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OPEN_TO_ALL, ownHubOnly, useHub } from '../support/hub.ts'
import { publish, subscribe } from '../support/packets.ts'

const MATCHES: Record<string, { yes: string[]; no: string[] }> = {
  '#': { yes: ['a', 'a/b', '/', '/a', 'a/', 'a//b', 'a/b/c/d'], no: [] },
  '+': { yes: ['a', 'abc'], no: ['/', '/a', 'a/', 'a/b'] },
  '+/+': { yes: ['/', '/a', 'a/', 'a/b'], no: ['a', 'a/b/c', '//'] },
  '/+': { yes: ['/', '/a'], no: ['a', 'a/', '/a/', '//'] },
  '/#': { yes: ['/', '/a', '//', '/a/b'], no: ['a', 'a/'] },
  'a/#': { yes: ['a', 'a/', 'a/b', 'a/b/c'], no: ['ab', '/a', 'A', 'A/b', 'b/a'] },
  'a/+': { yes: ['a/', 'a/b'], no: ['a', 'a/b/', 'a/b/c', '/a'] },
  'a/+/c': { yes: ['a/b/c', 'a//c'], no: ['a/c', 'a/b/b/c', 'a/b/c/', 'a/b/C'] },
  'a/+/#': { yes: ['a/', 'a/b', 'a/b/c'], no: ['a', 'b/a'] },
  '+/b/#': { yes: ['a/b', '/b', '/b/', 'a/b/c'], no: ['b', 'a/a/b'] },
  'a//b': { yes: ['a//b'], no: ['a/b', 'a///b', 'a/ /b'] },
  'a/': { yes: ['a/'], no: ['a', 'a//', '/a'] },
  ' ': { yes: [' '], no: ['a', '  '] },
  'a b/ü/中文': { yes: ['a b/ü/中文'], no: ['a b/u/中文', 'ab/ü/中文'] },
}

const ILL_PLACED: Record<string, string[]> = {
  '[MQTT-4.7.1-2]': ['a#', '#a', '##', '#/', '#/a', 'a/#/b', 'a/b#', '/a#/b'],
  '[MQTT-4.7.1-3]': ['a+', '+a', '++', 'a/+b', 'a/b+/c', '+a/b', 'a+/#', 'a/#+'],
}

describe('Topic names and filters', { concurrency: true }, () => {
  const hub = useHub()

  for (const [filter, { yes, no }] of Object.entries(MATCHES)) {
    test(`[MQTT-3.3.2-3] [MQTT-4.7.1-1] '${filter}' matches ${yes.join(' ')} but not ${no.join(' ')}`, async t => {
      const client = await hub.connect(t)
      const payload = `of ${filter}` // other tests publish to the same topics
      await client.subscribe([filter, 0])
      client.send(Buffer.concat([...no, ...yes].map(topic => publish({ topic, payload }))))
      client.send(publish({ topic: filter.replace('+/', 'x/').replace(/[+#]/g, 'x'), payload: `end ${filter}` }))
      const received: string[] = []
      for (;;) {
        const message = await client.receive()
        if (message.payload.toString() === `end ${filter}`) break
        if (message.payload.toString() === payload) received.push(message.topic)
      }
      assert.deepEqual(received, yes)
    })
  }

  for (const [clause, filters] of Object.entries(ILL_PLACED)) {
    for (const filter of filters) {
      test(`${clause} the filter ${filter} is not granted`, async t => {
        const client = await hub.connect(t)
        client.send(subscribe(1, [filter, 0]))
        // The standard does not say how it is refused: by return code, or as a violation.
        const answer = await client.nextOrClosed()
        if (answer !== null) assert.deepEqual(answer, { type: 'suback', packetId: 1, returnCodes: [0x80] })
      })
    }
  }

  test('[MQTT-4.7.3-1] an empty filter is not granted', async t => {
    const client = await hub.connect(t)
    client.send(subscribe(1, ['', 0]))
    const answer = await client.nextOrClosed()
    if (answer !== null) assert.deepEqual(answer, { type: 'suback', packetId: 1, returnCodes: [0x80] })
  })

  test('[MQTT-4.7.3-2] [MQTT-1.5.3-2] U+0000 in a topic name or a filter ends the connection', async t => {
    for (const bytes of [publish({ topic: 'a\0b' }), subscribe(1, ['a/\0', 0]), publish({ topic: '\0', qos: 1 })]) {
      const client = await hub.connect(t)
      client.send(bytes)
      await client.closed()
    }
  })

  test('[MQTT-4.7.3-4] topics are compared as they are, without normalization', async t => {
    const client = await hub.connect(t)
    const composed = 'n/\u00e9'
    const decomposed = 'n/e\u0301'
    const angstrom = 'n/\u212b'
    const ring = 'n/\u00c5'
    await client.subscribe([composed, 0], [ring, 0])
    client.send(
      Buffer.concat([decomposed, angstrom, 'N/\u00e9', 'n/\u00c9', composed, ring].map(topic => publish({ topic }))),
    )
    assert.equal((await client.receive()).topic, composed)
    assert.equal((await client.receive()).topic, ring)
    await client.quiet()
  })

  test('[MQTT-4.7.3-4] [MQTT-1.5.3-3] characters that mean nothing to us are kept: U+FEFF, private use, emoji', async t => {
    const client = await hub.connect(t)
    for (const topic of [
      '\ufeff',
      '\ufeffbom',
      'bom/\ufeff',
      'private/\ue000',
      'emoji/\u{1f600}',
      'zero/\u200b/width',
    ]) {
      await client.subscribe([topic, 0])
      client.send(publish({ topic: topic.replaceAll('\ufeff', '').replaceAll('\u200b', '') || 'bom' }))
      await client.everything()
      client.send(publish({ topic }))
      assert.equal((await client.receive()).topic, topic)
    }
  })

  test('[MQTT-3.3.2-1] [MQTT-1.5.3-1] a topic name that is no UTF-8 ends the connection', async t => {
    for (const topic of [
      [0xff],
      [0x61, 0xc3],
      [0xc0, 0x80],
      [0xe2, 0x82],
      [0xed, 0xa0, 0x80],
      [0xf4, 0x90, 0x80, 0x80],
    ]) {
      const client = await hub.connect(t)
      client.send(publish({ topic: Buffer.from(topic) }))
      await client.closed()
    }
  })
})

describe('Topic names that start with $', { concurrency: 1 }, () => {
  const hub = useHub({
    yaml: `
anonymous:
  permissions:
    - { action: pub, permit: ['#', '$own/#', '$kept/#'] }
    - { action: sub, permit: ['#', '$own/#', '$kept/#'] }
limits: { topic: { dollar: allow } }
`,
  })

  test('[MQTT-4.7.2-1] filters that start with a wildcard do not match them', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['#', 0], ['+/own', 0], ['+/#', 0], ['+', 0])
    const other = await hub.connect(t)
    await other.subscribe(['$own/#', 0], ['$own/+', 0])
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: '$own/own', retain: true })
    const copies = await other.everything()
    assert.ok(copies.length > 0)
    for (const copy of copies) assert.equal(copy.type === 'publish' && copy.topic, '$own/own')
    for (const received of await client.everything()) {
      assert.ok(received.type === 'publish' && !received.topic.startsWith('$'), JSON.stringify(received))
    }
  })

  test('[MQTT-4.7.2-1] nor do they bring their retained messages', async t => {
    const client = await hub.connect(t)
    await client.publish({ topic: '$kept/x', payload: 'kept', retain: true })
    await client.subscribe(['#', 0])
    await client.subscribe(['+/x', 0])
    for (const received of await client.everything()) {
      assert.ok(received.type === 'publish' && !received.topic.startsWith('$'), JSON.stringify(received))
    }
    await client.subscribe(['$kept/+', 0])
    assert.equal((await client.receive()).topic, '$kept/x')
  })

  test('a $ in another place is nothing special', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['+/$x', 0])
    client.send(publish({ topic: 'a/$x' }))
    assert.equal((await client.receive()).topic, 'a/$x')
  })
})

describe('The longest topics', { concurrency: true, skip: ownHubOnly }, () => {
  const limits = 'limits: { topic: { length: 65535, levels: 100 } }'
  const hub = useHub({ yaml: `${OPEN_TO_ALL}\n${limits}\nmessage: { length: { max: 1m } }\n` })

  for (const [name, topic] of [
    ['one level', 'x'.repeat(65_535)],
    ['a hundred levels', `${'/'.repeat(99)}${'x'.repeat(65_436)}`],
    ['three bytes each', '中'.repeat(21_845)],
  ] as const) {
    test(`[MQTT-4.7.3-3] a topic of 65,535 bytes works, when the limits are that high: ${name}`, async t => {
      const client = await hub.connect(t)
      await client.subscribe([topic, 1])
      client.send(publish({ topic, payload: 'long' }))
      const message = await client.receive()
      assert.ok(message.topic === topic)
      assert.equal(message.payload.toString(), 'long')
    })
  }
})

/** Which filters match which topics, between whom: the cases of OpenEdge's quality tests that 09 and 21 don't have. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OPEN_TO_ALL, ownHubOnly, transports, useHub } from '../support/hub.ts'
import { publish, subscribe } from '../support/packets.ts'
import { heard } from '../support/rules.ts'

const FILTERS = [
  'TEST/SUB/A',
  'TEST/SUB/A/',
  'TEST/SUB/A/#',
  'TEST/SUB/A/+',
  '+/SUB/#',
  'TEST/+/A',
  'TEST/SUB/+',
  'TEST/#',
] as const

/** Topics, and which of the filters above match: 1 that does, 0 that does not. */
const TABLE: [topic: string, matches: string][] = [
  ['TEST/SUB/A', '10101111'],
  ['TEST/SUB/A/', '01111001'],
  ['TEST/SUB/A/B', '00111001'],
  ['TEST/SUB/A/B/C', '00101001'],
  ['TEST/SUB', '00001001'],
  ['TEST/PUB/A', '00000101'],
  ['SUB/TEST/A', '00000000'],
]

describe('OpenEdge: topics and filters', { concurrency: true, skip: ownHubOnly }, () => {
  const hub = useHub({ transports })

  for (const [i, [topic, matches]] of TABLE.entries()) {
    const transport = transports[i % transports.length] ?? 'tcp'
    test(`${topic}: a subscriber per filter, over ${transport}`, async t => {
      const publisher = await hub.connect(t, { transport })
      for (const [j, filter] of FILTERS.entries()) {
        const qos = j % 3
        const client = await hub.connect(t, { transport })
        await client.subscribe([filter, qos])
        await publisher.publish({ topic, payload: `${i} ${filter}`, qos })
        const received = (await heard(client)).filter(line => line.endsWith(` ${i} ${filter}`))
        assert.deepEqual(received, matches[j] === '1' ? [`${topic} ${qos} ${i} ${filter}`] : [], filter)
      }
    })
  }

  test('every topic that a client may name is another one: case, blanks, empty levels, Chinese', async t => {
    const topics = [
      'cased/topic',
      'Cased/topic',
      'CASED/TOPIC',
      'cased/Topic',
      ' blank',
      'blank ',
      'b lank',
      'blank',
      ' ',
      '  ',
      'a//b',
      'a/ /b',
      'a/b',
      '/a//b',
      'a//b/',
      '中国',
      '中國',
      '中国/北京',
      '中国/',
    ]
    const publisher = await hub.connect(t)
    for (const filter of topics) {
      const client = await hub.connect(t)
      await client.subscribe([filter, 1])
      publisher.send(
        Buffer.concat(topics.map((topic, i) => publish({ topic, payload: filter, qos: 1, packetId: i + 1 }))),
      )
      for (const _ of topics) await publisher.expect('puback')
      const received = (await heard(client)).filter(line => line.endsWith(` 1 ${filter}`))
      assert.deepEqual(received, [`${filter} 1 ${filter}`])
      await client.disconnect()
    }
  })

  for (const transport of transports) {
    test(`Chinese topics, payloads, filters with wildcards, retained messages and Wills, over ${transport}`, async t => {
      const prefix = `${transport}/城市`
      const payload = `你好，世界 ${transport} 🙂`
      const client = await hub.connect(t, { transport })
      await client.subscribe([`${prefix}/+/温度`, 1], [`${prefix}/遗嘱/#`, 0])
      const will = { topic: `${prefix}/遗嘱`, payload: '再见' }
      const publisher = await hub.connect(t, { transport, will })
      for (const qos of [0, 1, 2]) {
        await publisher.publish({ topic: `${prefix}/北京/温度`, payload, qos, retain: qos === 1 })
        const message = await client.receive()
        assert.deepEqual([message.topic, message.qos], [`${prefix}/北京/温度`, Math.min(qos, 1)])
        assert.equal(message.payload.toString(), payload)
      }
      await publisher.publish({ topic: `${prefix}/北京/湿度`, payload })
      publisher.destroy()
      const last = await client.receive()
      assert.deepEqual([last.topic, last.payload.toString()], [`${prefix}/遗嘱`, '再见'])
      const late = await hub.connect(t, { transport })
      await late.subscribe([`${prefix}/#`, 1])
      assert.deepEqual(await heard(late), [`${prefix}/北京/温度 1 ${payload} RETAIN`])
    })
  }

  test('blanks and empty levels are levels like others for wildcards', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['blanks/+', 0], ['blanks/+/+/end', 0])
    const topics = ['blanks/ ', 'blanks/', 'blanks/ x ', 'blanks/ / /end', 'blanks///end', 'blanks//end', 'blanks/ /x']
    client.send(Buffer.concat(topics.map(topic => publish({ topic, payload: 'm' }))))
    const wanted = ['blanks/', 'blanks/ ', 'blanks/ / /end', 'blanks/ x ', 'blanks///end']
    assert.deepEqual(await heard(client), wanted.map(topic => `${topic} 0 m`).sort())
  })
})

/** The rest of the tables in the hub's own tests, with a subscription; 25 has them for rules. */
const MATCHES: Record<string, { yes: string[]; no: string[] }> = {
  'abc/': { yes: ['abc/'], no: ['abc', '//'] },
  'abc/#': { yes: ['abc/'], no: ['//'] },
  'abc/+': { yes: ['abc/'], no: ['//'] },
  '+/': { yes: ['abc/'], no: ['//', 'abc'] },
  '+/#': { yes: ['abc/', '//'], no: [] },
  '+/+': { yes: ['abc/'], no: ['//'] },
  '#': { yes: ['abc/', '//'], no: [] },
  '//': { yes: ['//'], no: ['abc/', '/'] },
  '/#': { yes: ['//'], no: ['abc/'] },
  '/a/b/c/#': { yes: ['/a/b/c'], no: ['/a/b'] },
  '/a/b/+': { yes: [], no: ['/a/b'] },
  'a/b/#': { yes: [], no: ['a'] },
}

describe("OpenEdge: the hub's own tables of matches", { concurrency: true, skip: ownHubOnly }, () => {
  const hub = useHub()

  for (const [filter, { yes, no }] of Object.entries(MATCHES)) {
    test(`'${filter}' matches ${yes.join(' ') || 'nothing'}, not ${no.join(' ')}`, async t => {
      const client = await hub.connect(t)
      const publisher = await hub.connect(t)
      await client.subscribe([filter, 0])
      for (const topic of [...no, ...yes]) await publisher.publish({ topic, payload: filter })
      const received = (await heard(client)).filter(line => line.endsWith(` 0 ${filter}`))
      assert.deepEqual(received, yes.map(topic => `${topic} 0 ${filter}`).sort())
    })
  }
})

const NAMES = ['one', 'two', 'three'] as const
const PRINCIPALS = NAMES.map(
  name =>
    `{ username: ${name}, password: pw, permissions: [{ action: pub, permit: [from/${name}, all] }, { action: sub, permit: [from/#, all] }] }`,
)

describe('OpenEdge: between principals', { concurrency: true, skip: ownHubOnly }, () => {
  const hub = useHub({ yaml: `${OPEN_TO_ALL}\nprincipals: [${PRINCIPALS.join(', ')}]`, transports })

  for (const [i, speaker] of NAMES.entries()) {
    test(`what ${speaker} says reaches everybody who may hear it, over every transport`, async t => {
      const listeners = await Promise.all(
        [...NAMES, null].map(async (name, j) => {
          const transport = transports[j % transports.length] ?? 'tcp'
          const client = await hub.connect(t, {
            transport,
            ...(name === null ? {} : { username: name, password: 'pw' }),
          })
          client.send(subscribe(1, [`from/${speaker}`, 1]))
          assert.deepEqual((await client.expect('suback')).returnCodes, [1])
          return client
        }),
      )
      const transport = transports[i % transports.length] ?? 'tcp'
      const publisher = await hub.connect(t, { transport, username: speaker, password: 'pw' })
      for (const qos of [0, 1]) await publisher.publish({ topic: `from/${speaker}`, payload: speaker, qos })
      for (const listener of listeners) {
        assert.deepEqual(await heard(listener), [`from/${speaker} 0 ${speaker}`, `from/${speaker} 1 ${speaker}`])
      }
      publisher.send(publish({ topic: `from/${NAMES[(i + 1) % NAMES.length]}`, qos: 1 }))
      await publisher.closed()
    })
  }
})

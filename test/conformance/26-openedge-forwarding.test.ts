/** OpenEdge's quality tests of rules, as far as they are about MQTT, on every transport. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ownHubOnly, transports, useHub } from '../support/hub.ts'
import { puback } from '../support/packets.ts'
import { heard, linesOf, rule, rulesYaml } from '../support/rules.ts'

const RULES = [
  rule('single/source -> single/target', { sourceQos: 1, targetQos: 1 }),
  rule('one/source -> one/target', { sourceQos: 1, targetQos: 1 }),
  rule('one/source -> two/target', { sourceQos: 1, targetQos: 1 }),
  rule('one/source -> three/target', { sourceQos: 0, targetQos: 1 }),
  rule('chain/first -> chain/second', { sourceQos: 1, targetQos: 1 }),
  rule('chain/second -> chain/third', { sourceQos: 1, targetQos: 1 }),
  rule('chain/third -> chain/fourth', { sourceQos: 1, targetQos: 0 }),
  rule('across/in -> across/out', { sourceQos: 1, targetQos: 1 }),
  rule('wildcard/sharp/# -> wild/sharp', { sourceQos: 1, targetQos: 1 }),
  rule('wildcard/plus/+ -> wild/plus', { sourceQos: 1, targetQos: 1 }),
  rule('again/in -> again/out', { sourceQos: 1, targetQos: 1 }),
  rule('qos/01 -> to/01', { sourceQos: 0, targetQos: 1 }),
  rule('qos/10 -> to/10', { sourceQos: 1, targetQos: 0 }),
  rule('qos/11 -> to/11', { sourceQos: 1, targetQos: 1 }),
]

const PRINCIPALS = `
principals:
  - username: test
    password: pw
    permissions:
      - { action: pub, permit: ['#'] }
      - { action: sub, permit: ['#'] }
  - username: sender
    password: pw
    permissions: [{ action: pub, permit: [across/in] }]
  - username: receiver
    password: pw
    permissions: [{ action: sub, permit: [across/out] }]
message: { egress: { qos1: { retry: { interval: 500ms } } } }
`
const TEST = { username: 'test', password: 'pw' }

describe('OpenEdge: rules', { concurrency: 1, skip: ownHubOnly }, () => {
  const hub = useHub({ yaml: `${PRINCIPALS}\n${rulesYaml(...RULES)}`, transports })

  for (const transport of transports) {
    const as = { ...TEST, transport }

    test(`a single destination, over ${transport}`, async t => {
      const [publisher, client] = [await hub.connect(t, as), await hub.connect(t, as)]
      await client.subscribe(['single/target', 1])
      await publisher.publish({ topic: 'single/source', payload: transport, qos: 1 })
      await publisher.publish({ topic: 'single/source/x', payload: transport, qos: 1 })
      assert.deepEqual(await heard(client), [`single/target 1 ${transport}`])
    })

    test(`one source, several destinations, over ${transport}`, async t => {
      const [publisher, client] = [await hub.connect(t, as), await hub.connect(t, as)]
      await client.subscribe(['+/target', 1])
      await publisher.publish({ topic: 'one/source', payload: 'm', qos: 1 })
      assert.deepEqual(await heard(client), ['one/target 1 m', 'three/target 0 m', 'two/target 1 m'])
    })

    test(`a chain, over ${transport}`, async t => {
      const [publisher, client] = [await hub.connect(t, as), await hub.connect(t, as)]
      await client.subscribe(['chain/#', 1])
      await publisher.publish({ topic: 'chain/first', payload: 'm', qos: 1 })
      assert.deepEqual(await heard(client), [
        'chain/first 1 m',
        'chain/fourth 0 m',
        'chain/second 1 m',
        'chain/third 1 m',
      ])
    })

    test(`across principals, over ${transport}`, async t => {
      const publisher = await hub.connect(t, { ...as, username: 'sender' })
      const client = await hub.connect(t, { ...as, username: 'receiver' })
      await client.subscribe(['across/out', 1])
      for (const qos of [0, 1]) await publisher.publish({ topic: 'across/in', payload: 'm', qos })
      assert.deepEqual(await heard(client), ['across/out 0 m', 'across/out 1 m'])
    })

    test(`a source with wildcards, its parent included, over ${transport}`, async t => {
      const [publisher, client] = [await hub.connect(t, as), await hub.connect(t, as)]
      await client.subscribe(['wild/#', 1])
      for (const end of ['sharp', 'sharp/', 'sharp/a', 'sharp/a/b', 'plus', 'plus/', 'plus/a', 'plus/a/b', 'other'])
        await publisher.publish({ topic: `wildcard/${end}`, payload: end, qos: 1 })
      assert.deepEqual(linesOf(await client.everything()), [
        'wild/sharp 1 sharp',
        'wild/sharp 1 sharp/',
        'wild/sharp 1 sharp/a',
        'wild/sharp 1 sharp/a/b',
        'wild/plus 1 plus/',
        'wild/plus 1 plus/a',
      ])
    })

    test(`sent again at the target, with DUP, until it is acknowledged, over ${transport}`, async t => {
      const [publisher, client] = [await hub.connect(t, as), await hub.connect(t, as)]
      await client.subscribe(['again/out', 1])
      const other = await hub.connect(t, as)
      await other.subscribe(['again/out', 1])
      for (const payload of ['1', '2']) await publisher.publish({ topic: 'again/in', payload, qos: 1 })
      for (const _ of [1, 2]) await other.receive()
      const sent = [await client.expect('publish'), await client.expect('publish')]
      assert.deepEqual(linesOf(sent), ['again/out 1 1', 'again/out 1 2'])
      for (const message of sent) {
        const again = await client.expect('publish')
        assert.deepEqual(again, { ...message, dup: true })
        client.send(puback(again.packetId))
      }
      await client.quiet()
      await other.quiet()
    })

    for (const [source, published, wanted] of [
      ['01', 1, 0],
      ['10', 1, 0],
      ['11', 1, 1],
      ['11', 0, 0],
    ] as const) {
      test(`rule of QoS ${source[0]} to ${source[1]}, message of QoS ${published}: ${wanted}, over ${transport}`, async t => {
        const [publisher, client] = [await hub.connect(t, as), await hub.connect(t, as)]
        await client.subscribe([`to/${source}`, 1])
        await publisher.publish({ topic: `qos/${source}`, payload: 'm', qos: published })
        assert.deepEqual(await heard(client), [`to/${source} ${wanted} m`])
      })
    }
  }
})

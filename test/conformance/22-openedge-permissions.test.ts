import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ownHubOnly, useHub } from '../support/hub.ts'
import { publish, subscribe, unsubscribe } from '../support/packets.ts'

const PRINCIPALS = `
principals:
  - username: root
    password: pw
    permissions:
      - { action: pub, permit: ['#'] }
      - { action: sub, permit: ['#'] }
  - username: user
    password: pw
    permissions:
      - { action: pub, permit: ['pub/only', 'both/#', 'one/+'] }
      - { action: sub, permit: ['sub/only', 'both/#', 'one/+', 'exact/a'] }
  - username: narrow
    password: pw
    permissions:
      - { action: sub, permit: ['+'] }
      - { action: pub, permit: ['+'] }
  - username: nothing
    password: pw
`
const ROOT = { username: 'root', password: 'pw' }
const USER = { username: 'user', password: 'pw' }
const NARROW = { username: 'narrow', password: 'pw' }

describe('OpenEdge: permissions', { concurrency: true, skip: ownHubOnly }, () => {
  const hub = useHub({ yaml: PRINCIPALS })

  for (const qos of [0, 1, 2]) {
    test(`[MQTT-3.3.5-2] a PUBLISH of QoS ${qos} that is not permitted ends the connection, with the will`, async t => {
      const witness = await hub.connect(t, ROOT)
      await witness.subscribe([`refused/${qos}`, 2], [`both/will/${qos}`, 0])
      const client = await hub.connect(t, { ...USER, will: { topic: `both/will/${qos}` } })
      client.send(publish({ topic: `refused/${qos}`, qos, retain: true }))
      await client.closed()
      assert.equal((await witness.receive()).topic, `both/will/${qos}`)
      await witness.quiet()
      const late = await hub.connect(t, ROOT)
      await late.subscribe([`refused/${qos}`, 2])
      await late.quiet() // nor was it retained
    })
  }

  test('[MQTT-3.3.5-2] permitted messages around a refused one: those before are delivered, those behind are not', async t => {
    const witness = await hub.connect(t, ROOT)
    await witness.subscribe(['both/around', 0], ['sub/only', 0])
    const client = await hub.connect(t, USER)
    const permitted = (payload: string): Buffer => publish({ topic: 'both/around', payload })
    client.send(Buffer.concat([permitted('1'), permitted('2'), publish({ topic: 'sub/only' }), permitted('3')]))
    await client.closed()
    for (const payload of ['1', '2']) assert.equal((await witness.receive()).payload.toString(), payload)
    await witness.quiet()
  })

  test('permissions to publish and to subscribe are apart', async t => {
    const client = await hub.connect(t, USER)
    client.send(subscribe(1, ['sub/only', 1], ['pub/only', 1]))
    assert.deepEqual((await client.expect('suback')).returnCodes, [1, 0x80])
    await client.publish({ topic: 'pub/only', qos: 1 })
    client.send(publish({ topic: 'sub/only', qos: 1 }))
    await client.closed()
  })

  test('[MQTT-3.8.4-5] a SUBSCRIBE gets 0x80 for what is not permitted or not valid, the rest works', async t => {
    const client = await hub.connect(t, USER)
    client.send(subscribe(1, ['both/a', 2], ['refused', 1], ['both/#/b', 1], ['one/x', 0], ['#', 2]))
    assert.deepEqual((await client.expect('suback')).returnCodes, [2, 0x80, 0x80, 0, 0x80])
    const root = await hub.connect(t, ROOT)
    for (const topic of ['refused', 'both/b', 'one/y', 'both/a', 'one/x']) await root.publish({ topic })
    assert.equal((await client.receive()).topic, 'both/a')
    assert.equal((await client.receive()).topic, 'one/x')
    await client.quiet()
  })

  test('retained messages do not leak to filters that were refused', async t => {
    const root = await hub.connect(t, ROOT)
    await root.publish({ topic: 'secret/kept', payload: 'secret', retain: true })
    await root.publish({ topic: 'both/kept', payload: 'open', retain: true })
    const client = await hub.connect(t, USER)
    client.send(subscribe(1, ['secret/kept', 1], ['secret/#', 1], ['#', 1], ['+/kept', 1], ['both/kept', 1]))
    assert.deepEqual((await client.expect('suback')).returnCodes, [0x80, 0x80, 0x80, 0x80, 1])
    assert.equal((await client.receive()).topic, 'both/kept')
    await client.quiet()
  })

  const PERMITS: [who: typeof USER, filter: string, granted: boolean][] = [
    [USER, 'both', true],
    [USER, 'both/', true],
    [USER, 'both/a/b/c', true],
    [USER, 'both/#', true],
    [USER, 'both/+', true],
    [USER, 'both/+/x', true],
    [USER, '+/a', false],
    [USER, 'bothx', false],
    [USER, 'Both/a', false],
    [USER, 'one/', true],
    [USER, 'one/x', true],
    [USER, 'one/+', true],
    [USER, 'one', false],
    [USER, 'one/x/y', false],
    [USER, 'one/#', false],
    [USER, 'exact/a', true],
    [USER, 'exact/+', false],
    [USER, 'exact/#', false],
    [NARROW, 'a', true],
    [NARROW, '+', true],
    [NARROW, 'a/', false],
    [NARROW, '/a', false],
    [NARROW, '+/+', false],
    [NARROW, '#', false],
    [ROOT, '#', true],
    [ROOT, '+/a/#', true],
    [{ username: 'nothing', password: 'pw' }, 'a', false],
  ]
  for (const [who, filter, granted] of PERMITS) {
    test(`${who.username} ${granted ? 'may' : 'may not'} subscribe to '${filter}'`, async t => {
      const client = await hub.connect(t, who)
      client.send(subscribe(1, [filter, 1]))
      assert.deepEqual((await client.expect('suback')).returnCodes, [granted ? 1 : 0x80])
    })
  }

  for (const [who, topic, permitted] of [
    [USER, 'both', true],
    [USER, 'both/a/b', true],
    [USER, 'one/', true],
    [USER, 'one', false],
    [USER, 'one/x/y', false],
    [NARROW, 'a', true],
    [NARROW, 'a/b', false],
  ] as const) {
    test(`${who.username} ${permitted ? 'may' : 'may not'} publish to '${topic}'`, async t => {
      const client = await hub.connect(t, who)
      if (permitted) return client.publish({ topic, qos: 1 })
      client.send(publish({ topic, qos: 1 }))
      return client.closed()
    })
  }

  test('[MQTT-3.10.4-5] unsubscribing from what is forbidden or not valid is harmless', async t => {
    const client = await hub.connect(t, USER)
    client.send(unsubscribe(1, 'refused', '#', 'a#', '$SYS/x'))
    await client.expect('unsuback')
    await client.quiet()
  })

  test('a kept session that another principal resumes keeps only what that one may subscribe to', async t => {
    const clientId = 'shared-session'
    const first = await hub.connect(t, { ...ROOT, clientId, cleanSession: false })
    await first.subscribe(['both/shared', 1], ['secret/shared', 1])
    await first.disconnect()
    const second = await hub.open(t)
    const connack = await second.connect({ ...USER, clientId, cleanSession: false })
    assert.deepEqual(connack, { type: 'connack', sessionPresent: true, returnCode: 0 })
    const root = await hub.connect(t, ROOT)
    await root.publish({ topic: 'secret/shared', qos: 1 })
    await root.publish({ topic: 'both/shared', qos: 1 })
    assert.equal((await second.receive()).topic, 'both/shared')
    await second.quiet()
  })

  test('messages that waited for a topic the new principal may not read do not leak', async t => {
    const clientId = 'shared-backlog'
    const first = await hub.connect(t, { ...ROOT, clientId, cleanSession: false })
    await first.subscribe(['both/backlog', 1], ['secret/backlog', 1])
    await first.disconnect()
    const root = await hub.connect(t, ROOT)
    await root.publish({ topic: 'secret/backlog', qos: 1 })
    await root.publish({ topic: 'both/backlog', qos: 1 })
    const second = await hub.connect(t, { ...USER, clientId, cleanSession: false })
    assert.equal((await second.receive()).topic, 'both/backlog')
    await second.quiet()
  })

  test('a principal takes over the client identifier of another, whose will is published', async t => {
    const witness = await hub.connect(t, ROOT)
    await witness.subscribe(['both/taken', 0])
    const old = await hub.connect(t, { ...USER, clientId: 'taken', will: { topic: 'both/taken' } })
    const young = await hub.connect(t, { ...ROOT, clientId: 'taken' })
    await old.closed()
    await witness.receive()
    await young.quiet()
  })
})

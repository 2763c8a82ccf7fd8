/** Limits that hold however a connection, a packet or a field is presented. */
import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { suite, test } from 'node:test'
import { configOf, embedHub, until } from '../../support/embedded-hub.ts'
import { KeptLog } from '../../support/kept-log.ts'
import { connect, type Subscription, subscribe } from '../../support/packets.ts'

suite('limits.connections', () => {
  test('holds for streams that a program hands over', async t => {
    const { hub, open, connect: connectAs } = await embedHub(t, { config: configOf('limits: { connections: 2 }') })
    const first = await connectAs('first')
    await connectAs('second')
    const third = await open()
    third.send(connect({ clientId: 'third' }))
    await third.closed()
    assert.equal(hub.connectedClients, 2)
    await first.disconnect()
    await until(() => hub.connections === 1, 'the first leaves')
    await connectAs('fourth')
  })

  for (const isClosed of [true, false]) {
    test(`a stream that was destroyed before, ${isClosed ? 'and closed,' : 'just now,'} takes no place`, async t => {
      const { hub, connect: connectAs } = await embedHub(t, { settings: { connections: 3 } })
      for (let i = 0; i < 10; i++) {
        const [near] = duplexPair()
        near.destroy()
        if (isClosed) await new Promise(resolve => setImmediate(resolve))
        hub.handle(near)
      }
      await until(() => hub.connections === 0, 'the hub forgets the streams')
      await connectAs('somebody')
      assert.equal(hub.connections, 1)
    })
  }
})

suite('limits.filters', () => {
  const many = (count: number): Subscription[] => Array.from({ length: count }, (_, i) => [`f${i}`, 0])

  test('counts within one SUBSCRIBE', async t => {
    const { hub, connect: connectAs } = await embedHub(t, { config: configOf('limits: { filters: 10 }') })
    const client = await connectAs('client')
    client.send(subscribe(1, ...many(500)))
    const { returnCodes } = await client.expect('suback')
    assert.deepEqual(
      returnCodes,
      many(500).map((_, i) => (i < 10 ? 0 : 128)),
    )
    assert.equal(hub.sessions.get('client')?.subscriptions.size, 10)
  })

  test('does not count a filter twice, in one packet or in several', async t => {
    const { hub, connect: connectAs } = await embedHub(t, { config: configOf('limits: { filters: 3 }') })
    const client = await connectAs('client')
    client.send(subscribe(1, ['a', 0], ['a', 1], ['b', 0], ['b', 0], ['c', 0]))
    assert.deepEqual((await client.expect('suback')).returnCodes, [0, 1, 0, 0, 0])
    client.send(subscribe(2, ['c', 1], ['d', 0], ['a', 0]))
    assert.deepEqual((await client.expect('suback')).returnCodes, [1, 128, 0])
    assert.equal(hub.sessions.get('client')?.subscriptions.size, 3)
  })

  for (const [why, config] of [
    ['too many', configOf('limits: { filters: 1 }')],
    ['not permitted', configOf("anonymous: { permissions: [{ action: pub, permit: ['#'] }] }", '')],
  ] as const) {
    test(`a SUBSCRIBE of 3000 filters that are ${why} writes a few debug lines`, async t => {
      const log = new KeptLog()
      const { connect: connectAs } = await embedHub(t, { config, log })
      const client = await connectAs('client')
      client.send(subscribe(1, ...many(3000)))
      const { returnCodes } = await client.expect('suback')
      assert.ok(returnCodes.includes(128), 'nothing was refused')
      const lines = log.count('subscribe.refused')
      assert.ok(lines >= 1 && lines <= 10, `${lines} lines`)
    })
  }
})

suite('limits.clientid.length', () => {
  for (const [clientId, returnCode] of [
    ['x'.repeat(10), 0],
    ['x'.repeat(11), 2],
    ['中'.repeat(3), 0],
    ['中'.repeat(4), 2],
    ['中'.repeat(10), 2],
    ['😀😀é', 0],
    ['😀😀😀', 2],
  ] as const) {
    test(`of 10 bytes: ${clientId}, ${Buffer.byteLength(clientId)} bytes, gets ${returnCode}`, async t => {
      const config = configOf('limits: { clientid: { length: 10, charset: any } }')
      const { open } = await embedHub(t, { config })
      const client = await open()
      assert.equal((await client.connect({ clientId })).returnCode, returnCode)
      if (returnCode !== 0) await client.closed()
    })
  }

  test('holds for MQTT 3.1 as well', async t => {
    const { open } = await embedHub(t, { config: configOf('limits: { clientid: { length: 40 } }') })
    for (const [length, returnCode] of [
      [40, 0],
      [41, 2],
    ] as const) {
      const client = await open()
      const options = { protocolName: 'MQIsdp', protocolLevel: 3, clientId: 'x'.repeat(length) }
      assert.equal((await client.connect(options)).returnCode, returnCode)
      if (returnCode !== 0) await client.closed()
    }
  })
})

suite('message.length.max of 200 MB', () => {
  const config = configOf('message: { length: { max: 200m } }')

  test('a CONNECT announced larger than any CONNECT can be is refused at once', async t => {
    const { open, hub } = await embedHub(t, { config })
    const client = await open()
    client.send(Buffer.from([0x10, 0x80, 0x80, 0x80, 0x20])) // 64 MiB to come
    await client.closed()
    assert.equal(hub.connectedClients, 0)
  })

  test('the largest CONNECT there can be is read, and packets behind a CONNECT may be larger', async t => {
    const { open, connect: connectAs } = await embedHub(t, { config })
    const client = await open()
    const long = Buffer.alloc(65_535, 'x')
    const will = { topic: long, payload: long }
    const { returnCode } = await client.connect({ clientId: long, will, username: long, password: long })
    assert.equal(returnCode, 4, 'the password is wrong, the packet is not')
    await client.closed()
    const other = await connectAs('other')
    await other.publish({ topic: 't', payload: Buffer.alloc(1_000_000), qos: 1 })
  })
})

/** Streams that answer in the middle of the write that asked, and listeners that publish in the middle of a delivery. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { embedHub, payloadsOf, turns } from '../../support/embedded-hub.ts'
import { type Packet, pingreq, puback, publish, subscribe } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'

interface Closable {
  id: string | null
  close(): void
}

/** Everything up to the answer of a ping that is sent when all else has come to rest. */
async function rest(client: RawClient): Promise<Packet[]> {
  await turns()
  return client.everything()
}

suite('a stream that answers inside write', () => {
  for (const qos of [0, 1]) {
    test(`a PINGREQ to each message of QoS ${qos}: nothing is lost and nothing comes twice`, async t => {
      const { connectStream } = await embedHub(t)
      const subscriber = await connectStream('subscriber', packet => (packet.type === 'publish' ? pingreq() : null))
      await subscriber.subscribe(['t', qos])
      const publisher = await connectStream('publisher')
      const payloads = ['1', '2', '3', '4', '5']
      for (const [i, payload] of payloads.entries()) {
        publisher.send(publish({ topic: 't', payload, qos, packetId: i + 1 }))
        await turns()
      }
      const packets: Packet[] = []
      while (packets.length < 2 * payloads.length) packets.push(await subscriber.next())
      assert.deepEqual(payloadsOf(packets), payloads)
      await subscriber.quiet()
    })
  }

  test('a PUBACK that frees the only place of the window: all messages come, once', async t => {
    const { hub, connectStream } = await embedHub(t, { settings: { window: 1 } })
    const subscriber = await connectStream('subscriber', packet =>
      packet.type === 'publish' ? puback(packet.packetId) : null,
    )
    await subscriber.subscribe(['t', 1])
    const publisher = await connectStream('publisher')
    const payloads = ['1', '2', '3', '4']
    publisher.send(
      Buffer.concat(payloads.map((payload, i) => publish({ topic: 't', payload, qos: 1, packetId: i + 1 }))),
    )
    const packets = [await subscriber.next(), await subscriber.next(), await subscriber.next(), await subscriber.next()]
    assert.deepEqual(payloadsOf(packets), payloads)
    assert.deepEqual(await rest(subscriber), [])
    const session = hub.sessions.get('subscriber')
    assert.deepEqual([session?.unacknowledged, session?.queued], [0, 0])
  })

  test('a message, while a run above 256 KiB is being delivered to it: each is delivered and acknowledged', async t => {
    const { connectStream } = await embedHub(t)
    let asked = 0
    const echo = await connectStream('echo', packet => {
      if (packet.type !== 'publish') return null
      asked++
      const answer = publish({ topic: 'answer', payload: `answer ${asked}`, qos: 1, packetId: 100 + asked })
      return Buffer.concat([answer, puback(packet.packetId)])
    })
    await echo.subscribe(['t', 1])
    const witness = await connectStream('witness')
    await witness.subscribe(['answer', 0])
    const publisher = await connectStream('publisher')
    // Many small ones, gathered into runs that are copied, and more than is written at once.
    const count = 600
    const payload = Buffer.alloc(2000, 'x')
    const packets = Array.from({ length: count }, (_, i) => publish({ topic: 't', payload, qos: 1, packetId: i + 1 }))
    publisher.send(Buffer.concat(packets))

    const acknowledged = (await rest(publisher)).map(packet => packet.type === 'puback' && packet.packetId)
    assert.deepEqual(
      acknowledged,
      Array.from({ length: count }, (_, i) => i + 1),
    )
    const echoed = await rest(echo)
    const answers = Array.from({ length: count }, (_, i) => i + 1)
    assert.equal(payloadsOf(echoed).length, count)
    assert.deepEqual(
      echoed.flatMap(packet => (packet.type === 'puback' ? [packet.packetId - 100] : [])),
      answers,
    )
    assert.deepEqual(
      payloadsOf(await rest(witness)),
      answers.map(i => `answer ${i}`),
    )
  })

  test('a message, while large messages are being delivered to it: each is delivered and acknowledged', async t => {
    const { connectStream } = await embedHub(t)
    let isFirst = true
    const echo = await connectStream('echo', packet => {
      if (packet.type !== 'publish') return null
      if (!isFirst) return puback(packet.packetId)
      isFirst = false
      return publish({ topic: 'answer', payload: 'answer', qos: 1, packetId: 101 })
    })
    await echo.subscribe(['t', 1])
    const witness = await connectStream('witness')
    await witness.subscribe(['answer', 0])
    const publisher = await connectStream('publisher')
    const packets = [1, 2, 3, 4, 5].map(packetId =>
      publish({ topic: 't', payload: Buffer.alloc(80_000, packetId), qos: 1, packetId }),
    )
    publisher.send(Buffer.concat(packets))
    assert.deepEqual(
      (await rest(publisher)).map(packet => packet.type === 'puback' && packet.packetId),
      [1, 2, 3, 4, 5],
    )
    const echoed = await rest(echo)
    assert.equal(payloadsOf(echoed).length, 5)
    assert.deepEqual(
      echoed.flatMap(packet => (packet.type === 'puback' ? [packet.packetId] : [])),
      [101],
    )
    assert.deepEqual(payloadsOf(await rest(witness)), ['answer'])
  })
})

suite('a delivery that changes the subscriptions it is for', () => {
  for (const publishedQos of [0, 1] as const) {
    test(`a listener publishes with QoS ${publishedQos} because the delivery ended a client`, async t => {
      const { hub, connect } = await embedHub(t, {
        authorizeForward: (client, packet) => {
          if (client.id !== 'a' || packet.topic !== 'presence') return packet
          ;(client as Closable).close()
          return null
        },
      })
      const say = (payload: string, qos: 0 | 1): void =>
        hub.publish({ cmd: 'publish', topic: 'presence', payload, qos, retain: false, dup: false }, () => {})
      hub.on('clientDisconnect', client => say(`${client.id} left`, publishedQos))
      const granted = [0, 0, 1, 0, 1]
      const clients: RawClient[] = []
      for (const [i, qos] of granted.entries()) {
        const client = await connect(String.fromCharCode(97 + i))
        await client.subscribe(['presence', qos])
        clients.push(client)
      }
      say('x joined', 1)
      await clients[0]?.closed()
      for (const [i, client] of clients.entries()) {
        if (i === 0) continue
        const heard = [await client.receive(), await client.receive()]
        // Never above what was granted, never below what was asked for [MQTT-3.8.4-6].
        const wanted = { 'a left': Math.min(publishedQos, granted[i] ?? 0), 'x joined': granted[i] ?? 0 }
        const got = Object.fromEntries(heard.map(({ payload, qos }) => [payload.toString(), qos]))
        assert.deepEqual(got, wanted, `client ${i}`)
        await client.quiet()
      }
    })
  }

  test('a client that subscribes anew with less while messages for it lie in the same chunk', async t => {
    const { connect } = await embedHub(t)
    const client = await connect('self')
    const say = (packetId: number): Buffer => publish({ topic: 't', payload: `${packetId}`, qos: 1, packetId })
    client.send(Buffer.concat([subscribe(9, ['t', 1]), say(1), say(2), subscribe(10, ['t', 0]), say(3), say(4)]))
    const packets = await rest(client)
    const heard = packets.flatMap(packet =>
      packet.type === 'publish' ? [[packet.payload.toString(), packet.qos]] : [],
    )
    assert.deepEqual(heard, [
      ['1', 1],
      ['2', 1],
      ['3', 0],
      ['4', 0],
    ])
  })
})

/** What the hub holds on to, in bytes, when the garbage is gone. */
import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { suite, test } from 'node:test'
import { embedHub, until } from '../../support/embedded-hub.ts'
import { bytesHeld } from '../../support/garbage.ts'
import { connect, puback, publish } from '../../support/packets.ts'

const MB = 1_000_000
const inMb = (bytes: number): string => `${(bytes / MB).toFixed(1)} MB`

suite('topics', () => {
  const COUNT = 400
  const LONG = 60_000

  test('that are invalid are not remembered', async t => {
    const { hub } = await embedHub(t)
    const before = await bytesHeld()
    for (let i = 0; i < COUNT; i++) {
      const [near, far] = duplexPair()
      hub.handle(near)
      far.write(Buffer.concat([connect(), publish({ topic: `${i}/+/`.padEnd(LONG, 'x'), payload: 'x' })]))
      await until(() => hub.connections === 0, 'the connection ends')
    }
    const more = (await bytesHeld()) - before
    assert.ok(more < 6 * MB, `${inMb(more)} for ${COUNT} invalid topics`)
  })

  for (const [how, hasRetain] of [
    ['long', false],
    ['long, and retained and cleared', true],
  ] as const) {
    test(`that are ${how} are not remembered`, async t => {
      const { connectStream } = await embedHub(t)
      const client = await connectStream('client')
      const before = await bytesHeld()
      for (let i = 0; i < COUNT; i++) {
        const topic = `${i}/`.padEnd(LONG, 'x')
        client.send(publish({ topic, payload: 'x', retain: hasRetain }))
        if (hasRetain) client.send(publish({ topic, payload: '', retain: true }))
      }
      await client.quiet()
      const more = (await bytesHeld()) - before
      assert.ok(more < 6 * MB, `${inMb(more)} for ${COUNT} long topics`)
    })
  }
})

for (const qos of [1, 2]) {
  test(`one large message of QoS ${qos} for many that do not read is there once`, async t => {
    const { hub, connectStream } = await embedHub(t)
    const size = 2 * MB
    const receivers = 20
    for (let i = 0; i < receivers; i++) {
      const client = await connectStream(`deaf${i}`)
      await client.subscribe(['t', qos])
      client.socket.pause()
    }
    const publisher = await connectStream('publisher')
    const before = await bytesHeld()
    publisher.send(publish({ topic: 't', payload: Buffer.alloc(size), qos, packetId: 1 }))
    await publisher.expect(qos === 1 ? 'puback' : 'pubrec')
    const more = (await bytesHeld()) - before
    assert.ok(more < 4 * size, `${inMb(more)} for ${receivers} receivers of ${inMb(size)}`)
    assert.equal(hub.state.counters.messagesSent, receivers)
  })
}

for (const wait of ['behind a connection that takes nothing', 'behind a full window'] as const) {
  test(`tiny messages that wait ${wait} do not hold the chunks they came in`, async t => {
    const { hub, connectStream } = await embedHub(t, { settings: { window: 1, drainTimeoutMs: 0 } })
    const client = await connectStream('client')
    await client.subscribe(['tiny', 1], ['fill', 0])
    const publisher = await connectStream('publisher')
    if (wait.includes('connection')) {
      client.socket.pause()
      for (let i = 0; i < 100 && hub.clients['client']?.blocked !== true; i++) {
        publisher.send(publish({ topic: 'fill', payload: Buffer.alloc(60_000) }))
        await new Promise(resolve => setImmediate(resolve))
      }
      assert.equal(hub.clients['client']?.blocked, true)
    }
    const before = await bytesHeld()
    const count = 200
    const rest = publish({ topic: 'nobody', payload: Buffer.alloc(100_000) })
    for (let packetId = 1; packetId <= count; packetId++) {
      publisher.send(Buffer.concat([publish({ topic: 'tiny', payload: 'x', qos: 1, packetId }), rest]))
      await publisher.expect('puback')
    }
    const session = hub.sessions.get('client')
    assert.ok((session?.queued ?? 0) >= count - 1, `only ${session?.queued} wait`)
    const chunks = count * 100_000
    const deadline = performance.now() + 5000
    let more = (await bytesHeld()) - before
    while (more > chunks / 4 && performance.now() < deadline) {
      await new Promise(resolve => setTimeout(resolve, 100))
      more = (await bytesHeld()) - before
    }
    assert.ok(more <= chunks / 4, `${inMb(more)} are held for ${count} messages of one byte`)
    client.socket.resume()
    for (let last = 0; last < count; ) {
      const packet = await client.expect('publish')
      if (packet.topic === 'fill') continue
      client.send(puback(packet.packetId))
      last++
    }
  })
}

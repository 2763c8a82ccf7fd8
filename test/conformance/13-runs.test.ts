import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ownHubOnly, useHub } from '../support/hub.ts'
import { packet, publish, pubrel, subscribe, unsubscribe } from '../support/packets.ts'

/** Numbers that look random and are the same each time. */
function* numbers(seed: number): Generator<number, never> {
  let state = seed
  for (;;) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    yield state >> 8
  }
}

// A broker may handle many packets that come in one read together; what comes out must be as if they came one by one.
describe('Many PUBLISH packets in one chunk', { concurrency: true }, () => {
  const hub = useHub()

  for (const seed of [1, 2, 3, 4]) {
    test(`a mix of topics, QoS and DUP reaches each subscriber as it should (seed ${seed})`, async t => {
      const base = `mix/${seed}`
      const subscribers: [filter: string, granted: number][] = [
        [`${base}/a`, 0],
        [`${base}/+`, 1],
        [`${base}/#`, 2],
        [`${base}/b/c`, 2],
      ]
      const clients = await Promise.all(subscribers.map(() => hub.connect(t)))
      for (const [i, client] of clients.entries()) await client.subscribe(subscribers[i] as [string, number])
      const publisher = await hub.connect(t)
      const random = numbers(seed)
      const sent: { topic: string; qos: number; payload: string }[] = []
      const chunk: Buffer[] = []
      // Runs of equal packets, a few of each.
      while (sent.length < 80) {
        const topic = `${base}/${['a', 'b/c', 'd'][random.next().value % 3]}`
        const qos = random.next().value % 3
        const length = 1 + (random.next().value % 6)
        for (let i = 0; i < length; i++) {
          const packetId = sent.length + 1
          const payload = `${packetId}`.padStart(1 + (random.next().value % 200), '.')
          chunk.push(publish({ topic, qos, payload, packetId, dup: qos > 0 && random.next().value % 8 === 0 }))
          sent.push({ topic, qos, payload })
        }
      }
      publisher.send(Buffer.concat(chunk))
      for (const [i, { qos }] of sent.entries()) if (qos === 2) publisher.send(pubrel(i + 1))
      const answers = new Map<string, number>()
      for (const received of await publisher.everything())
        answers.set(received.type, (answers.get(received.type) ?? 0) + 1)
      const count = (qos: number): number => sent.filter(message => message.qos === qos).length
      assert.deepEqual(
        [answers.get('puback'), answers.get('pubrec'), answers.get('pubcomp')],
        [count(1), count(2), count(2)],
      )
      const published = new Map(sent.map(({ payload, qos }) => [payload, qos]))
      for (const [i, client] of clients.entries()) {
        const [filter, granted] = subscribers[i] as [string, number]
        const matches = (topic: string): boolean =>
          filter.endsWith('#') || filter === topic || (filter.endsWith('+') && !topic.endsWith('/b/c'))
        const expected = sent.filter(({ topic }) => matches(topic))
        const received: typeof sent = []
        for (let j = 0; j < expected.length; j++) {
          const { topic, qos, payload } = await client.receive()
          received.push({ topic, qos, payload: payload.toString() })
        }
        // Order is kept for each topic and QoS [MQTT-4.6.0-6].
        const sorted = (messages: typeof sent): string[] =>
          messages
            .map(({ topic, payload }, at) => ({ key: `${topic} ${published.get(payload)}`, at, payload }))
            .sort((one, other) => one.key.localeCompare(other.key) || one.at - other.at)
            .map(({ key, payload }) => `${key} ${payload}`)
        for (const { qos, payload } of received) assert.equal(qos, Math.min(published.get(payload) ?? -1, granted))
        assert.deepEqual(sorted(received), sorted(expected))
        await client.quiet()
      }
    })
  }

  test('messages of one topic keep their order across QoS', { skip: ownHubOnly }, async t => {
    const subscriber = await hub.connect(t)
    await subscriber.subscribe(['runs/across', 2])
    const publisher = await hub.connect(t)
    const ids = Array.from({ length: 60 }, (_, i) => i + 1)
    publisher.send(
      Buffer.concat(
        ids.map(id => publish({ topic: 'runs/across', payload: `${id}`, qos: (id >> 2) % 3, packetId: id })),
      ),
    )
    for (const id of ids) assert.equal((await subscriber.receive()).payload.toString(), `${id}`)
  })

  test('2,000 packets to one topic', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['runs/long', 0])
    const packets = Array.from({ length: 2000 }, (_, i) => publish({ topic: 'runs/long', payload: `${i}` }))
    client.send(Buffer.concat(packets))
    for (let i = 0; i < 2000; i++) assert.equal((await client.receive()).payload.toString(), `${i}`)
    await client.quiet()
  })

  test('a subscription made between two of them gets what follows, one removed does not', async t => {
    const client = await hub.connect(t)
    const message = (payload: string): Buffer => publish({ topic: 'runs/between', payload })
    client.send(
      Buffer.concat([
        message('1'),
        message('2'),
        subscribe(1, ['runs/+', 0]),
        message('3'),
        message('4'),
        unsubscribe(2, 'runs/+'),
        message('5'),
        message('6'),
      ]),
    )
    await client.expect('suback')
    for (const payload of ['3', '4']) assert.equal((await client.receive()).payload.toString(), payload)
    await client.expect('unsuback')
    await client.quiet()
  })

  test('the same packet identifier again and again: at QoS 1 each is a message, at QoS 2 all are one', async t => {
    const subscriber = await hub.connect(t)
    await subscriber.subscribe(['runs/same/#', 0])
    const publisher = await hub.connect(t)
    const five = (qos: number): Buffer =>
      Buffer.concat(Array.from({ length: 5 }, () => publish({ topic: `runs/same/${qos}`, qos, packetId: 3 })))
    publisher.send(five(1))
    for (let i = 0; i < 5; i++) assert.equal((await publisher.expect('puback')).packetId, 3)
    for (let i = 0; i < 5; i++) await subscriber.receive()
    await subscriber.quiet()
    publisher.send(five(2))
    for (let i = 0; i < 5; i++) assert.equal((await publisher.expect('pubrec')).packetId, 3)
    publisher.send(pubrel(3))
    await publisher.expect('pubcomp')
    await subscriber.receive()
    await subscriber.quiet()
  })

  for (const [name, bad] of [
    ['packet identifier 0', publish({ topic: 'runs/bad', qos: 1, packetId: 0 })],
    ['QoS 3', packet(0x36, Buffer.from('runs'))],
    ['another topic with a wildcard', publish({ topic: 'runs/#' })],
    ['a body that ends within its topic', packet(0x32, Buffer.from([0, 8, 0x72]))],
    ['an ill-formed topic', publish({ topic: Buffer.from([0x72, 0xff]), qos: 1 })],
    ['a topic length beyond the packet, equal to the one before up to there', packet(0x32, Buffer.from('\0\x08runs'))],
  ] as const) {
    test(`[MQTT-4.8.0-1] ${name} in the middle: those before are delivered, those behind are not`, async t => {
      const topic = 'runs/bad'
      const tag = name.replaceAll(' ', '-')
      const subscriber = await hub.connect(t)
      await subscriber.subscribe([topic, 0])
      const publisher = await hub.connect(t)
      const good = [1, 2, 3].map(packetId => publish({ topic, qos: 1, packetId, payload: `${tag} ${packetId}` }))
      const behind = publish({ topic, qos: 1, packetId: 9, payload: `${tag} behind` })
      publisher.send(Buffer.concat([...good, bad, behind, behind]))
      await publisher.drain()
      const payloads: string[] = []
      for (const received of await subscriber.everything()) {
        if (received.type === 'publish') payloads.push(received.payload.toString())
      }
      assert.deepEqual(
        payloads.filter(payload => payload.startsWith(`${tag} `)),
        [1, 2, 3].map(id => `${tag} ${id}`),
      )
    })
  }

  test('whole packets in a chunk are handled although the last one is cut off', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['runs/cut', 1])
    const one = (packetId: number): Buffer => publish({ topic: 'runs/cut', qos: 1, packetId, payload: `${packetId}` })
    client.send(Buffer.concat([one(1), one(2), one(3).subarray(0, 6)]))
    for (let i = 0; i < 4; i++) await client.next()
    await client.nothing(50)
    client.send(one(3).subarray(6))
    const last = [await client.next(), await client.next()]
    assert.deepEqual(new Set(last.map(({ type }) => type)), new Set(['publish', 'puback']))
  })
})

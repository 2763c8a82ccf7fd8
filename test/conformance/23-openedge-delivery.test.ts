import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OPEN_TO_ALL, ownHubOnly, useHub } from '../support/hub.ts'
import { puback, publish } from '../support/packets.ts'

describe('OpenEdge: overlapping filters', { concurrency: true, skip: ownHubOnly }, () => {
  const hub = useHub()

  const OVERLAPS: [topic: string, published: number, delivered: number][] = [
    ['test/a', 1, 1],
    ['test/a', 0, 0],
    ['test/b', 1, 0],
    ['test/a/b', 1, 1],
    ['test/a/b', 2, 1],
    ['test/a/c', 1, 0],
    ['test/two', 2, 2],
  ]

  test('[MQTT-3.3.5-1] one copy, at the highest QoS of the filters that match', async t => {
    const client = await hub.connect(t)
    await client.subscribe(
      ['test/a', 1],
      ['test/+', 0],
      ['test/a/#', 0],
      ['test/a/b/#', 1],
      ['+/two', 2],
      ['test/two', 1],
    )
    const publisher = await hub.connect(t)
    for (const [topic, published, delivered] of OVERLAPS) {
      await publisher.publish({ topic, qos: published })
      const message = await client.receive()
      assert.deepEqual([message.topic, message.qos], [topic, delivered])
      await client.quiet()
    }
  })

  test('the same in any order of subscribing, and after one of the filters has gone', async t => {
    const filters: [string, number][] = [
      ['any/+', 0],
      ['any/#', 1],
      ['any/x', 2],
    ]
    const publisher = await hub.connect(t)
    for (let rotation = 0; rotation < 3; rotation++) {
      const client = await hub.connect(t)
      for (let i = 0; i < 3; i++) await client.subscribe(filters[(rotation + i) % 3] as [string, number])
      await publisher.publish({ topic: 'any/x', qos: 2 })
      assert.equal((await client.receive()).qos, 2)
      await client.quiet()
      await client.subscribe(['any/x', 0])
      await publisher.publish({ topic: 'any/x', qos: 2 })
      assert.equal((await client.receive()).qos, 1)
      await client.quiet()
    }
  })

  test('messages that wait for a kept session are one copy too', async t => {
    const clientId = 'overlap-away'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['away/+', 1], ['away/#', 2], ['away/x', 0])
    await first.disconnect()
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: 'away/x', qos: 2 })
    const second = await hub.connect(t, { clientId, cleanSession: false })
    assert.equal((await second.receive()).qos, 2)
    await second.quiet()
  })

  test('messages of QoS 0 do not wait for a client that is away', async t => {
    const clientId = 'away-qos0'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['away0/+', 1])
    await first.disconnect()
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: 'away0/x', payload: '0', qos: 0 })
    await publisher.publish({ topic: 'away0/x', payload: '1', qos: 1 })
    const second = await hub.connect(t, { clientId, cleanSession: false })
    assert.equal((await second.receive()).payload.toString(), '1')
    await second.quiet()
  })

  test('[MQTT-3.1.2-5] a message of QoS 1 waits even for a subscription of QoS 0, and is delivered at QoS 0', async t => {
    const clientId = 'away-granted0'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['granted0', 0])
    await first.disconnect()
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: 'granted0', payload: 'waited', qos: 1 })
    const second = await hub.connect(t, { clientId, cleanSession: false })
    const message = await second.receive()
    assert.deepEqual([message.payload.toString(), message.qos], ['waited', 0])
    await second.quiet()
  })
})

describe('OpenEdge: the window', { concurrency: true, skip: ownHubOnly }, () => {
  const hub = useHub({ yaml: `${OPEN_TO_ALL}\nmessage: { egress: { qos1: { buffer: { size: 5 } } } }\n` })

  test('buffer size and two more are in flight, one more with each PUBACK', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['window', 1])
    const publisher = await hub.connect(t)
    for (let i = 1; i <= 12; i++) await publisher.publish({ topic: 'window', payload: `${i}`, qos: 1 })
    const ids: number[] = []
    for (let i = 1; i <= 7; i++) {
      const message = await client.expect('publish')
      assert.deepEqual([message.payload.toString(), message.dup], [`${i}`, false])
      ids.push(message.packetId)
    }
    await client.quiet()
    for (let i = 8; i <= 12; i++) {
      client.send(puback(ids.shift() as number))
      const message = await client.expect('publish')
      assert.deepEqual([message.payload.toString(), message.dup], [`${i}`, false])
      ids.push(message.packetId)
      await client.quiet()
    }
    for (const packetId of ids) client.send(puback(packetId))
    await client.quiet()
  })

  test('an unacknowledged message does not hold up messages of QoS 0', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['held/#', 1])
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: 'held/1', qos: 1 })
    await client.expect('publish')
    for (let i = 0; i < 20; i++) {
      await publisher.publish({ topic: 'held/0', payload: `${i}`, qos: 0 })
      assert.equal((await client.receive()).payload.toString(), `${i}`)
    }
  })

  test('after a reconnect the same ones are in flight, and what waited follows', async t => {
    const clientId = 'window-again'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['again', 1])
    const publisher = await hub.connect(t)
    for (let i = 1; i <= 9; i++) await publisher.publish({ topic: 'again', payload: `${i}`, qos: 1 })
    const sent: number[] = []
    for (let i = 1; i <= 7; i++) sent.push((await first.expect('publish')).packetId)
    first.destroy()
    const second = await hub.connect(t, { clientId, cleanSession: false })
    for (let i = 1; i <= 9; i++) {
      const message = await second.receive()
      assert.deepEqual([message.payload.toString(), message.dup], [`${i}`, i <= 7])
      if (i <= 7) assert.equal(message.packetId, sent[i - 1])
    }
    await second.quiet()
  })
})

describe('OpenEdge: sending again while connected', { concurrency: true, skip: ownHubOnly }, () => {
  const hub = useHub({
    yaml: `${OPEN_TO_ALL}\nmessage: { egress: { qos1: { buffer: { size: 5 }, retry: { interval: 300ms } } } }\n`,
  })

  test('[MQTT-3.3.1-1] the oldest unacknowledged message is sent again, DUP set, same identifier, each interval', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['retry', 1])
    const publisher = await hub.connect(t)
    const published = performance.now()
    for (let i = 1; i <= 3; i++) await publisher.publish({ topic: 'retry', payload: `${i}`, qos: 1 })
    const ids: number[] = []
    for (let i = 1; i <= 3; i++) ids.push((await client.expect('publish')).packetId)
    for (let round = 1; round <= 3; round++) {
      const again = await client.expect('publish')
      assert.deepEqual([again.payload.toString(), again.dup, again.packetId], ['1', true, ids[0]])
      const elapsed = performance.now() - published
      assert.ok(elapsed >= round * 300 - 50, `${elapsed} ms`)
    }
    // With the head acknowledged, the next is overdue and comes at once.
    client.send(puback(ids[0] as number))
    const next = await client.expect('publish', 250)
    assert.deepEqual([next.payload.toString(), next.dup, next.packetId], ['2', true, ids[1]])
    client.send(puback(ids[1] as number), puback(ids[2] as number))
    for (const late of await client.everything()) assert.equal(late.type, 'publish') // '3' may have been on its way
    await client.nothing(500)
  })

  test('a full window opens with each PUBACK to a new message and to the next one that is overdue', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['scenario', 1])
    const publisher = await hub.connect(t)
    for (let i = 1; i <= 12; i++) await publisher.publish({ topic: 'scenario', payload: `${i}`, qos: 1 })
    const ids = new Map<string, number>()
    for (let i = 1; i <= 7; i++) ids.set(`${i}`, (await client.expect('publish')).packetId)
    assert.equal((await client.expect('publish')).payload.toString(), '1')
    for (let i = 1; i <= 3; i++) {
      client.send(puback(ids.get(`${i}`) as number))
      const received: string[] = []
      for (let j = 0; j < 2; j++) {
        const message = await client.expect('publish', 250)
        received.push(`${message.payload.toString()}${message.dup ? ' again' : ''}`)
      }
      assert.deepEqual(new Set(received), new Set([`${i + 7}`, `${i + 1} again`]))
    }
  })

  test('what is acknowledged, and what is of QoS 0, is not sent again', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['no-retry', 1])
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: 'no-retry', qos: 1 })
    await publisher.publish({ topic: 'no-retry', qos: 0 })
    await client.receive()
    await client.receive()
    await client.nothing(700)
  })

  test('live messages go on in between', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['between', 1])
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: 'between', payload: 'head', qos: 1 })
    await client.expect('publish')
    let again = 0
    for (let i = 0; again < 2; i++) {
      publisher.send(publish({ topic: 'between', payload: 'live', qos: 0 }))
      let message = await client.expect('publish')
      if (message.dup) {
        assert.equal(message.payload.toString(), 'head')
        again++
        message = await client.expect('publish')
      }
      assert.equal(message.payload.toString(), 'live')
      await new Promise(resolve => setTimeout(resolve, 20))
      assert.ok(i < 200, 'the head was not sent again')
    }
  })
})

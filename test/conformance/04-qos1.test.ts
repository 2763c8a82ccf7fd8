import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { useHub } from '../support/hub.ts'
import { puback, publish, subscribe } from '../support/packets.ts'

describe('QoS 1', { concurrency: true }, () => {
  const hub = useHub()

  test('[MQTT-4.3.2-1] unacknowledged messages have packet identifiers of their own and DUP 0', async t => {
    const subscriber = await hub.connect(t)
    await subscriber.subscribe(['q1/own', 1])
    const publisher = await hub.connect(t)
    for (let i = 0; i < 15; i++) await publisher.publish({ topic: 'q1/own', payload: `${i}`, qos: 1 })
    const ids = new Set<number>()
    for (let i = 0; i < 15; i++) {
      const message = await subscriber.expect('publish')
      assert.deepEqual([message.payload.toString(), message.qos, message.dup], [`${i}`, 1, false])
      ids.add(message.packetId)
    }
    assert.equal(ids.size, 15)
  })

  test('[MQTT-4.3.2-1] a message stays unacknowledged until PUBACK, and no longer', async t => {
    const clientId = 'q1-until'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['q1/until', 1])
    await first.publish({ topic: 'q1/until', payload: 'kept', qos: 1 }).catch(() => {})
    first.destroy()
    const second = await hub.connect(t, { clientId, cleanSession: false })
    assert.equal((await second.receive()).payload.toString(), 'kept')
    await second.quiet()
    await second.disconnect()
    const third = await hub.connect(t, { clientId, cleanSession: false })
    await third.quiet()
  })

  test('[MQTT-4.3.2-2] after PUBACK the same packet identifier is a new message, with DUP or without', async t => {
    const subscriber = await hub.connect(t)
    await subscriber.subscribe(['q1/again', 0])
    const publisher = await hub.connect(t)
    for (const dup of [false, true, false]) {
      publisher.send(publish({ topic: 'q1/again', payload: `${dup}`, qos: 1, dup, packetId: 9 }))
      assert.equal((await publisher.expect('puback')).packetId, 9)
      assert.equal((await subscriber.receive()).payload.toString(), `${dup}`)
    }
    await subscriber.quiet()
  })

  test('[MQTT-3.3.4-1] a hundred PUBLISH packets get a hundred PUBACK packets', async t => {
    const client = await hub.connect(t)
    const ids = Array.from({ length: 100 }, (_, i) => i + 1)
    client.send(Buffer.concat(ids.map(packetId => publish({ topic: 'q1/hundred', qos: 1, packetId }))))
    const acknowledged: number[] = []
    while (acknowledged.length < 100) acknowledged.push((await client.expect('puback')).packetId)
    assert.deepEqual(
      acknowledged.sort((a, b) => a - b),
      ids,
    )
    await client.quiet()
  })

  test('[MQTT-2.3.1-4] an identifier is used again only after its PUBACK', async t => {
    const subscriber = await hub.connect(t)
    await subscriber.subscribe(['q1/reuse', 1])
    const publisher = await hub.connect(t)
    const held = new Set<number>()
    for (let i = 0; i < 10; i++) {
      await publisher.publish({ topic: 'q1/reuse', qos: 1 })
      const { packetId } = await subscriber.expect('publish')
      assert.ok(!held.has(packetId), `${packetId} is in use`)
      if (i % 2 === 0) held.add(packetId)
      else subscriber.send(puback(packetId))
    }
  })

  test('[MQTT-2.3.1-4] identifiers last for more messages than there are identifiers', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['q1/wrap', 1])
    const publisher = await hub.connect(t)
    const total = 66_000
    const batch = 200
    for (let sent = 0; sent < total; sent += batch) {
      const packets = Array.from({ length: batch }, (_, i) => publish({ topic: 'q1/wrap', qos: 1, packetId: i + 1 }))
      publisher.send(Buffer.concat(packets))
      const acknowledgements: Buffer[] = []
      const ids = new Set<number>()
      for (let i = 0; i < batch; i++) {
        const { packetId } = await client.expect('publish')
        ids.add(packetId)
        acknowledgements.push(puback(packetId))
        if (acknowledgements.length === 20) client.send(Buffer.concat(acknowledgements.splice(0)))
      }
      assert.ok(ids.size === batch)
      for (let i = 0; i < batch; i++) await publisher.expect('puback')
    }
  })

  test('a PUBACK for a message that is not there is harmless', async t => {
    const client = await hub.connect(t)
    client.send(puback(77))
    await client.quiet()
  })

  test('PUBACK packets out of order are accepted', async t => {
    const subscriber = await hub.connect(t)
    await subscriber.subscribe(['q1/disorder', 1])
    const publisher = await hub.connect(t)
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 5; i++) await publisher.publish({ topic: 'q1/disorder', qos: 1 })
      const ids: number[] = []
      for (let i = 0; i < 5; i++) ids.push((await subscriber.expect('publish')).packetId)
      for (const packetId of ids.reverse()) subscriber.send(puback(packetId))
    }
    await subscriber.quiet()
  })

  test('[MQTT-4.3.2-1] what waits goes on when the window opens again', async t => {
    const subscriber = await hub.connect(t)
    subscriber.send(subscribe(1, ['q1/window', 1]))
    await subscriber.expect('suback')
    const publisher = await hub.connect(t)
    const total = 300
    for (let i = 0; i < total; i++) await publisher.publish({ topic: 'q1/window', payload: `${i}`, qos: 1 })
    for (let i = 0; i < total; i++) assert.equal((await subscriber.receive()).payload.toString(), `${i}`)
    await subscriber.quiet()
  })
})

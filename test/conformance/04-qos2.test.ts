import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { useHub } from '../support/hub.ts'
import { pubcomp, publish, pubrec, pubrel } from '../support/packets.ts'

describe('QoS 2, the server as receiver', { concurrency: true }, () => {
  const hub = useHub()

  test('[MQTT-4.3.3-2] each copy before PUBREL gets PUBREC, subscribers get one message', async t => {
    const subscriber = await hub.connect(t)
    await subscriber.subscribe(['q2/copies', 2])
    const publisher = await hub.connect(t)
    for (const dup of [false, true, true]) {
      publisher.send(publish({ topic: 'q2/copies', payload: 'once', qos: 2, dup, packetId: 5 }))
      assert.equal((await publisher.expect('pubrec')).packetId, 5)
    }
    publisher.send(pubrel(5))
    assert.equal((await publisher.expect('pubcomp')).packetId, 5)
    assert.equal((await subscriber.receive()).payload.toString(), 'once')
    await subscriber.quiet()
  })

  test('[MQTT-4.3.3-2] after PUBCOMP the same packet identifier is a new message', async t => {
    const subscriber = await hub.connect(t)
    await subscriber.subscribe(['q2/again', 0])
    const publisher = await hub.connect(t)
    for (const payload of ['one', 'two', 'three']) {
      await publisher.publish({ topic: 'q2/again', payload, qos: 2, packetId: 6 })
      assert.equal((await subscriber.receive()).payload.toString(), payload)
    }
  })

  test('[MQTT-4.3.3-2] a repeated PUBREL gets PUBCOMP again and delivers nothing', async t => {
    const subscriber = await hub.connect(t)
    await subscriber.subscribe(['q2/repeat', 2])
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: 'q2/repeat', qos: 2, packetId: 7 })
    await subscriber.receive()
    publisher.send(pubrel(7))
    assert.equal((await publisher.expect('pubcomp')).packetId, 7)
    await subscriber.quiet()
  })

  test('[MQTT-4.3.3-2] a PUBREL that nothing came before gets PUBCOMP', async t => {
    const client = await hub.connect(t)
    client.send(pubrel(4711))
    assert.equal((await client.expect('pubcomp')).packetId, 4711)
  })

  test('[MQTT-4.3.3-2] [MQTT-4.1.0-1] the receipt of a message outlives the connection of a kept session', async t => {
    const subscriber = await hub.connect(t)
    await subscriber.subscribe(['q2/receipt', 2])
    const clientId = 'q2-receipt'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    first.send(publish({ topic: 'q2/receipt', payload: 'once', qos: 2, packetId: 8 }))
    await first.expect('pubrec')
    first.destroy()
    const second = await hub.connect(t, { clientId, cleanSession: false })
    second.send(publish({ topic: 'q2/receipt', payload: 'once', qos: 2, dup: true, packetId: 8 }))
    assert.equal((await second.expect('pubrec')).packetId, 8)
    second.send(pubrel(8))
    assert.equal((await second.expect('pubcomp')).packetId, 8)
    assert.equal((await subscriber.receive()).payload.toString(), 'once')
    await subscriber.quiet()
  })

  test('[MQTT-4.3.3-2] a PUBREL after the reconnect completes the message', async t => {
    const subscriber = await hub.connect(t)
    await subscriber.subscribe(['q2/late-release', 2])
    const clientId = 'q2-late-release'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    first.send(publish({ topic: 'q2/late-release', payload: 'once', qos: 2, packetId: 9 }))
    await first.expect('pubrec')
    first.destroy()
    const second = await hub.connect(t, { clientId, cleanSession: false })
    second.send(pubrel(9))
    assert.equal((await second.expect('pubcomp')).packetId, 9)
    assert.equal((await subscriber.receive()).payload.toString(), 'once')
    await subscriber.quiet()
  })

  test('[MQTT-3.3.4-1] fifty exchanges at once all complete, each message once', async t => {
    const subscriber = await hub.connect(t)
    await subscriber.subscribe(['q2/fifty', 0])
    const publisher = await hub.connect(t)
    const ids = Array.from({ length: 50 }, (_, i) => i + 1)
    publisher.send(Buffer.concat(ids.map(id => publish({ topic: 'q2/fifty', payload: `${id}`, qos: 2, packetId: id }))))
    for (const packetId of ids) assert.equal((await publisher.expect('pubrec')).packetId, packetId)
    publisher.send(Buffer.concat(ids.map(pubrel)))
    for (const packetId of ids) assert.equal((await publisher.expect('pubcomp')).packetId, packetId)
    for (const id of ids) assert.equal((await subscriber.receive()).payload.toString(), `${id}`)
    await subscriber.quiet()
  })
})

describe('QoS 2, the server as sender', { concurrency: true }, () => {
  const hub = useHub()

  test('[MQTT-4.3.3-1] [MQTT-2.3.1-6] PUBLISH, then PUBREL with the same packet identifier after PUBREC', async t => {
    const subscriber = await hub.connect(t)
    await subscriber.subscribe(['q2/flow', 2])
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: 'q2/flow', payload: 'x', qos: 2 })
    const message = await subscriber.expect('publish')
    assert.deepEqual([message.qos, message.dup], [2, false])
    await subscriber.quiet() // no PUBREL before PUBREC
    subscriber.send(pubrec(message.packetId))
    assert.equal((await subscriber.expect('pubrel')).packetId, message.packetId)
    subscriber.send(pubcomp(message.packetId))
    await subscriber.quiet()
  })

  test('[MQTT-4.3.3-1] [MQTT-4.4.0-1] before PUBREC the PUBLISH is sent again on reconnect', async t => {
    const clientId = 'q2-before-pubrec'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['q2/before', 2])
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: 'q2/before', payload: 'x', qos: 2 })
    const sent = await first.expect('publish')
    first.destroy()
    const second = await hub.connect(t, { clientId, cleanSession: false })
    const again = await second.receive()
    assert.deepEqual([again.packetId, again.dup, again.payload.toString()], [sent.packetId, true, 'x'])
    await second.quiet()
  })

  test('[MQTT-4.3.3-1] [MQTT-4.4.0-1] after PUBREC only the PUBREL is sent again on reconnect', async t => {
    const clientId = 'q2-after-pubrec'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['q2/after', 2])
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: 'q2/after', payload: 'x', qos: 2 })
    const { packetId } = await first.expect('publish')
    first.send(pubrec(packetId))
    await first.expect('pubrel')
    first.destroy()
    const second = await hub.connect(t, { clientId, cleanSession: false })
    assert.deepEqual(await second.next(), { type: 'pubrel', packetId })
    second.send(pubcomp(packetId))
    await second.quiet()
    await second.disconnect()
    const third = await hub.connect(t, { clientId, cleanSession: false })
    await third.quiet()
  })

  test('[MQTT-2.3.1-4] [MQTT-4.3.3-1] an identifier stays in use until PUBCOMP', async t => {
    const subscriber = await hub.connect(t)
    await subscriber.subscribe(['q2/in-use', 2])
    const publisher = await hub.connect(t)
    const used = new Set<number>()
    for (let i = 0; i < 10; i++) {
      await publisher.publish({ topic: 'q2/in-use', qos: 2 })
      const { packetId } = await subscriber.expect('publish')
      assert.ok(!used.has(packetId), `${packetId} is in use`)
      used.add(packetId)
      subscriber.send(pubrec(packetId))
      await subscriber.expect('pubrel') // and no PUBCOMP
    }
  })

  test('[MQTT-4.6.0-4] PUBREL packets come in the order of the PUBREC packets', async t => {
    const subscriber = await hub.connect(t)
    await subscriber.subscribe(['q2/release', 2])
    const publisher = await hub.connect(t)
    const ids: number[] = []
    for (let i = 0; i < 10; i++) {
      await publisher.publish({ topic: 'q2/release', qos: 2 })
      ids.push((await subscriber.expect('publish')).packetId)
    }
    subscriber.send(Buffer.concat(ids.map(pubrec)))
    for (const packetId of ids) assert.equal((await subscriber.expect('pubrel')).packetId, packetId)
  })

  test('a repeated PUBREC gets the PUBREL again', async t => {
    const subscriber = await hub.connect(t)
    await subscriber.subscribe(['q2/repeat-pubrec', 2])
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: 'q2/repeat-pubrec', qos: 2 })
    const { packetId } = await subscriber.expect('publish')
    for (let i = 0; i < 2; i++) {
      subscriber.send(pubrec(packetId))
      assert.equal((await subscriber.expect('pubrel')).packetId, packetId)
    }
    subscriber.send(pubcomp(packetId))
    await subscriber.quiet()
  })
})

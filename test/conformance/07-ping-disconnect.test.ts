import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { useHub } from '../support/hub.ts'
import { disconnect, packet, pingreq, publish } from '../support/packets.ts'

describe('PINGREQ and keep alive', { concurrency: true }, () => {
  const hub = useHub()

  test('[MQTT-3.12.4-1] each PINGREQ gets a PINGRESP', async t => {
    const client = await hub.connect(t)
    for (let i = 0; i < 3; i++) await client.quiet()
    client.send(Buffer.concat([pingreq(), pingreq(), pingreq()]))
    for (let i = 0; i < 3; i++) await client.expect('pingresp')
    await client.nothing()
  })

  test('[MQTT-3.1.2-24] silence of one and a half keep alive times ends the connection, with the will', async t => {
    const witness = await hub.connect(t)
    await witness.subscribe(['keep-alive/will', 0])
    const client = await hub.connect(t, { keepAlive: 1, will: { topic: 'keep-alive/will' } })
    await client.closed()
    assert.equal((await witness.receive()).topic, 'keep-alive/will')
  })

  // At different moments, in case the server looks at the time only now and then.
  for (const delay of [0, 130, 260, 390, 520]) {
    test(`[MQTT-3.1.2-24] silence that is shorter does not end the connection (started at ${delay} ms)`, async t => {
      await new Promise(resolve => setTimeout(resolve, delay))
      const start = performance.now()
      const client = await hub.connect(t, { keepAlive: 1 })
      await client.closed()
      const elapsed = performance.now() - start
      assert.ok(elapsed > 1490, `closed after ${elapsed} ms`)
    })
  }

  test('[MQTT-3.1.2-24] what the server sends does not keep a silent client alive', async t => {
    const client = await hub.connect(t, { keepAlive: 1 })
    const chatty = await hub.connect(t)
    await client.subscribe(['keep-alive/chatter', 0])
    const timer = setInterval(() => chatty.send(publish({ topic: 'keep-alive/chatter' })), 100)
    t.after(() => clearInterval(timer))
    const packets = await client.drain()
    assert.ok(packets.length >= 5)
  })

  for (const [name, bytes] of [
    ['PINGREQ', pingreq()],
    ['PUBLISH', publish({ topic: 'keep-alive/alive' })],
  ] as const) {
    test(`[MQTT-3.1.2-24] a client that sends ${name} in time stays connected`, async t => {
      const client = await hub.connect(t, { keepAlive: 1 })
      let sent = 0
      const timer = setInterval(() => {
        client.send(bytes)
        sent++
      }, 990)
      t.after(() => clearInterval(timer))
      await new Promise(resolve => setTimeout(resolve, 3300))
      clearInterval(timer)
      if (name === 'PINGREQ') for (let i = 0; i < sent; i++) await client.expect('pingresp')
      await client.quiet()
    })
  }

  test('[MQTT-3.1.2-24] keep alive 0 means that silence is no reason to end', async t => {
    const client = await hub.connect(t, { keepAlive: 0 })
    await client.nothing(2500)
    await client.quiet()
  })

  for (const flags of [1, 2, 4, 8, 15]) {
    test(`[MQTT-2.2.2-1] [MQTT-2.2.2-2] PINGREQ with flags ${flags} ends the connection`, async t => {
      const client = await hub.connect(t)
      client.send(packet(0xc0 | flags))
      await client.closed()
    })
  }

  test('[MQTT-4.8.0-1] PINGREQ with a body ends the connection', async t => {
    const client = await hub.connect(t)
    client.send(packet(0xc0, Buffer.from([0])))
    await client.closed()
  })
})

describe('DISCONNECT', { concurrency: true }, () => {
  const hub = useHub()

  test('[MQTT-3.14.4-3] [MQTT-3.1.2-10] DISCONNECT discards the will, and the server closes', async t => {
    const witness = await hub.connect(t)
    await witness.subscribe(['disconnect/will', 0])
    const client = await hub.connect(t, { will: { topic: 'disconnect/will' } })
    client.send(disconnect())
    await client.closed()
    await witness.nothing()
    await witness.quiet()
  })

  for (const flags of [1, 2, 4, 8, 15]) {
    test(`[MQTT-3.14.1-1] DISCONNECT with flags ${flags} is a violation: the will is published`, async t => {
      const witness = await hub.connect(t)
      await witness.subscribe([`disconnect/flags/${flags}`, 0])
      const client = await hub.connect(t, { will: { topic: `disconnect/flags/${flags}`, payload: 'will' } })
      client.send(packet(0xe0 | flags))
      await client.closed()
      assert.equal((await witness.receive()).payload.toString(), 'will')
    })
  }

  test('[MQTT-4.8.0-1] DISCONNECT with a body ends the connection', async t => {
    const client = await hub.connect(t)
    client.send(packet(0xe0, Buffer.from([0])))
    await client.closed()
  })

  test('what comes before DISCONNECT in the same chunk is processed, what comes behind is not', async t => {
    const witness = await hub.connect(t)
    await witness.subscribe(['disconnect/chunk', 0])
    const client = await hub.connect(t)
    const before = publish({ topic: 'disconnect/chunk', payload: 'before' })
    const behind = publish({ topic: 'disconnect/chunk', payload: 'behind' })
    client.send(Buffer.concat([before, disconnect(), behind]))
    await client.closed()
    assert.equal((await witness.receive()).payload.toString(), 'before')
    await witness.quiet()
  })

  test('messages of QoS 1 sent just before DISCONNECT are delivered', async t => {
    const witness = await hub.connect(t)
    await witness.subscribe(['disconnect/qos1', 1])
    const client = await hub.connect(t)
    client.send(Buffer.concat([publish({ topic: 'disconnect/qos1', qos: 1 }), disconnect()]))
    await client.drain()
    assert.equal((await witness.receive()).topic, 'disconnect/qos1')
  })
})

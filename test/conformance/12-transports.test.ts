import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { describe, test } from 'node:test'
import { transports, useHub } from '../support/hub.ts'
import { pingreq, publish } from '../support/packets.ts'
import { untilClosed } from '../support/raw-client.ts'

describe('Transports', { concurrency: true }, () => {
  const hub = useHub({ transports })

  for (const from of transports) {
    for (const to of transports) {
      test(`[MQTT-7.1.1-1] messages of each QoS go from ${from} to ${to}, in order`, async t => {
        const topic = `from/${from}/to/${to}`
        const subscriber = await hub.connect(t, { transport: to })
        await subscriber.subscribe([topic, 2])
        const publisher = await hub.connect(t, { transport: from })
        for (const qos of [0, 1, 2, 0]) {
          await publisher.publish({ topic, payload: `qos ${qos}`, qos })
          const message = await subscriber.receive()
          assert.deepEqual([message.payload.toString(), message.qos], [`qos ${qos}`, qos])
        }
      })
    }
  }

  test('a session started on one transport is resumed on another, nothing twice', async t => {
    const clientId = 'wanders'
    const publisher = await hub.connect(t)
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['wanders', 2])
    await first.disconnect()
    for (const [i, transport] of transports.entries()) {
      await publisher.publish({ topic: 'wanders', payload: `${i}`, qos: 1 + (i % 2) })
      const client = await hub.connect(t, { transport, clientId, cleanSession: false })
      assert.equal((await client.receive()).payload.toString(), `${i}`)
      await client.quiet()
      await client.disconnect()
    }
  })

  test('a client identifier is taken over across transports', async t => {
    let previous = await hub.connect(t, { clientId: 'hops' })
    for (const transport of transports) {
      const next = await hub.connect(t, { transport, clientId: 'hops' })
      await previous.closed()
      previous = next
    }
    await previous.quiet()
  })

  for (const transport of transports) {
    test(`[MQTT-7.0.0-2] nothing but the standard is needed on ${transport}`, async t => {
      const client = await hub.connect(t, { transport, clientId: 'plain'.concat(transport) })
      await client.subscribe([`plain/${transport}`, 0])
      client.send(publish({ topic: `plain/${transport}`, payload: 'x' }))
      await client.receive()
      await client.disconnect()
    })

    test(`a client on ${transport} that stops reading does not stop others`, async t => {
      const slow = await hub.connect(t, { transport })
      await slow.subscribe([`slow/${transport}`, 0])
      slow.socket.pause()
      const quick = await hub.connect(t, { transport })
      await quick.subscribe([`slow/${transport}`, 0])
      const publisher = await hub.connect(t, { transport })
      const payload = Buffer.alloc(16_000, 'x')
      for (let i = 0; i < 100; i++) {
        await publisher.publish({ topic: `slow/${transport}`, payload })
        await quick.receive()
      }
    })
  }

  if (transports.includes('tls')) {
    test('bytes without TLS on a TLS port end the connection', async t => {
      const { host, port } = hub.endpoint('tls')
      const socket = net.connect({ host, port })
      t.after(() => void socket.destroy())
      await once(socket, 'connect')
      const closed = untilClosed(socket)
      socket.write(Buffer.concat([pingreq(), Buffer.alloc(20)]))
      await closed
      const client = await hub.connect(t, { transport: 'tls' })
      await client.quiet()
    })
  }
})

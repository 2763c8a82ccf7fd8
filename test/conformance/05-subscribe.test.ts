import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { transports, useHub } from '../support/hub.ts'
import { packet, publish, subscribe, u16 } from '../support/packets.ts'

const ILL_FORMED = Buffer.from([0x61, 0xc3, 0x28])
const SURROGATE = Buffer.from([0xed, 0xbf, 0xbf])

for (const transport of transports) {
  describe(`SUBSCRIBE on ${transport}`, { concurrency: true }, () => {
    const hub = useHub({ transports: [transport] })

    test('[MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT-2.3.1-7] SUBACK comes with the packet identifier of SUBSCRIBE', async t => {
      const client = await hub.connect(t, { transport })
      for (const packetId of [1, 255, 256, 65535, 1]) {
        client.send(subscribe(packetId, ['acknowledged', 0]))
        assert.deepEqual(await client.next(), { type: 'suback', packetId, returnCodes: [0] })
      }
    })

    test('[MQTT-3.8.4-5] [MQTT-3.9.3-1] [MQTT-3.9.3-2] a return code for each filter, in their order', async t => {
      const client = await hub.connect(t, { transport })
      client.send(subscribe(3, ['codes/a', 2], ['codes/b', 0], ['codes/c', 1], ['codes/#', 0], ['codes/+', 2]))
      assert.deepEqual(await client.next(), { type: 'suback', packetId: 3, returnCodes: [2, 0, 1, 0, 2] })
    })

    test('[MQTT-3.8.4-4] several filters in one SUBSCRIBE all work', async t => {
      const client = await hub.connect(t, { transport })
      await client.subscribe(['several/a', 0], ['several/b/+', 1], ['several/c/#', 2])
      for (const topic of ['several/a', 'several/b/x', 'several/c/x/y']) {
        client.send(publish({ topic }))
        assert.equal((await client.receive()).topic, topic)
      }
    })

    test('[MQTT-3.8.4-4] the same filter twice in one SUBSCRIBE: the last one counts', async t => {
      const client = await hub.connect(t, { transport })
      await client.subscribe(['double', 2], ['double', 0])
      const publisher = await hub.connect(t, { transport })
      await publisher.publish({ topic: 'double', qos: 2 })
      assert.equal((await client.receive()).qos, 0)
      await client.quiet()
    })

    for (const granted of [0, 1, 2]) {
      for (const published of [0, 1, 2]) {
        const expected = Math.min(granted, published)
        test(`[MQTT-3.8.4-6] published QoS ${published}, granted ${granted}: delivered ${expected}`, async t => {
          const subscriber = await hub.connect(t, { transport })
          await subscriber.subscribe(
            [`min/${granted}/${published}`, granted],
            [`min/+/${published}/${granted}`, granted],
          )
          const publisher = await hub.connect(t, { transport })
          for (const topic of [`min/${granted}/${published}`, `min/x/${published}/${granted}`]) {
            await publisher.publish({ topic, qos: published })
            const message = await subscriber.receive()
            assert.deepEqual([message.topic, message.qos], [topic, expected])
          }
        })
      }
    }

    test('[MQTT-3.8.4-3] the same filter again replaces the QoS and delivers one copy', async t => {
      const subscriber = await hub.connect(t, { transport })
      const publisher = await hub.connect(t, { transport })
      for (const qos of [0, 2, 1, 0]) {
        await subscriber.subscribe(['replaced/+', qos])
        await publisher.publish({ topic: 'replaced/x', qos: 2 })
        assert.equal((await subscriber.receive()).qos, qos)
        await subscriber.quiet()
      }
    })

    test('[MQTT-3.8.4-3] [MQTT-3.3.1-6] the same filter again brings the retained message again', async t => {
      const client = await hub.connect(t, { transport })
      await client.publish({ topic: 'resent/x', payload: 'kept', retain: true })
      for (let i = 0; i < 3; i++) {
        await client.subscribe(['resent/#', 0])
        const message = await client.receive()
        assert.deepEqual([message.payload.toString(), message.retain], ['kept', true])
      }
      await client.quiet()
    })

    test('[MQTT-3.8.4-3] publications go on while a subscription is replaced', async t => {
      const client = await hub.connect(t, { transport })
      await client.subscribe(['flow', 0])
      const bytes: Buffer[] = []
      for (let i = 0; i < 20; i++)
        bytes.push(publish({ topic: 'flow', payload: `${i}` }), subscribe(1 + i, ['flow', 0]))
      client.send(Buffer.concat(bytes))
      const payloads: string[] = []
      for (let i = 0; i < 40; i++) {
        const received = await client.next()
        if (received.type === 'publish') payloads.push(received.payload.toString())
      }
      assert.deepEqual(
        payloads,
        Array.from({ length: 20 }, (_, i) => `${i}`),
      )
    })

    test('[MQTT-3.3.5-1] overlapping filters deliver at the highest QoS', async t => {
      const client = await hub.connect(t, { transport })
      await client.subscribe(['overlap/a', 0], ['overlap/+', 2], ['overlap/#', 1])
      const publisher = await hub.connect(t, { transport })
      await publisher.publish({ topic: 'overlap/a', payload: 'x', qos: 2 })
      // More copies, for the other filters, are allowed.
      const copies = (await client.everything()).map(copy => (copy.type === 'publish' ? copy.qos : -1))
      assert.equal(Math.max(...copies), 2)
    })

    test('[MQTT-3.8.3-2] [MQTT-4.7.1-1] filters with wildcards are supported', async t => {
      const client = await hub.connect(t, { transport })
      await client.subscribe(['wild/+/c', 0])
      client.send(publish({ topic: 'wild/b/c' }))
      assert.equal((await client.receive()).topic, 'wild/b/c')
    })

    for (const flags of [0x80, 0x81, 0x83, 0x86, 0x8a, 0x8f]) {
      test(`[MQTT-3.8.1-1] [MQTT-2.2.2-2] SUBSCRIBE that starts with ${flags} ends the connection`, async t => {
        const client = await hub.connect(t, { transport })
        const bytes = subscribe(1, ['flags', 0])
        bytes[0] = flags
        client.send(bytes)
        await client.closed()
      })
    }

    for (const [name, filter] of [
      ['[MQTT-3.8.3-1] [MQTT-1.5.3-1] a filter that is no UTF-8', ILL_FORMED],
      ['[MQTT-3.8.3-1] [MQTT-1.5.3-1] a filter with a surrogate', SURROGATE],
      ['[MQTT-3.8.3-1] [MQTT-1.5.3-2] a filter with U+0000', 'a\0b'],
    ] as const) {
      test(`${name} ends the connection`, async t => {
        const client = await hub.connect(t, { transport })
        client.send(subscribe(1, ['fine', 0], [filter, 0]))
        await client.closed()
      })
    }

    test('[MQTT-3.8.3-3] SUBSCRIBE without filters ends the connection', async t => {
      const client = await hub.connect(t, { transport })
      client.send(subscribe(1))
      await client.closed()
    })

    for (const options of [3, 4, 0x08, 0x80, 0xff]) {
      test(`[MQTT-3.8.3-4] requested QoS byte ${options} ends the connection`, async t => {
        const client = await hub.connect(t, { transport })
        client.send(subscribe(1, ['fine', 0], ['reserved', options]))
        await client.closed()
      })
    }

    test('[MQTT-2.3.1-1] SUBSCRIBE with packet identifier 0 ends the connection', async t => {
      const client = await hub.connect(t, { transport })
      client.send(subscribe(0, ['zero', 0]))
      await client.closed()
    })

    for (const [name, body] of [
      ['no packet identifier', []],
      ['half a packet identifier', [Buffer.from([0])]],
      ['a filter without QoS', [u16(1), u16(3), Buffer.from('abc')]],
      ['a filter cut short', [u16(1), u16(30), Buffer.from('abc')]],
      ['half a filter length', [u16(1), Buffer.from([0])]],
    ] as const) {
      test(`[MQTT-4.8.0-1] SUBSCRIBE with ${name} ends the connection`, async t => {
        const client = await hub.connect(t, { transport })
        client.send(packet(0x82, ...body))
        await client.closed()
      })
    }
  })
}

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { transports, useHub } from '../support/hub.ts'

const REJECTED = { type: 'connack', sessionPresent: false, returnCode: 2 } as const

for (const transport of transports) {
  describe(`Client identifiers on ${transport}`, { concurrency: true }, () => {
    const hub = useHub({ transports: [transport] })

    for (const clientId of [
      'a',
      '0123456789abcdefghijklm',
      'nopqrstuvwxyzABCDEFGHIJ',
      'KLMNOPQRSTUVWXYZ',
      'Z'.repeat(23),
    ]) {
      test(`[MQTT-3.1.3-5] client identifier ${clientId} is accepted`, async t => {
        const client = await hub.connect(t, { transport, clientId })
        await client.quiet()
      })
    }

    test('[MQTT-3.1.3-6] clients with an empty identifier are kept apart', async t => {
      const first = await hub.connect(t, { transport, clientId: '' })
      const second = await hub.connect(t, { transport, clientId: '' })
      await first.subscribe(['unique/a', 0])
      await second.subscribe(['unique/b', 0])
      await second.publish({ topic: 'unique/a', payload: 'to the first' })
      assert.equal((await first.receive()).payload.toString(), 'to the first')
      await first.quiet()
      await second.quiet()
    })

    test('[MQTT-3.1.3-8] [MQTT-3.1.3-9] an empty identifier with clean session 0 gets CONNACK 2', async t => {
      const client = await hub.open(t, transport)
      assert.deepEqual(await client.connect({ clientId: '', cleanSession: false }), REJECTED)
      await client.closed()
    })

    test('[MQTT-3.1.4-2] a client identifier in use: the old connection ends, the new one works', async t => {
      const old = await hub.connect(t, { transport, clientId: 'taken' })
      await old.subscribe(['taken', 0])
      const young = await hub.connect(t, { transport, clientId: 'taken' })
      await old.closed()
      await young.publish({ topic: 'taken', payload: 'x' })
      await young.quiet() // the subscription was the old session's
    })

    test('[MQTT-3.1.4-2] the same identifier ten times in a row leaves one connection', async t => {
      const clients = await Promise.all(Array.from({ length: 10 }, () => hub.open(t, transport)))
      const last = clients.pop()
      assert.ok(last !== undefined)
      for (const client of clients) assert.equal((await client.connect({ clientId: 'ten' })).returnCode, 0)
      assert.equal((await last.connect({ clientId: 'ten' })).returnCode, 0)
      for (const client of clients) await client.closed()
      await last.quiet()
    })

    test('[MQTT-3.1.3-2] [MQTT-3.1.4-3] the client identifier finds the session, clean session removes it', async t => {
      const clientId = 'session-of-mine'
      const first = await hub.connect(t, { transport, clientId, cleanSession: false })
      await first.subscribe(['mine', 1])
      await first.disconnect()
      const stranger = await hub.open(t, transport)
      const other = await stranger.connect({ clientId: 'session-of-others', cleanSession: false })
      assert.equal(other.sessionPresent, false)
      const again = await hub.open(t, transport)
      assert.equal((await again.connect({ clientId, cleanSession: false })).sessionPresent, true)
      await stranger.publish({ topic: 'mine', payload: '1', qos: 1 })
      assert.equal((await again.receive()).payload.toString(), '1')
      await again.disconnect()
      const clean = await hub.connect(t, { transport, clientId })
      await stranger.publish({ topic: 'mine', payload: '2', qos: 1 })
      await clean.quiet()
    })
  })
}

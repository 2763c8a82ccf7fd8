import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { useHub } from '../support/hub.ts'
import { connect } from '../support/packets.ts'

describe('CONNACK', { concurrency: true }, () => {
  const hub = useHub()

  test('[MQTT-3.2.0-1] CONNACK comes before the messages that waited', async t => {
    const clientId = 'waiting'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['waiting/#', 1])
    await first.disconnect()
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: 'waiting/1', qos: 1 })
    const again = await hub.open(t)
    again.send(connect({ clientId, cleanSession: false }))
    await again.expect('connack')
    assert.equal((await again.receive()).topic, 'waiting/1')
  })

  test('[MQTT-3.2.2-1] clean session 1: session present is 0, although a session was stored', async t => {
    const clientId = 'clean-after-kept'
    const kept = await hub.connect(t, { clientId, cleanSession: false })
    await kept.disconnect()
    const clean = await hub.open(t)
    assert.deepEqual(await clean.connect({ clientId }), { type: 'connack', sessionPresent: false, returnCode: 0 })
  })

  test('[MQTT-3.2.2-2] clean session 0 with a stored session: session present is 1', async t => {
    const clientId = 'kept'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.disconnect()
    const again = await hub.open(t)
    const connack = await again.connect({ clientId, cleanSession: false })
    assert.deepEqual(connack, { type: 'connack', sessionPresent: true, returnCode: 0 })
  })

  test('[MQTT-3.2.2-2] the same after the connection was cut', async t => {
    const clientId = 'kept-cut'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['kept-cut', 1])
    first.destroy()
    const again = await hub.open(t)
    assert.equal((await again.connect({ clientId, cleanSession: false })).sessionPresent, true)
  })

  test('[MQTT-3.2.2-2] the same when the session is taken over from a live connection', async t => {
    const clientId = 'kept-live'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['kept-live', 1])
    const again = await hub.open(t)
    assert.equal((await again.connect({ clientId, cleanSession: false })).sessionPresent, true)
    await first.closed()
  })

  test('[MQTT-3.2.2-3] clean session 0 without a stored session: session present is 0', async t => {
    const client = await hub.open(t)
    const connack = await client.connect({ clientId: 'new', cleanSession: false })
    assert.deepEqual(connack, { type: 'connack', sessionPresent: false, returnCode: 0 })
  })

  test('[MQTT-3.2.2-3] a clean session leaves no session to be present', async t => {
    const clientId = 'clean-then-kept'
    const clean = await hub.connect(t, { clientId })
    await clean.subscribe(['clean-then-kept', 1])
    await clean.disconnect()
    const kept = await hub.open(t)
    assert.equal((await kept.connect({ clientId, cleanSession: false })).sessionPresent, false)
  })

  test('[MQTT-3.2.2-4] [MQTT-3.2.2-5] a refusal has session present 0 and ends the connection', async t => {
    const clientId = 'refused-with-session'
    const kept = await hub.connect(t, { clientId, cleanSession: false })
    await kept.disconnect()
    const refused = await hub.open(t)
    const connack = await refused.connect({ clientId, cleanSession: false, protocolLevel: 7 })
    assert.deepEqual(connack, { type: 'connack', sessionPresent: false, returnCode: 1 })
    await refused.closed()
  })
})

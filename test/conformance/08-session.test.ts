import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { useHub } from '../support/hub.ts'
import { unsubscribe } from '../support/packets.ts'

describe('Sessions', { concurrency: true }, () => {
  const hub = useHub()

  test('[MQTT-3.1.2-4] [MQTT-4.1.0-1] a kept session has its subscriptions after DISCONNECT and after a cut', async t => {
    const clientId = 'subscriptions-kept'
    const publisher = await hub.connect(t)
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['kept/a', 1], ['kept/b/+', 2])
    await first.disconnect()
    const second = await hub.connect(t, { clientId, cleanSession: false })
    await publisher.publish({ topic: 'kept/a', qos: 2 })
    assert.equal((await second.receive()).qos, 1)
    second.destroy()
    const third = await hub.connect(t, { clientId, cleanSession: false })
    await publisher.publish({ topic: 'kept/b/x', qos: 2 })
    assert.equal((await third.receive()).qos, 2)
    await third.quiet()
  })

  for (const published of [1, 2]) {
    for (const granted of [1, 2]) {
      test(`[MQTT-3.1.2-5] QoS ${published} messages for a QoS ${granted} subscription wait for the client`, async t => {
        const name = `away-${published}-${granted}`
        const first = await hub.connect(t, { clientId: name, cleanSession: false })
        await first.subscribe([`${name}/#`, granted])
        await first.disconnect()
        const publisher = await hub.connect(t)
        for (let i = 0; i < 10; i++) await publisher.publish({ topic: `${name}/x`, payload: `${i}`, qos: published })
        const second = await hub.connect(t, { clientId: name, cleanSession: false })
        for (let i = 0; i < 10; i++) {
          const message = await second.receive()
          assert.deepEqual(
            [message.payload.toString(), message.qos, message.dup, message.retain],
            [`${i}`, Math.min(published, granted), false, false],
          )
        }
        await second.quiet()
      })
    }
  }

  test('[MQTT-3.1.2-5] only messages that match a subscription wait', async t => {
    const clientId = 'away-match'
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['away/match', 1], ['away/gone', 1])
    first.send(unsubscribe(1, 'away/gone'))
    await first.expect('unsuback')
    await first.disconnect()
    const publisher = await hub.connect(t)
    for (const topic of ['away/gone', 'away/other', 'away/match', 'away']) await publisher.publish({ topic, qos: 1 })
    const second = await hub.connect(t, { clientId, cleanSession: false })
    assert.equal((await second.receive()).topic, 'away/match')
    await second.quiet()
  })

  test('[MQTT-3.1.2-6] clean session 1 discards subscriptions, waiting and unacknowledged messages', async t => {
    const clientId = 'discarded'
    const publisher = await hub.connect(t)
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['discarded', 1])
    await publisher.publish({ topic: 'discarded', payload: 'unacknowledged', qos: 1 })
    await first.expect('publish')
    first.destroy()
    await publisher.publish({ topic: 'discarded', payload: 'waiting', qos: 1 })
    const clean = await hub.connect(t, { clientId })
    await publisher.publish({ topic: 'discarded', payload: 'live', qos: 1 })
    await clean.quiet()
    await clean.disconnect()
    const kept = await hub.connect(t, { clientId, cleanSession: false })
    await publisher.publish({ topic: 'discarded', payload: 'late', qos: 1 })
    await kept.quiet()
  })

  test('[MQTT-3.1.2-6] a clean session ends with its connection', async t => {
    const clientId = 'ends'
    const publisher = await hub.connect(t)
    const first = await hub.connect(t, { clientId })
    await first.subscribe(['ends', 1])
    first.destroy()
    const away = await hub.connect(t, { clientId: 'ends-other', cleanSession: false })
    await publisher.publish({ topic: 'ends', qos: 1 })
    await away.quiet()
    const second = await hub.connect(t, { clientId })
    await publisher.publish({ topic: 'ends', qos: 1 })
    await second.quiet()
  })

  test('[MQTT-3.1.2-6] clean session 1 takes nothing over from a live kept session', async t => {
    const clientId = 'live-then-clean'
    const publisher = await hub.connect(t)
    const live = await hub.connect(t, { clientId, cleanSession: false })
    await live.subscribe(['live-then-clean', 1])
    await publisher.publish({ topic: 'live-then-clean', qos: 1 })
    await live.expect('publish')
    const clean = await hub.connect(t, { clientId })
    await live.closed()
    await publisher.publish({ topic: 'live-then-clean', qos: 1 })
    await clean.quiet()
  })

  test('[MQTT-3.1.2-7] retained messages outlive the session of their publisher', async t => {
    const clientId = 'retains'
    const first = await hub.connect(t, { clientId })
    await first.publish({ topic: 'outlives', payload: 'kept', qos: 1, retain: true })
    await first.disconnect()
    const again = await hub.connect(t, { clientId })
    await again.disconnect()
    const reader = await hub.connect(t)
    await reader.subscribe(['outlives', 1])
    assert.equal((await reader.receive()).payload.toString(), 'kept')
  })

  test('[MQTT-4.1.0-2] a clean session lasts as long as its connection', async t => {
    const client = await hub.connect(t)
    await client.subscribe(['lasts', 1])
    await client.nothing(150)
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: 'lasts', qos: 1 })
    assert.equal((await client.receive()).topic, 'lasts')
  })

  test('[MQTT-4.1.0-1] a session taken over mid-flow goes on at the new connection', async t => {
    const clientId = 'mid-flow'
    const publisher = await hub.connect(t)
    const first = await hub.connect(t, { clientId, cleanSession: false })
    await first.subscribe(['mid-flow', 1])
    for (let i = 0; i < 5; i++) await publisher.publish({ topic: 'mid-flow', payload: `${i}`, qos: 1 })
    await first.receive()
    await first.receive()
    await first.everything()
    const second = await hub.connect(t, { clientId, cleanSession: false })
    await first.closed()
    const received: string[] = []
    for (let i = 0; i < 3; i++) received.push((await second.receive()).payload.toString())
    assert.deepEqual(received, ['2', '3', '4'])
    await second.quiet()
    await publisher.publish({ topic: 'mid-flow', payload: '5', qos: 1 })
    assert.equal((await second.receive()).payload.toString(), '5')
  })

  test('[MQTT-4.5.0-1] a message waits in every session that matches, each with its own QoS', async t => {
    const ids = ['every-1', 'every-2', 'every-3']
    for (const [i, clientId] of ids.entries()) {
      const client = await hub.connect(t, { clientId, cleanSession: false })
      await client.subscribe(['every/+', i === 2 ? 2 : 1])
      await client.disconnect()
    }
    const publisher = await hub.connect(t)
    await publisher.publish({ topic: 'every/x', payload: 'one', qos: 2 })
    await publisher.publish({ topic: 'every/y', payload: 'two', qos: 1 })
    for (const [i, clientId] of ids.entries()) {
      const client = await hub.connect(t, { clientId, cleanSession: false })
      const one = await client.receive()
      const two = await client.receive()
      assert.deepEqual([one.payload.toString(), one.qos], ['one', i === 2 ? 2 : 1])
      assert.deepEqual([two.payload.toString(), two.qos], ['two', 1])
      await client.quiet()
    }
  })
})

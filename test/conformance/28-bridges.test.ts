/** Clients that say in CONNECT that they are bridges, in the manner of mosquitto: bit 7 of the protocol level. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { configOf, embedHub } from '../support/embedded-hub.ts'
import { ownHubOnly } from '../support/hub.ts'
import { publish } from '../support/packets.ts'
import type { RawClient } from '../support/raw-client.ts'
import { StoredHub } from '../support/stored-hub.ts'

const BRIDGE = 0x84
const STATE = '$SYS/bridge/b1/state'

/** What a client hears until the hub has nothing more to say: topic, QoS, RETAIN, payload. */
async function heard(client: RawClient): Promise<string[]> {
  const packets = await client.everything()
  return packets.map(packet => {
    assert.ok(packet.type === 'publish', `a message, not ${packet.type}`)
    const { topic, qos, retain, payload } = packet
    return `${topic} ${qos}${retain ? ' retained' : ''} ${payload}`
  })
}

const OPEN = `anonymous: { permissions: [{ action: pub, permit: ['#'] }, { action: sub, permit: ['#', '$SYS/#'] }] }`
const ALLOWED = OPEN.replace(`permit: ['#'] }`, `permit: ['#', '$SYS/bridge/#'] }`)

suite('bridges', { skip: ownHubOnly }, () => {
  for (const protocolLevel of [0x83, 0x84]) {
    test(`protocol level ${protocolLevel} is let in`, async t => {
      const { open } = await embedHub(t)
      const client = await open()
      const protocolName = protocolLevel === 0x83 ? 'MQIsdp' : 'MQTT'
      const { returnCode } = await client.connect({ clientId: 'b1', protocolLevel, protocolName })
      assert.equal(returnCode, 0)
    })
  }

  test('protocol level 0x85 is not [MQTT-3.1.2-2]', async t => {
    const { open } = await embedHub(t)
    const client = await open()
    assert.equal((await client.connect({ clientId: 'b1', protocolLevel: 0x85 })).returnCode, 1)
    await client.closed()
  })

  for (const isStored of [false, true]) {
    const where = isStored ? 'a kept session' : 'a clean session'

    test(`a bridge does not get what it has published itself, others do: ${where}`, async t => {
      const hub = await StoredHub.start(t)
      const bridge = await hub.guest('b1', { protocolLevel: BRIDGE, cleanSession: !isStored })
      const other = await hub.guest('b2', { protocolLevel: BRIDGE })
      const plain = await hub.guest('plain', { cleanSession: !isStored })
      for (const client of [bridge, other, plain]) await client.subscribe(['a/#', 2])
      for (const qos of [0, 1, 2]) await bridge.publish({ topic: 'a/b', payload: `q${qos}`, qos })
      bridge.send(...[1, 2, 3].map(packetId => publish({ topic: 'a/run', payload: `${packetId}`, qos: 1, packetId })))
      for (const packetId of [1, 2, 3]) assert.deepEqual(await bridge.expect('puback'), { type: 'puback', packetId })
      await bridge.publish({ topic: 'a/kept', payload: 'r', qos: 1, retain: true })
      const all = ['a/b 0 q0', 'a/b 1 q1', 'a/b 2 q2', 'a/run 1 1', 'a/run 1 2', 'a/run 1 3']
      assert.deepEqual(await heard(plain), [...all, 'a/kept 1 r'])
      assert.deepEqual(await heard(other), [...all, 'a/kept 1 retained r'])
      assert.deepEqual(await heard(bridge), [])
      await other.publish({ topic: 'a/b', payload: 'back', qos: 1 })
      assert.deepEqual(await heard(bridge), ['a/b 1 back'])
    })
  }

  test('a client that is no bridge gets what it has published itself', async t => {
    const { connect } = await embedHub(t)
    const client = await connect('plain')
    await client.subscribe(['a', 1])
    client.send(publish({ topic: 'a', payload: 'm' }))
    assert.deepEqual(await heard(client), ['a 0 m'])
  })

  test('an identifier that was a bridge is none when it connects without the bit, and the other way round', async t => {
    const hub = await StoredHub.start(t)
    const first = await hub.kept('b1', false, { protocolLevel: BRIDGE })
    await first.subscribe(['a', 1])
    await first.publish({ topic: 'a', payload: 'own', qos: 1 })
    await first.disconnect()
    const second = await hub.kept('b1', true)
    second.send(publish({ topic: 'a', payload: 'own', qos: 0, retain: true }))
    assert.deepEqual(await heard(second), ['a 0 own'])
    await second.disconnect()
    const third = await hub.kept('b1', true, { protocolLevel: BRIDGE })
    await third.publish({ topic: 'a', payload: 'own', qos: 1 })
    await third.quiet()
  })

  test('RETAIN stays with messages that waited on disk for a bridge, over a restart; others get them without', async t => {
    const hub = await StoredHub.start(t)
    for (const [id, protocolLevel] of [['b1', BRIDGE] as const, ['plain', 4] as const]) {
      const client = await hub.kept(id, false, { protocolLevel })
      await client.subscribe(['a/#', 1])
      await client.disconnect()
    }
    const publisher = await hub.guest('publisher')
    await publisher.publish({ topic: 'a/1', payload: 'one', qos: 1, retain: true })
    await publisher.publish({ topic: 'a/2', payload: 'two', qos: 1 })
    await hub.restart()
    const bridge = await hub.kept('b1', true, { protocolLevel: BRIDGE })
    assert.deepEqual(await heard(bridge), ['a/1 1 retained one', 'a/2 1 two'])
    const plain = await hub.kept('plain', true)
    assert.deepEqual(await heard(plain), ['a/1 1 one', 'a/2 1 two'])
  })

  suite('the state of a bridge', () => {
    test('is retained below $SYS/bridge/ when its principal may publish there', async t => {
      const { connect, open } = await embedHub(t, { config: configOf('', ALLOWED) })
      const bridge = await open()
      await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE })
      const reader = await connect('reader')
      await reader.subscribe(['$SYS/bridge/#', 1])
      await bridge.publish({ topic: STATE, payload: 'up', retain: true })
      await bridge.publish({ topic: STATE, payload: 'up again', qos: 1, retain: true })
      assert.deepEqual(await heard(reader), [`${STATE} 0 up`, `${STATE} 0 up again`])
      const late = await connect('late')
      await late.subscribe([STATE, 1])
      assert.deepEqual(await heard(late), [`${STATE} 0 retained up again`])
      await bridge.publish({ topic: STATE, payload: '', retain: true })
      const later = await connect('later')
      await later.subscribe([STATE, 1])
      assert.deepEqual(await heard(later), [])
    })

    test('is dropped without harm when it may not', async t => {
      const { connect, open } = await embedHub(t, { config: configOf('', OPEN) })
      const bridge = await open()
      const will = { topic: STATE, payload: 'gone', retain: true }
      assert.equal((await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE, will })).returnCode, 0)
      const reader = await connect('reader')
      await reader.subscribe(['$SYS/bridge/#', 1], ['a', 1])
      await bridge.publish({ topic: STATE, payload: 'up', qos: 1, retain: true })
      await bridge.publish({ topic: 'a', payload: 'all is well', qos: 1 })
      bridge.destroy()
      assert.deepEqual(await heard(reader), ['a 1 all is well'])
    })

    test('is told by the Will when the bridge has gone without a word', async t => {
      const hub = await embedHub(t, { config: configOf('', ALLOWED) })
      const bridge = await hub.open()
      const will = { topic: STATE, payload: 'gone', retain: true }
      await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE, will })
      const reader = await hub.connect('reader')
      await reader.subscribe(['$SYS/bridge/#', 1])
      bridge.destroy()
      const { topic, payload } = await reader.receive()
      assert.deepEqual([topic, String(payload)], [STATE, 'gone'])
    })

    test('is not for clients that are no bridges, nor is any other topic of the hub for bridges', async t => {
      const { connect, open } = await embedHub(t, { config: configOf('', ALLOWED.replace('$SYS/bridge/#', '$SYS/#')) })
      const plain = await connect('plain')
      plain.send(publish({ topic: STATE, payload: 'up' }))
      await plain.closed()
      const bridge = await open()
      await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE })
      bridge.send(publish({ topic: '$SYS/broker/uptime', payload: '1' }))
      await bridge.closed()
    })

    test('a hook that sees every message changes nothing of that', async t => {
      const { hub, connect, open } = await embedHub(t, { config: configOf('', ALLOWED) })
      hub.on('publish', () => {})
      const bridge = await open()
      await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE })
      const reader = await connect('reader')
      await reader.subscribe(['$SYS/bridge/#', 1], ['a', 1])
      await bridge.subscribe(['a', 1])
      await bridge.publish({ topic: STATE, payload: 'up', retain: true })
      await bridge.publish({ topic: 'a', payload: 'm', qos: 1 })
      assert.deepEqual(await heard(reader), [`${STATE} 0 up`, 'a 1 m'])
      await bridge.quiet()
    })
  })
})

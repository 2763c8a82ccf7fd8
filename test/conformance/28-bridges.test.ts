/** Clients that say in CONNECT that they are bridges, in the manner of mosquitto: bit 7 of the protocol level. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { memoryPersistence, memoryQueue } from '../contract/aedes/plugins.ts'
import { configOf, type EmbeddedHub, embedHub, until } from '../support/embedded-hub.ts'
import { ownHubOnly } from '../support/hub.ts'
import { connect, puback, publish, subscribe } from '../support/packets.ts'
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
    return `${topic} ${qos}${retain ? ' retained' : ''} ${payload.toString()}`
  })
}

/** A hub with a store. */
async function stored(t: TestContext): Promise<Pick<EmbeddedHub, 'open' | 'connect'>> {
  const hub = await StoredHub.start(t)
  return { open: () => hub.open(), connect: clientId => hub.guest(clientId) }
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

  for (const [what, plugged] of [
    ['persistence', { persistence: memoryPersistence }],
    ['emitter', { mq: memoryQueue }],
  ] as const) {
    test(`with a plugged ${what} they are told to come as ordinary clients [MQTT-3.1.2-2]`, async t => {
      const options = Object.fromEntries(Object.entries(plugged).map(([key, make]) => [key, make()]))
      const { open, connect } = await embedHub(t, options)
      const bridge = await open()
      assert.equal((await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE })).returnCode, 1)
      await bridge.closed()
      await connect('b1')
    })
  }

  suite('retained messages', () => {
    for (const isStored of [false, true]) {
      const where = isStored ? 'stored' : 'in memory'

      test(`${where}: not for the bridge that has brought them in, as long as they are retained`, async t => {
        const { open, connect } = isStored ? await stored(t) : await embedHub(t)
        const bridge = await open()
        await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE })
        await bridge.publish({ topic: 'a/mine', payload: 'mine', qos: 1, retain: true })
        await bridge.publish({ topic: 'a/theirs', payload: 'mine', qos: 1, retain: true })
        const plain = await connect('plain')
        await plain.publish({ topic: 'a/theirs', payload: 'theirs', qos: 1, retain: true })
        await plain.publish({ topic: 'a/now-mine', payload: 'theirs', qos: 1, retain: true })
        await bridge.publish({ topic: 'a/now-mine', payload: 'mine', qos: 1, retain: true })
        for (let i = 0; i < 2; i++) {
          await bridge.subscribe(['a/#', 1], ['#', 0])
          assert.deepEqual(await heard(bridge), ['a/theirs 1 retained theirs'])
        }
        await plain.subscribe(['a/mine', 0])
        assert.deepEqual(await heard(plain), ['a/mine 0 retained mine'])
        await bridge.disconnect()
        const same = await connect('b1')
        await same.subscribe(['a/mine', 0])
        assert.deepEqual(await heard(same), ['a/mine 0 retained mine'])
      })
    }

    test('what it brings in while it waits for what was retained before is not sent in its place', async t => {
      const hub = await StoredHub.start(t, { settings: { queueMessages: 10, window: 20 } })
      const plain = await hub.guest('plain')
      for (let i = 0; i < 100; i++) await plain.publish({ topic: `a/${i}`, payload: 'theirs', qos: 1, retain: true })
      const bridge = await hub.kept('b1', false, { protocolLevel: BRIDGE })
      bridge.send(subscribe(1, ['a/#', 1]))
      const waiting = new Set(Array.from({ length: 100 }, (_, i) => `a/${i}`))
      await bridge.expect('suback')
      const acknowledged = async (): Promise<void> => {
        for (const packet of await bridge.everything()) {
          if (packet.type !== 'publish') continue
          assert.equal(packet.payload.toString(), 'theirs', packet.topic)
          waiting.delete(packet.topic)
          bridge.send(puback(packet.packetId))
        }
      }
      await acknowledged()
      const [mine] = [...waiting].slice(-1) as [string]
      bridge.send(publish({ topic: mine, payload: 'mine', qos: 1, packetId: 7, retain: true }))
      await until(async () => {
        await acknowledged()
        return waiting.size === 1
      }, 'all but one were sent')
      assert.deepEqual([...waiting], [mine])
      await bridge.quiet()
    })

    test('a Will of a bridge is its own as well', async t => {
      const { open, connect } = await embedHub(t)
      const bridge = await open()
      await bridge.connect({
        clientId: 'b1',
        protocolLevel: BRIDGE,
        will: { topic: 'a', payload: 'gone', retain: true },
      })
      const plain = await connect('plain')
      await plain.subscribe(['a', 0])
      bridge.destroy()
      assert.equal(String((await plain.receive()).payload), 'gone')
      const back = await open()
      await back.connect({ clientId: 'b1', protocolLevel: BRIDGE })
      await back.subscribe(['a', 0])
      assert.deepEqual(await heard(back), [])
    })
  })

  test('with rules a bridge has room made for copies, and none for what it does not get', async t => {
    const lines = `queue: { overflow: reject-publish, max: { messages: 2 } }
subscriptions: [{ source: { topic: up/#, qos: 1 }, target: { topic: 'copy/{#}', qos: 1 } }]`
    const { hub, open, connect } = await embedHub(t, { config: configOf(lines) })
    const bridge = await open()
    await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE })
    await bridge.subscribe(['up/full', 1], ['down/#', 1])
    const publisher = await connect('publisher')
    for (let i = 1; i <= 300; i++) publisher.send(publish({ topic: 'down/x', payload: `${i}`, qos: 1, packetId: i }))
    await until(() => hub.state.counters.messagesReceived >= 300, 'all were read')
    await bridge.everything()
    bridge.send(publish({ topic: 'up/full', payload: 'taken', qos: 1, packetId: 7 }))
    assert.deepEqual(await bridge.expect('puback'), { type: 'puback', packetId: 7 })
    await bridge.subscribe(['copy/full', 1])
    bridge.send(publish({ topic: 'up/full', payload: 'refused', qos: 1, packetId: 8 }))
    await bridge.quiet()
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

    test('does not come back to it, neither by its Will nor when it subscribes again', async t => {
      const { connect, open } = await embedHub(t, { config: configOf('', ALLOWED) })
      const bridge = await open()
      const will = { topic: STATE, payload: 'gone', retain: true, qos: 1 }
      await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE, cleanSession: false, will })
      const other = await open()
      await other.connect({ clientId: 'b2', protocolLevel: BRIDGE })
      for (const each of [bridge, other]) await each.subscribe(['$SYS/bridge/#', 1])
      const reader = await connect('reader')
      await reader.subscribe(['$SYS/bridge/#', 1])
      await bridge.publish({ topic: STATE, payload: 'up', qos: 1, retain: true })
      bridge.destroy()
      for (const payload of ['up', 'gone']) assert.equal(String((await reader.receive()).payload), payload)
      assert.deepEqual(await heard(other), [`${STATE} 0 retained up`, `${STATE} 0 retained gone`])
      const back = await open()
      await back.connect({ clientId: 'b1', protocolLevel: BRIDGE, cleanSession: false })
      await back.subscribe(['$SYS/bridge/#', 1])
      assert.deepEqual(await heard(back), [])
    })

    test('goes where rules want it', async t => {
      const rule = `subscriptions: [{ source: { topic: $SYS/bridge/+/state }, target: { topic: 'state/{1}' } }]`
      const { hub, connect, open } = await embedHub(t, { config: configOf(rule, ALLOWED) })
      const reader = await connect('reader')
      await reader.subscribe(['state/#', 0])
      const bridge = await open()
      await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE })
      await bridge.publish({ topic: STATE, payload: 'up', retain: true })
      assert.deepEqual(await heard(reader), ['state/b1 0 up'])
      hub.on('publish', () => {})
      await bridge.publish({ topic: STATE, payload: 'again', qos: 1, retain: true })
      assert.deepEqual(await heard(reader), ['state/b1 0 again'])
    })

    for (const lines of ['', 'limits: { topic: { dollar: allow } }']) {
      test(`can't be told by the Will of another client: ${lines || 'by default'}`, async t => {
        const { hub, open } = await embedHub(t, { config: configOf(lines, ALLOWED) })
        const plain = await open()
        plain.send(connect({ clientId: 'plain', will: { topic: STATE, payload: 'up', retain: true } }))
        await plain.closed()
        assert.equal(hub.retained.find([{ topic: STATE, qos: 0 }]).messages.size, 0)
      })
    }

    test('with the packet identifier 0 is none [MQTT-2.3.1-1]', async t => {
      const { open } = await embedHub(t, { config: configOf('', ALLOWED) })
      const bridge = await open()
      await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE })
      bridge.send(publish({ topic: STATE, payload: 'up', qos: 1, packetId: 0 }))
      await bridge.closed()
    })

    test('at a topic of more levels than limits.topic allows ends the connection', async t => {
      const { open } = await embedHub(t, { config: configOf('', ALLOWED) })
      const bridge = await open()
      await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE })
      bridge.send(publish({ topic: `$SYS/bridge/${'x/'.repeat(20)}state`, payload: 'up' }))
      await bridge.closed()
    })

    test('is counted among what is limited, and forgotten when it is cleared', async t => {
      const config = configOf('limits: { retained: { count: 2 } }', ALLOWED)
      const { hub, open } = await embedHub(t, { config })
      const before = hub.retained.limited
      const bridge = await open()
      await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE })
      for (const payload of ['up', 'down', 'up']) await bridge.publish({ topic: STATE, payload, qos: 1, retain: true })
      await bridge.publish({ topic: 'a', payload: 'm', qos: 1, retain: true })
      assert.equal(hub.retained.limited.count, before.count + 2)
      await bridge.publish({ topic: 'b', payload: 'one too many', qos: 1, retain: true })
      assert.equal(hub.retained.limited.count, before.count + 2)
      for (const topic of [STATE, 'a']) await bridge.publish({ topic, payload: '', qos: 1, retain: true })
      assert.deepEqual(hub.retained.limited, before)
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

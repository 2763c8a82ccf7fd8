/** What the hub does for bridges that connect to it. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { configOf, embedHub, until } from '../../support/embedded-hub.ts'
import { publish } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'
import { StoredHub } from '../../support/stored-hub.ts'

const BRIDGE = 0x84
const ALLOWED = `anonymous: { permissions: [{ action: pub, permit: ['#', '$SYS/bridge/#'] }, { action: sub, permit: ['#', '$SYS/#'] }] }`

async function heard(client: RawClient): Promise<string[]> {
  const packets = await client.everything()
  return packets.map(packet => {
    assert.ok(packet.type === 'publish', `a message, not ${packet.type}`)
    const { topic, qos, retain, payload } = packet
    return `${topic} ${qos}${retain ? ' retained' : ''} ${payload.toString()}`
  })
}

suite('the hub and the state of a bridge', () => {
  for (const topic of ['$SYS/bridge/+/state', '$SYS/bridge/#', '$SYS/bridge/a\0b']) {
    test(`${JSON.stringify(topic)} is no topic for it either [MQTT-3.3.2-2]`, async t => {
      const { open } = await embedHub(t, { config: configOf('', ALLOWED) })
      const bridge = await open()
      await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE })
      bridge.send(publish({ topic, payload: 'up', retain: true }))
      await bridge.closed()
    })
  }

  test('a Will with a wildcard in its topic is refused to bridges, too', async t => {
    const { hub, open } = await embedHub(t, { config: configOf('', ALLOWED) })
    const bridge = await open()
    const will = { topic: '$SYS/bridge/+/x', payload: 'gone', retain: true }
    const connecting = bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE, will }).then(
      () => 'admitted',
      () => 'closed',
    )
    assert.equal(await connecting, 'closed')
    await bridge.closed()
    assert.equal(Object.keys(hub.clients).length, 0)
  })

  test('what bridges tell is limited as all that clients have retained is', async t => {
    const config = configOf('limits: { retained: { count: 5 } }', ALLOWED)
    const { open, connect } = await embedHub(t, { config })
    const bridge = await open()
    await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE })
    for (let i = 0; i < 500; i++) bridge.send(publish({ topic: `$SYS/bridge/${i}/state`, payload: 'up', retain: true }))
    await bridge.publish({ topic: 'done', payload: '', qos: 1 })
    const reader = await connect('reader')
    await reader.subscribe(['$SYS/bridge/#', 0])
    const count = (await heard(reader)).length
    assert.ok(count <= 50, `${count} retained messages of one client, where 5 are allowed`)
  })

  test('does not come back to the bridge that told it', async t => {
    const { open } = await embedHub(t, { config: configOf('', ALLOWED) })
    const bridge = await open()
    await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE })
    await bridge.subscribe(['$SYS/bridge/#', 0])
    await bridge.publish({ topic: '$SYS/bridge/b1/state', payload: 'up', retain: true })
    assert.deepEqual(await heard(bridge), [])
  })
})

suite('the hub and messages of and for bridges', () => {
  test('RETAIN stays with what is published after a restart and before the bridge is back', async t => {
    const hub = await StoredHub.start(t)
    const bridge = await hub.kept('b1', false, { protocolLevel: BRIDGE })
    await bridge.subscribe(['a/#', 1])
    await bridge.disconnect()
    await hub.restart()
    const publisher = await hub.guest('publisher')
    await publisher.publish({ topic: 'a/1', payload: 'one', qos: 1, retain: true })
    const back = await hub.kept('b1', true, { protocolLevel: BRIDGE })
    assert.deepEqual(await heard(back), ['a/1 1 retained one'])
  })

  test('a bridge whose own queue is full may publish what it does not get itself', async t => {
    const config = configOf('queue: { overflow: reject-publish, max: { messages: 2 } }', ALLOWED)
    const { hub, open, connect } = await embedHub(t, { config })
    const bridge = await open()
    await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE })
    await bridge.subscribe(['a/#', 1])
    const publisher = await connect('publisher')
    // The bridge acknowledges nothing: its remote is slow.
    for (let i = 1; i <= 300; i++) publisher.send(publish({ topic: 'a/x', payload: `${i}`, qos: 1, packetId: i }))
    await until(() => hub.state.counters.messagesReceived >= 300, 'all were read')
    bridge.send(publish({ topic: 'a/up', payload: 'from the remote', qos: 1, packetId: 9 }))
    const deadline = performance.now() + 1500
    for (;;) {
      const packet = await bridge.next(deadline - performance.now())
      if (packet.type === 'puback' && packet.packetId === 9) break
    }
  })

  test('what a bridge has published with RETAIN does not come back when it subscribes again', async t => {
    const { open } = await embedHub(t)
    const bridge = await open()
    await bridge.connect({ clientId: 'b1', protocolLevel: BRIDGE })
    await bridge.subscribe(['a/#', 1])
    await bridge.publish({ topic: 'a/1', payload: 'of the remote', qos: 1, retain: true })
    assert.deepEqual(await heard(bridge), [])
    await bridge.subscribe(['a/#', 1])
    assert.deepEqual(await heard(bridge), [])
  })
})

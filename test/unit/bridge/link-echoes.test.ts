/** What is taken for an echo, and what is not. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Manners } from '../../support/bridge-fake.ts'
import { oneRule, Stage } from '../../support/bridge-stage.ts'

const BOTH = [{ topic: 't/#', qos: 1 }]
/** It does not take bridges, so that what comes back has to be known by its content. */
const PLAIN: Partial<Manners> = { connack: ({ protocolLevel }) => (protocolLevel === 4 ? 0 : 1), acknowledges: true }
const MESSAGE = { topic: 't/1', payload: 'm', qos: 1, packetId: 1 }

suite('a broker that takes no bridges', () => {
  test('a message that went there comes back once: an echo; again: it is somebody else', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.fake({ acknowledges: true }), await stage.fake(PLAIN)]
    const bridge = await stage.connectedBridge(oneRule(hub.address, remote.address, { out: BOTH, in: BOTH }))
    hub.standing[0]?.publish(MESSAGE)
    await bridge.until(() => bridge.flow('out').acknowledged === 1, 'it goes')
    const far = remote.standing[0]
    far?.publish(MESSAGE)
    far?.publish({ ...MESSAGE, packetId: 2 })
    await bridge.until(() => bridge.flow('in').acknowledged === 1, 'the second one is forwarded')
    assert.equal(bridge.flow('in').dropped.echo, 1)
  })

  test('that refuses the filter sends nothing back: the same message is somebody else', async t => {
    const stage = new Stage(t)
    const hub = await stage.fake({ acknowledges: true })
    const remote = await stage.fake({ ...PLAIN, suback: () => 0x80 })
    const bridge = await stage.connectedBridge(oneRule(hub.address, remote.address, { out: BOTH, in: BOTH }))
    hub.standing[0]?.publish(MESSAGE)
    await bridge.until(() => bridge.flow('out').acknowledged === 1, 'it goes')
    remote.standing[0]?.publish(MESSAGE)
    await bridge.until(() => bridge.flow('in').acknowledged === 1, 'it is forwarded')
  })

  test('a link that was away when the message went is not sent it', async t => {
    const stage = new Stage(t)
    const hub = await stage.fake({ acknowledges: true })
    let isAway = true
    const remote = await stage.fake({
      connack: ({ clientId }) => (clientId === 'down' && isAway ? 'close' : 0),
      acknowledges: true,
    })
    const bridge = await stage.bridge({
      hub: { address: hub.address },
      remotes: [{ name: 'cloud', address: remote.address }],
      rules: [
        { name: 'up', hub: { clientid: 'up', subscriptions: BOTH }, remote: { name: 'cloud', clientid: 'up' } },
        { name: 'down', hub: { clientid: 'down' }, remote: { name: 'cloud', clientid: 'down', subscriptions: BOTH } },
      ],
    })
    await bridge.connected('up')
    hub.standing.find(({ connect }) => connect.clientId === 'up')?.publish(MESSAGE)
    await bridge.until(() => bridge.flow('out', 'up').acknowledged === 1, 'it goes')
    isAway = false
    await bridge.connected('down')
    const down = remote.standing.find(({ packets, connect }) => packets.length > 0 && connect.clientId === 'down')
    down?.publish(MESSAGE)
    await bridge.until(() => bridge.flow('in', 'down').acknowledged === 1, 'it is forwarded')
  })
})

/** How the links of a bridge begin and end. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { BridgeService } from '../../../src/bridge/index.ts'
import { bridgeConfigOf, oneRule, Stage } from '../../support/bridge-stage.ts'
import { puback } from '../../support/packets.ts'

const OUT = { out: [{ topic: 'a', qos: 1 }] }

suite('a bridge that stops', () => {
  test('while it starts: nothing of it is left', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.fake(), await stage.fake()]
    const config = bridgeConfigOf(oneRule(hub.address, remote.address, OUT))
    const service = new BridgeService({ ...config, metrics: { listen: 'http://127.0.0.1:0' } })
    stage.after(() => service.stop())
    const starting = service.start(new AbortController().signal).catch(() => {})
    await service.stop()
    await starting
    await new Promise(resolve => setTimeout(resolve, 200))
    assert.equal(hub.standing.length + remote.standing.length, 0, 'connections are left')
  })

  test('is told to twice: both wait for the acknowledgement, and no longer', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.fake(), await stage.fake()]
    const lines = oneRule(hub.address, remote.address, OUT, { shutdown: { timeout: '3s' } })
    const bridge = await stage.connectedBridge(lines)
    const [near, far] = [await hub.ready(), await remote.next()]
    near.publish({ topic: 'a', payload: 'm', qos: 1, packetId: 1 })
    await far.messages(1)
    const began = performance.now()
    const stops = [bridge.service.stop(), bridge.service.stop()]
    far.send(puback(1))
    await Promise.all(stops)
    const took = performance.now() - began
    assert.ok(took < 2000, `it took ${Math.round(took)} ms`)
  })

  test('before SUBSCRIBE is answered: it says DISCONNECT all the same', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.fake({ suback: null }), await stage.fake()]
    const bridge = await stage.bridge(oneRule(hub.address, remote.address, OUT))
    const near = await hub.ready()
    await bridge.stop()
    await near.closed()
    assert.equal(near.all('disconnect').length, 1, 'without it the hub publishes the Will')
  })
})

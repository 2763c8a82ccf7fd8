/** A value that is retained on both sides of a rule that takes the same filter from both. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { oneRule, Stage } from '../../support/bridge-stage.ts'

const BOTH = [{ topic: 'a/#', qos: 1 }]

suite('a value that changed at the remote while the bridge was away', () => {
  for (const qos of [0, 1] as const) {
    test(`QoS ${qos}: the hub does not put the one from before in its place`, async t => {
      const stage = new Stage(t)
      const [hub, remote] = [await stage.hub(), await stage.hub()]
      const lines = oneRule(hub.address, remote.address, { out: BOTH, in: BOTH })
      const first = await stage.connectedBridge(lines)
      const [local, far] = [await hub.client({}, ['a/#', 1]), await remote.client()]
      await far.publish({ topic: 'a/1', payload: 'before', qos: 1, retain: true })
      await local.untilPayload('before')
      await first.stop()
      await far.publish({ topic: 'a/1', payload: 'after', qos, retain: true })
      await stage.connectedBridge(lines)
      await local.untilPayload('after')
      await new Promise(resolve => setTimeout(resolve, 200))
      for (const broker of [hub, remote]) {
        const reader = await broker.client({}, ['a/#', 1])
        assert.deepEqual((await reader.until(1)).length, 1)
        assert.deepEqual(reader.payloads, ['after'], broker === hub ? 'at the hub' : 'at the remote')
      }
    })
  }
})

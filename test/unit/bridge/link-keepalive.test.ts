/** Brokers that fall silent. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { oneRule, Stage } from '../../support/bridge-stage.ts'

const KEEPALIVE_MS = 1000
const OUT = { out: [{ topic: 'a', qos: 1 }] }

suite('a broker that answers no ping', () => {
  for (const [what, lastAfterMs] of [
    ['that says nothing more', 0],
    ['that says something shortly after the ping', 1080],
    ['that says something a while after the ping', 1400],
  ] as const) {
    test(`${what} is given up one and a half times the keep alive after its last word`, async t => {
      const stage = new Stage(t)
      const [hub, remote] = [await stage.fake({ answersPings: false }), await stage.fake()]
      const side = { address: hub.address, keepalive: `${KEEPALIVE_MS}ms` }
      await stage.connectedBridge(oneRule(side, remote.address, OUT))
      const near = await hub.ready()
      let last = performance.now()
      if (lastAfterMs > 0) {
        await new Promise(resolve => setTimeout(resolve, lastAfterMs))
        near.publish({ topic: 'a', payload: 'm' })
        last = performance.now()
      }
      await near.closed(5000)
      const took = near.closedAt - last
      assert.ok(took > 1.4 * KEEPALIVE_MS && took < 1.75 * KEEPALIVE_MS, `after ${Math.round(took)} ms`)
    })
  }
})

/** Brokers that are told that this is a bridge, and those that do not bear it. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { FakeBroker, Manners } from '../../support/bridge-fake.ts'
import { oneRule, Stage } from '../../support/bridge-stage.ts'

const PLAIN = 4
const BRIDGE = 0x84
const IN = { in: [{ topic: 'a', qos: 1 }] }

const levelsOf = ({ connections }: FakeBroker): number[] =>
  connections.map(({ packets: [first] }) => (first?.type === 'connect' ? first.protocolLevel : 0))

suite('the mark of a bridge in CONNECT', () => {
  const refusals: [what: string, connack: Manners['connack'], asked: number][] = [
    ['answers 1', ({ protocolLevel }) => (protocolLevel === BRIDGE ? 1 : 0), 1],
    // Once may be an accident.
    ['closes', ({ protocolLevel }) => (protocolLevel === BRIDGE ? 'close' : 0), 2],
  ]
  for (const [what, connack, asked] of refusals) {
    test(`a broker that ${what} is connected to without, at once, and not asked again soon`, async t => {
      const stage = new Stage(t)
      const [hub, remote] = [await stage.fake(), await stage.fake({ connack })]
      const bridge = await stage.connectedBridge(oneRule(hub.address, remote.address, IN))
      remote.standing[0]?.destroy()
      await bridge.until(() => bridge.link('remote').connects === 2, 'another connection')
      assert.deepEqual(levelsOf(remote), [...Array.from({ length: asked }, () => BRIDGE), PLAIN, PLAIN])
      assert.equal(bridge.link('remote').isPrivate, false)
      assert.equal(bridge.log.find(['warn'], 'link.failed').length, 0, bridge.log.toString())
    })
  }

  for (const code of [2, 3, 4, 5]) {
    test(`CONNACK ${code} has nothing to do with it`, async t => {
      const stage = new Stage(t)
      const [hub, remote] = [await stage.fake(), await stage.fake({ connack: () => code })]
      const bridge = await stage.bridge(oneRule(hub.address, remote.address, IN))
      await bridge.until(() => remote.connections.length >= 4, 'some attempts')
      assert.deepEqual(new Set(levelsOf(remote).slice(0, 3)), new Set([BRIDGE]))
    })
  }

  test('a connection that breaks once before CONNACK does not cost the mark for all time', async t => {
    const stage = new Stage(t)
    let attempts = 0
    const hub = await stage.fake()
    const remote = await stage.fake({ connack: () => (attempts++ === 0 ? 'close' : 0) })
    const bridge = await stage.connectedBridge(oneRule(hub.address, remote.address, IN))
    for (let connects = 2; connects <= 4; connects++) {
      remote.standing.at(-1)?.destroy()
      await bridge.until(() => bridge.link('remote').connects === connects, 'another connection')
    }
    assert.ok(levelsOf(remote).lastIndexOf(BRIDGE) > 0, `asked once only: ${levelsOf(remote).join()}`)
  })
})

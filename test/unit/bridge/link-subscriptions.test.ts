/** What a link subscribes to, and what it says of the answers. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { FakeConnection } from '../../support/bridge-fake.ts'
import { oneRule, Stage, type SubscriptionLines } from '../../support/bridge-stage.ts'

const lines = (filters: readonly string[], qos = 1): SubscriptionLines[] => filters.map(topic => ({ topic, qos }))

/** The filters that a client of a broker has in the end, going by its packets in their order. */
function heldBy({ packets }: FakeConnection): Record<string, number> {
  const held = new Map<string, number>()
  for (const sent of packets) {
    if (sent.type === 'subscribe') for (const [filter, qos] of sent.subscriptions) held.set(filter, qos)
    if (sent.type === 'unsubscribe') for (const filter of sent.filters) held.delete(filter)
  }
  return Object.fromEntries([...held].sort(([a], [b]) => (a < b ? -1 : 1)))
}

suite('what a link subscribes to', () => {
  test('filters that mean something to objects of JavaScript or of a library', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.fake(), await stage.fake()]
    const filters = ['__proto__', 'constructor', 'resubscribe', 'toString', '7', 'b']
    const bridge = await stage.bridge(oneRule(hub.address, remote.address, { in: lines(filters) }))
    const far = await remote.ready(1)
    await bridge.connected()
    assert.deepEqual(Object.keys(heldBy(far)).sort(), [...filters].sort())
  })

  test('the filter that was refused is the one that is named, also among filters that look like numbers', async t => {
    const stage = new Stage(t)
    const hub = await stage.fake()
    const remote = await stage.fake({ suback: (filter, qos) => (filter === 'b' ? 0x80 : qos) })
    const bridge = await stage.connectedBridge(oneRule(hub.address, remote.address, { in: lines(['b', '7', 'c']) }))
    assert.deepEqual(bridge.link('remote').refused, ['b'])
  })

  test('what was refused stays known when a reload asks for something else', async t => {
    const stage = new Stage(t)
    const hub = await stage.fake()
    const remote = await stage.fake({ suback: (filter, qos) => (filter === 'bad' ? 0x80 : qos) })
    const of = (...filters: string[]) => oneRule(hub.address, remote.address, { in: lines(filters) })
    const bridge = await stage.connectedBridge(of('bad', 'good'))
    const far = await remote.ready(2)
    assert.deepEqual(bridge.link('remote').refused, ['bad'])
    await bridge.reload(of('bad', 'good', 'better'))
    await far.subscribed(3)
    await new Promise(resolve => setTimeout(resolve, 50))
    assert.deepEqual(bridge.link('remote').refused, ['bad'])
    await bridge.reload(of('good', 'better'))
    await bridge.until(() => bridge.link('remote').refused.length === 0, 'nothing refused any more')
  })

  test('two reloads, the second before the first is answered: the broker has what the second one says', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.fake(), await stage.fake()]
    const of = (subscriptions: SubscriptionLines[]) => oneRule(hub.address, remote.address, { in: subscriptions })
    const bridge = await stage.connectedBridge(of(lines(['a', 'k'])))
    const far = await remote.ready(2)
    void bridge.reload(of([...lines(['b']), ...lines(['k'], 2)]))
    await bridge.reload(of([...lines(['c']), ...lines(['k'], 1)]))
    await far.until(() => 'c' in heldBy(far), 'the last filter')
    await new Promise(resolve => setTimeout(resolve, 100))
    assert.deepEqual(heldBy(far), { c: 1, k: 1 })
  })

  test('a broker that does not answer the SUBSCRIBE of a reload is given up after the time-out', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.fake(), await stage.fake()]
    const to = { address: remote.address, timeout: '300ms' }
    const bridge = await stage.connectedBridge(oneRule(hub.address, to, { in: lines(['a']) }))
    const far = await remote.ready()
    remote.manners.suback = null
    await bridge.reload(oneRule(hub.address, to, { in: lines(['a', 'b']) }))
    await far.closed(5000)
  })
})

/** Rules that lead a message in a circle. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type RuleLines, Stage, type SubscriptionLines } from '../../support/bridge-stage.ts'

const MOST = 50

const taken = (from: string, to = ''): SubscriptionLines[] => [{ topic: from, qos: 1, target: { topic: to } }]

const up = (name: string, remote: string, subscriptions: SubscriptionLines[]): RuleLines => ({
  name,
  hub: { clientid: `hub-${name}`, subscriptions },
  remote: { name: remote, clientid: `remote-${name}` },
})

const down = (name: string, remote: string, subscriptions: SubscriptionLines[]): RuleLines => ({
  name,
  hub: { clientid: `hub-${name}` },
  remote: { name: remote, clientid: `remote-${name}`, subscriptions },
})

suite('a message does not run in a circle for ever, and it is said that it would', () => {
  const circles: [what: string, rules: RuleLines[]][] = [
    [
      'the remote has two names, and its address is written in two ways',
      [up('one', 'cloud', taken('a/#')), down('two', 'other', taken('a/#'))],
    ],
    [
      'four rules that rewrite topics',
      [
        up('one', 'cloud', taken('a/#', 'w/{#}')),
        down('two', 'cloud', taken('w/#', 'b/{#}')),
        up('three', 'cloud', taken('b/#', 'x/{#}')),
        down('four', 'cloud', taken('x/#', 'a/{#}')),
      ],
    ],
  ]
  for (const [what, rules] of circles) {
    test(what, async t => {
      const stage = new Stage(t)
      const [hub, remote] = [await stage.hub(), await stage.hub()]
      const remotes = [
        { name: 'cloud', address: remote.address },
        { name: 'other', address: remote.address.replace('tcp://127.0.0.1', 'mqtt://0.0.0.0') },
      ]
      const bridge = await stage.connectedBridge({ hub: { address: hub.address }, remotes, rules })
      const local = await hub.client()
      await local.publish({ topic: 'a/1', payload: 'm', qos: 1 })
      await new Promise(resolve => setTimeout(resolve, 300))
      const { forwarded } = bridge.flow('out', 'one')
      assert.ok(forwarded <= MOST, `one message was forwarded ${forwarded} times`)
      assert.match(bridge.log.toString(), /bridge\.loop/)
    })
  }

  test('two addresses of one broker that look like two brokers', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.hub(), await stage.hub()]
    const remotes = [
      { name: 'cloud', address: remote.address },
      { name: 'other', address: remote.address.replace('127.0.0.1', 'localhost') },
    ]
    const rules = [up('one', 'cloud', taken('a/#')), down('two', 'other', taken('a/#'))]
    const bridge = await stage.connectedBridge({ hub: { address: hub.address }, remotes, rules })
    const local = await hub.client()
    await local.publish({ topic: 'a/1', payload: 'm', qos: 1 })
    await bridge.until(() => bridge.flow('in', 'two').dropped.echo > 0, 'the circle is cut', 20_000)
    assert.match(bridge.log.toString(), /bridge\.loop/)
    const { forwarded } = bridge.flow('out', 'one')
    await new Promise(resolve => setTimeout(resolve, 300))
    assert.equal(bridge.flow('out', 'one').forwarded, forwarded, 'and stays so')
    // From now on it is known.
    for (let i = 0; i < 5; i++) await local.publish({ topic: 'a/2', payload: `${i}`, qos: 1 })
    await bridge.until(() => bridge.flow('in', 'two').dropped.echo >= 6, 'the others are known')
    assert.ok(bridge.flow('out', 'one').forwarded <= forwarded + 6, 'they were sent once')
  })

  test('two brokers that are given the same messages by somebody else hold nothing back', async t => {
    const stage = new Stage(t)
    const [hub, cloud, other] = [await stage.hub(), await stage.hub(), await stage.hub()]
    const remotes = [
      { name: 'cloud', address: cloud.address },
      { name: 'other', address: other.address },
    ]
    const rules = [up('one', 'cloud', taken('a/#')), down('two', 'other', taken('a/#'))]
    const bridge = await stage.connectedBridge({ hub: { address: hub.address }, remotes, rules })
    const [local, far] = [await hub.client(), await other.client()]
    const same = Array.from({ length: 500 }, () => 'the same')
    await Promise.all([local.publishAll('a/1', 1, same), far.publishAll('a/1', 1, same)])
    await bridge.until(() => bridge.flow('in', 'two').received === 500, 'all came')
    assert.equal(bridge.flow('in', 'two').dropped.echo, 0)
    await bridge.until(() => bridge.flow('out', 'one').acknowledged === 1000, 'all went on')
  })
})

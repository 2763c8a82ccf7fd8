/** Rules that follow each other in a reload, with the client identifiers of those before. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type BridgeLines, type RuleLines, Stage } from '../../support/bridge-stage.ts'

const ACCESS = `anonymous: { permissions: [{ action: pub, permit: ['#', '$SYS/bridge/#'] }, { action: sub, permit: ['#', '$SYS/#'] }] }`

/** A bridge with a rule of this name, or with none. */
function linesOf(hub: string, remote: string, name: string | null): BridgeLines {
  const rule: RuleLines = {
    name: name ?? '',
    hub: { clientid: 'on-hub', subscriptions: [{ topic: 'a/#', qos: 1 }] },
    remote: { name: 'cloud', clientid: 'on-remote' },
  }
  return {
    hub: { address: hub },
    remotes: [{ name: 'cloud', address: remote }],
    rules: name === null ? [] : [rule],
    status: { topic: '$SYS/bridge/{rule}/state' },
    shutdown: { timeout: '2s' },
  }
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

suite('a rule that takes over the client identifiers of another', () => {
  for (const [what, between] of [
    ['it has another name', []],
    ['it was removed and is put back', [null]],
  ] as const) {
    test(`${what}: of the two only one is connected at a time`, async t => {
      const stage = new Stage(t)
      const hub = await stage.hub()
      const remote = await stage.fake()
      const names = [...between, between.length === 0 ? 'after' : 'before']
      const bridge = await stage.connectedBridge(linesOf(hub.address, remote.address, 'before'))
      const local = await hub.client()
      await local.publish({ topic: 'a/1', payload: 'on its way', qos: 1 })
      await (await remote.next()).messages(1)
      // What goes waits for an acknowledgement that does not come, up to shutdown.timeout.
      for (const name of names) await bridge.reload(linesOf(hub.address, remote.address, name))
      const last = names.at(-1) as string
      await pause(2500)
      await bridge.connected(last)
      assert.ok(bridge.link('hub', last).connects <= 2, `${bridge.link('hub', last).connects} connections to the hub`)
      assert.ok(remote.standing.length <= 1, `${remote.standing.length} connections to the remote`)
    })
  }

  test('the state of the old name is cleared, that of the new one is told', async t => {
    const stage = new Stage(t)
    const hub = await stage.hub({ access: ACCESS })
    const remote = await stage.hub()
    const bridge = await stage.connectedBridge(linesOf(hub.address, remote.address, 'before'))
    await bridge.reload(linesOf(hub.address, remote.address, 'after'))
    await pause(1500)
    await bridge.connected()
    const reader = await hub.client({}, ['$SYS/bridge/#', 1])
    await reader.until(1)
    await pause(100)
    const states = reader.messages.map(({ topic, payload }) => `${topic} ${payload.toString()}`)
    assert.equal(states.length, 1, states.join('\n'))
    assert.match(states[0] ?? '', /after\/state \{"connected":true/)
  })

  test('the state that stands at another topic since a reload is cleared at the old one', async t => {
    const stage = new Stage(t)
    const hub = await stage.hub({ access: ACCESS })
    const remote = await stage.hub()
    const lines = linesOf(hub.address, remote.address, 'rule')
    const bridge = await stage.connectedBridge(lines)
    await bridge.reload({ ...lines, status: { topic: '$SYS/bridge/{rule}/other' } })
    await pause(300)
    await bridge.connected()
    const reader = await hub.client({}, ['$SYS/bridge/#', 1])
    await reader.until(1)
    await pause(100)
    assert.deepEqual(
      reader.messages.map(({ topic }) => topic),
      ['$SYS/bridge/rule/other'],
    )
  })

  test('status.topic is none from now on: what stood is cleared', async t => {
    const stage = new Stage(t)
    const hub = await stage.hub({ access: ACCESS })
    const remote = await stage.hub()
    const lines = linesOf(hub.address, remote.address, 'rule')
    const bridge = await stage.connectedBridge(lines)
    const before = await hub.client({ clientId: 'before' }, ['$SYS/bridge/#', 1])
    await before.until(1)
    await bridge.reload({ ...lines, status: { topic: 'none' } })
    await before.until(2)
    assert.equal(before.messages[1]?.payload.length, 0)
    await bridge.connected()
    const reader = await hub.client({ clientId: 'reader' }, ['$SYS/bridge/#', 1], ['end', 1])
    await reader.publish({ topic: 'end', payload: 'end', qos: 1 })
    assert.deepEqual(await reader.untilPayload('end'), [])
  })

  test('the hub is away when the rule goes: its successor clears the state, the Will perhaps', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.fake(), await stage.fake()]
    const bridge = await stage.connectedBridge(linesOf(hub.address, remote.address, 'before'))
    await hub.turnOff()
    await bridge.until(() => bridge.link('hub', 'before').phase === 'waiting', 'the hub is away')
    await bridge.reload(linesOf(hub.address, remote.address, 'after'))
    await hub.turnOn()
    await bridge.connected('after')
    const near = hub.standing[0]
    assert.ok(near !== undefined, 'nobody is connected to the hub')
    const states = (): string[] => near.all('publish').map(({ topic, payload }) => `${topic} ${payload.toString()}`)
    await near.until(() => states().includes('$SYS/bridge/before/state '), 'the old state is cleared')
    assert.ok(
      states().some(state => /after\/state \{"connected":true/.test(state)),
      states().join('\n'),
    )
  })

  test('a rule that goes does not connect again when its connection breaks', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.fake(), await stage.fake()]
    const lines = { ...linesOf(hub.address, remote.address, 'before'), shutdown: { timeout: '20s' } }
    const bridge = await stage.connectedBridge(lines)
    const [near, far] = [await hub.ready(), await remote.next()]
    near.publish({ topic: 'a/1', payload: 'on its way', qos: 1, packetId: 1 })
    await far.messages(1)
    await bridge.reload({ ...linesOf(hub.address, remote.address, null), shutdown: { timeout: '20s' } })
    await far.nothing(100)
    assert.equal(near.isClosed, false, 'it waits for the acknowledgement')
    far.destroy()
    await near.closed()
    assert.equal(near.packets.at(-1)?.type, 'disconnect')
    assert.deepEqual([hub.connections.length, remote.connections.length], [1, 1])
  })

  test('another client identifier is another session, whatever the broker says', async t => {
    const stage = new Stage(t)
    const hub = await stage.fake()
    const remote = await stage.fake({ sessionPresent: true })
    const lines = linesOf(hub.address, remote.address, 'rule')
    const bridge = await stage.connectedBridge(lines)
    const [rule] = lines.rules
    assert.ok(rule !== undefined, 'there is a rule')
    const other = { ...rule, remote: { ...rule.remote, clientid: 'another' } }
    await bridge.reload({ ...lines, rules: [other] })
    await bridge.until(() => bridge.link('remote', 'rule').connects === 2, 'it connects anew')
    remote.standing.at(-1)?.destroy()
    await bridge.until(() => bridge.link('remote', 'rule').connects === 3, 'it connects again')
    const isPresent = (): unknown[] =>
      bridge.log.find(['info'], 'link.connected', 'another').map(({ fields }) => fields['sessionPresent'])
    await bridge.until(() => isPresent().length === 2, 'both are told of')
    assert.deepEqual(isPresent(), [false, true])
  })
})

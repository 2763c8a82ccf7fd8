/** What a bridge tells the hub of itself, retained, where it is permitted to. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { OwnHub } from '../support/bridge-broker.ts'
import type { BridgeClient } from '../support/bridge-client.ts'
import { startBridgeProcess } from '../support/bridge-process.ts'
import { type BridgeLines, oneRule, Stage } from '../support/bridge-stage.ts'

const TOPIC = '$SYS/bridge/rule/state'
const FLOWS = { out: [{ topic: 't/#', qos: 1 }], in: [{ topic: 'd/#', qos: 1 }] }

function access(permit: string): string {
  const all = `{ action: sub, permit: ['#', '$SYS/#'] }`
  return [
    'principals:',
    `  - { username: bridge, password: pw, permissions: [${all}, { action: pub, permit: [${permit}] }] }`,
    `  - { username: reader, password: pw, permissions: [${all}, { action: pub, permit: ['#'] }] }`,
  ].join('\n')
}

const PERMITTED = access(`'#', '$SYS/bridge/#'`)
const READER = { username: 'reader', password: 'pw', clientId: 'reader' }

function linesOf(
  hub: OwnHub,
  remote: string,
  status: BridgeLines['status'] = { topic: '$SYS/bridge/{rule}/state' },
): BridgeLines {
  const sides = [{ address: hub.address, username: 'bridge', password: 'pw' }, remote] as const
  return oneRule(...sides, FLOWS, status === undefined ? {} : { status })
}

interface State {
  connected: boolean
  since: string | number
  error: string | object | null
}

/** Waits until the last state that came is as wanted. */
async function untilState(reader: BridgeClient, isSo: (state: State) => boolean, what: string): Promise<State> {
  for (let count = 1; ; count++) {
    await reader.until(count, 20_000).catch((cause: unknown) => {
      throw new Error(`${what}: ${reader.lines.join('\n')}`, { cause })
    })
    const state = stateAt(reader, count - 1)
    if (isSo(state)) {
      reader.messages.splice(0, count)
      return state
    }
  }
}

function stateAt(reader: BridgeClient, i: number): State {
  const message = reader.messages[i]
  assert.equal(message?.topic, TOPIC)
  return JSON.parse(message?.payload.toString() ?? '') as State
}

suite('the state of a rule', () => {
  test('is retained on the hub: connected, then not, with the reason, then again', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.hub({ access: PERMITTED }), await stage.mosquitto()]
    const reader = await hub.client(READER, [TOPIC, 1])
    const bridge = await stage.connectedBridge(linesOf(hub, remote.address))
    const first = await untilState(reader, ({ connected }) => connected, 'connected')
    assert.ok(Math.abs(Date.now() - new Date(first.since).getTime()) < 60_000, `since ${first.since}`)
    const late = await hub.client({ ...READER, clientId: 'late' }, [TOPIC, 1])
    await late.until(1)
    assert.equal(late.messages[0]?.retain, true, 'it is retained')
    await remote.stop()
    const away = await untilState(reader, ({ connected }) => !connected, 'not connected')
    const told = await (away.error === null || away.error === ''
      ? untilState(reader, ({ error }) => error !== null && error !== '', 'an error')
      : away)
    assert.match(JSON.stringify(told.error), /cloud|ERR_BRIDGE_|remote/)
    await remote.start()
    const again = await untilState(reader, ({ connected }) => connected, 'connected again')
    assert.ok(new Date(again.since).getTime() >= new Date(first.since).getTime(), `since ${again.since}`)
    await bridge.stop()
    await untilState(reader, ({ connected }) => !connected, 'stopped')
  })

  test('is set by the Will when the bridge is killed, and by itself when it stops', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.hub({ access: PERMITTED }), await stage.mosquitto()]
    const reader = await hub.client(READER, [TOPIC, 1])
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const bridge = await startBridgeProcess(stage, linesOf(hub, remote.address))
      await untilState(reader, ({ connected }) => connected, `connected, before ${signal}`)
      await bridge.end(signal)
      await untilState(reader, ({ connected }) => !connected, `not connected, after ${signal}`)
      const late = await hub.client({ ...READER, clientId: `late-${signal}` }, [TOPIC, 1])
      await late.until(1)
      assert.deepEqual([stateAt(late, 0).connected, late.messages[0]?.retain], [false, true])
    }
  })

  test('without the permission everything else works, and nobody is dropped', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.hub({ access: access(`'#'`) }), await stage.mosquitto()]
    const reader = await hub.client(READER, [TOPIC, 1], ['d/#', 1])
    const bridge = await stage.connectedBridge(linesOf(hub, remote.address))
    const far = await remote.client({}, ['t/#', 1])
    await reader.publish({ topic: 't/1', payload: 'up', qos: 1 })
    await far.untilPayload('up')
    await far.publish({ topic: 'd/1', payload: 'down', qos: 1 })
    assert.deepEqual(await reader.until(1), ['d/1 1 down'])
    await remote.stop()
    await bridge.until(() => bridge.link('remote').phase !== 'connected', 'the remote is away')
    await remote.start()
    await bridge.connected()
    assert.equal(bridge.link('hub').phase, 'connected')
    assert.equal(reader.messages.length, 1, 'nothing is told')
    assert.ok(bridge.link('hub').connects <= 2, `${bridge.link('hub').connects} connections to the hub`)
    await bridge.stop()
  })

  test('is told when it changes, not at every attempt', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.hub({ access: PERMITTED }), await stage.mosquitto()]
    const reader = await hub.client(READER, [TOPIC, 1], ['end', 1])
    const bridge = await stage.connectedBridge(linesOf(hub, remote.address))
    await untilState(reader, ({ connected }) => connected, 'connected')
    await remote.stop()
    const attempts = new Set<number>()
    const isEnough = (): boolean => attempts.add(bridge.link('remote').lastErrorAt).size >= 12
    await bridge.until(isEnough, 'a dozen attempts', 20_000)
    await reader.publish({ topic: 'end', payload: 'end', qos: 1 })
    const told = await reader.untilPayload('end')
    assert.ok(told.length >= 1 && told.length <= 4, told.join('\n'))
  })

  test('is told again to a hub that was away', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.hub({ access: PERMITTED }), await stage.mosquitto()]
    const bridge = await stage.connectedBridge(linesOf(hub, remote.address))
    await hub.stop()
    await bridge.until(() => bridge.link('hub').phase !== 'connected', 'the hub is away')
    await hub.start()
    const reader = await hub.client(READER, [TOPIC, 1])
    await untilState(reader, ({ connected }) => connected, 'connected, after the hub came back')
  })

  test('another topic, or none', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.hub({ access: PERMITTED }), await stage.mosquitto()]
    const reader = await hub.client(READER, ['#', 1], ['$SYS/bridge/#', 1])
    const bridge = await stage.connectedBridge(linesOf(hub, remote.address, { topic: 'bridges/{rule}' }))
    await reader.until(1)
    assert.equal(reader.messages[0]?.topic, 'bridges/rule')
    await bridge.stop()
    await reader.publish({ topic: 'a', payload: 'before', qos: 1 })
    await reader.untilPayload('before')
    await stage.connectedBridge(linesOf(hub, remote.address, { topic: 'none' }))
    await reader.publish({ topic: 'a', payload: 'after', qos: 1 })
    assert.deepEqual(await reader.untilPayload('after'), [])
  })

  test('does not go to the remote by a rule that takes everything', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.hub({ access: PERMITTED }), await stage.mosquitto()]
    const far = await remote.client({}, ['#', 1], ['$SYS/bridge/#', 1])
    const lines = linesOf(hub, remote.address)
    const [rule] = lines.rules
    assert.ok(rule !== undefined, 'there is a rule')
    const everything = { ...rule, hub: { ...rule.hub, subscriptions: [{ topic: '#', qos: 1 }] } }
    await stage.connectedBridge({ ...lines, rules: [everything] })
    const local = await hub.client({ ...READER, clientId: 'writer' })
    await local.publish({ topic: 'x', payload: 'm', qos: 1 })
    assert.deepEqual(await far.untilPayload('m'), [])
  })
})

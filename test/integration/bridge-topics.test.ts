/** What a bridge makes of topics, QoS and RETAIN, between real brokers. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Broker } from '../support/bridge-broker.ts'
import type { BridgeClient } from '../support/bridge-client.ts'
import { oneRule, Stage, type SubscriptionLines, type TestBridge } from '../support/bridge-stage.ts'
import type { Cleanup } from '../support/raw-client.ts'

type Remote = 'mosquitto' | 'hub'
type Direction = 'out' | 'in'

const REMOTES: readonly Remote[] = ['mosquitto', 'hub']
const DIRECTIONS: readonly Direction[] = ['out', 'in']

interface Scene {
  bridge: TestBridge
  writer: BridgeClient
  /** Gets all there is at the target. */
  reader: BridgeClient
  source: Broker
  target: Broker
}

async function scene(
  t: Cleanup,
  kind: Remote,
  direction: Direction,
  subscriptions: readonly SubscriptionLines[],
): Promise<Scene> {
  const stage = new Stage(t)
  const [hub, remote] = [await stage.hub(), kind === 'hub' ? await stage.hub() : await stage.mosquitto()]
  const [source, target] = direction === 'out' ? [hub, remote] : [remote, hub]
  const bridge = await stage.connectedBridge(oneRule(hub.address, remote.address, { [direction]: subscriptions }))
  const [writer, reader] = [await source.client(), await target.client({}, ['#', 2])]
  return { bridge, writer, reader, source, target }
}

const END: SubscriptionLines = { topic: 'end', qos: 1 }

/** All that has come to the target of what was published before. */
async function arrived({ writer, reader }: Scene): Promise<string[]> {
  await writer.publish({ topic: 'end', payload: 'end', qos: 1 })
  return reader.untilPayload('end')
}

for (const kind of REMOTES) {
  for (const direction of DIRECTIONS) {
    suite(`${direction}, between a hub and ${kind}`, () => {
      test('templates make the target topic', async t => {
        const table: [filter: string, template: string, topic: string, wanted: string][] = [
          ['a/+/b/+', 'x/{2}/y/{1}', 'a/1/b/2', 'x/2/y/1'],
          ['c/#', 'site/{#}', 'c/1/2/3', 'site/1/2/3'],
          ['c/#', 'site/{#}', 'c', 'site'],
          ['d/+', 'all/{topic}', 'd/ü', 'all/d/ü'],
          ['e/+', 'one', 'e/1', 'one'],
          ['f/+/#', '{#}/{1}', 'f/1/2/3', '2/3/1'],
          ['g/+', 'g-{1}-g', 'g/1', 'g-1-g'],
        ]
        const filters = new Map(table.map(([topic, target]) => [topic, { topic, qos: 1, target: { topic: target } }]))
        const all = await scene(t, kind, direction, [...filters.values(), END])
        for (const [i, [, , topic]] of table.entries()) await all.writer.publish({ topic, payload: `${i}`, qos: 1 })
        const wanted = table.map(([, , , target], i) => `${target} 1 ${i}`)
        assert.deepEqual((await arrived(all)).sort(), wanted.sort())
      })

      test('prefixes, as bridges of mosquitto have them', async t => {
        const prefix = [{ topic: 'local/sensors/#', qos: 1, target: { topic: 'remote/sensors/{#}' } }]
        const all = await scene(t, kind, direction, [...prefix, END])
        for (const topic of ['local/sensors/1', 'local/sensors/1/2', 'local/other', 'sensors/1'])
          await all.writer.publish({ topic, payload: topic, qos: 1 })
        const wanted = ['remote/sensors/1 1 local/sensors/1', 'remote/sensors/1/2 1 local/sensors/1/2']
        assert.deepEqual(await arrived(all), wanted)
      })

      test('QoS: the lowest of message, subscription and target', async t => {
        const qualities = [0, 1, 2]
        const pairs = qualities.flatMap(taken => qualities.map(given => [taken, given] as const))
        const filters = pairs.map(([taken, given]) => ({
          topic: `q/${taken}${given}/+`,
          qos: taken,
          target: { qos: given },
        }))
        const all = await scene(t, kind, direction, [...filters, END])
        for (const [taken, given] of pairs) {
          for (const qos of qualities) {
            const topic = `q/${taken}${given}/${qos}`
            await all.writer.publish({ topic, payload: 'm', qos })
            await all.reader.until(1)
            assert.deepEqual(all.reader.lines, [`${topic} ${Math.min(qos, taken, given)} m`])
            all.reader.messages.length = 0
          }
        }
        assert.deepEqual(await arrived(all), [], 'each came once')
      })

      test('RETAIN of what is published while the bridge is there: kept, or cleared', async t => {
        const all = await scene(t, kind, direction, [
          { topic: 'keep/#', qos: 1 },
          { topic: 'clear/#', qos: 1, target: { retain: 'clear' } },
          END,
        ])
        assert.ok(
          all.bridge.rule().links.every(({ isPrivate }) => isPrivate),
          'both brokers know that this is a bridge',
        )
        for (const topic of ['keep/1', 'clear/1']) {
          await all.writer.publish({ topic, payload: 'kept', qos: 1, retain: true })
          await all.writer.publish({ topic: `${topic}0`, payload: 'not', qos: 1 })
        }
        await arrived(all)
        const late = await all.target.client({}, ['#', 1])
        assert.deepEqual(await late.until(1), ['keep/1 1 kept RETAIN'])
        await all.writer.publish({ topic: 'keep/1', payload: '', qos: 1, retain: true })
        await arrived(all)
        const later = await all.target.client({}, ['#', 1])
        await all.writer.publish({ topic: 'end', payload: 'last', qos: 1 })
        assert.deepEqual(await later.untilPayload('last'), [], 'an empty message takes it away there too')
      })

      test('of filters that overlap the one with the highest QoS decides, then the first: one copy', async t => {
        const all = await scene(t, kind, direction, [
          { topic: 'o/#', qos: 0, target: { topic: 'zero/{#}' } },
          { topic: 'o/+', qos: 1, target: { topic: 'first/{1}' } },
          { topic: 'o/a', qos: 1, target: { topic: 'second' } },
          { topic: '+/b', qos: 2, target: { topic: 'two' } },
          END,
        ])
        for (const topic of ['o/a', 'o/b', 'o/c/d']) await all.writer.publish({ topic, payload: topic, qos: 1 })
        assert.deepEqual(await arrived(all), ['first/a 1 o/a', 'two 1 o/b', 'zero/c/d 0 o/c/d'])
      })
    })
  }
}

suite('limits', () => {
  test('each subscription has its own; what is above it is acknowledged, dropped and counted', async t => {
    const all = await scene(t, 'mosquitto', 'out', [
      { topic: 'slow/#', qos: 1, limit: { rate: 1, burst: 5 } },
      { topic: 'fast/#', qos: 1 },
      END,
    ])
    const payloads = Array.from({ length: 40 }, (_, i) => `${i}`)
    await all.writer.publishAll('slow/1', 1, payloads)
    await all.writer.publishAll('fast/1', 1, payloads)
    const lines = await arrived(all)
    const slow = lines.filter(line => line.startsWith('slow/'))
    assert.ok(slow.length >= 5 && slow.length <= 12, `${slow.length} came through`)
    assert.equal(lines.filter(line => line.startsWith('fast/')).length, 40)
    const { dropped, received } = all.bridge.flow('out')
    assert.equal(dropped.limited, 40 - slow.length)
    assert.equal(received, 81)
  })
})

suite('topics that can not be', () => {
  test('a target that a template can not make is dropped and counted; the others go on', async t => {
    // 65535 bytes are the longest a topic may have; three times the same level is more.
    const stage = new Stage(t)
    const [hub, remote] = [await stage.fake(), await stage.fake({ acknowledges: true })]
    const subscription = { topic: 'a/+', qos: 1, target: { topic: 'x/{1}/{1}/{1}' } }
    const bridge = await stage.connectedBridge(oneRule(hub.address, remote.address, { out: [subscription] }))
    const [from, to] = [await hub.ready(), await remote.next()]
    from.publish({ topic: `a/${'l'.repeat(30_000)}`, payload: '1', qos: 1, packetId: 1 })
    from.publish({ topic: 'a/b', payload: '2', qos: 1, packetId: 2 })
    assert.equal((await to.expect('publish')).topic, 'x/b/b/b')
    const answers = [await from.expect('puback'), await from.expect('puback')]
    assert.deepEqual(
      answers.map(({ packetId }) => packetId).sort((a, b) => a - b),
      [1, 2],
    )
    assert.equal(bridge.flow('out').dropped.invalid, 1)
  })

  test('what a kept session still brings of an earlier configuration is dropped and counted', async t => {
    const stage = new Stage(t)
    const [hub, remote] = [await stage.fake(), await stage.fake({ acknowledges: true })]
    const bridge = await stage.connectedBridge(
      oneRule(hub.address, remote.address, { out: [{ topic: 'a/+', qos: 1 }] }),
    )
    const [from, to] = [await hub.ready(), await remote.next()]
    from.publish({ topic: 'earlier', payload: '1', qos: 1, packetId: 1 })
    from.publish({ topic: 'a/b', payload: '2', qos: 1, packetId: 2 })
    assert.equal((await to.expect('publish')).topic, 'a/b')
    assert.deepEqual([(await from.expect('puback')).packetId, (await from.expect('puback')).packetId], [1, 2])
    assert.equal(bridge.flow('out').dropped.unmatched, 1)
  })
})

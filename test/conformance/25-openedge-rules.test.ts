/** The rules of the hub as OpenEdge has them: where a message goes, with which QoS, and what a copy is. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { RuleConfig } from '../../src/config/index.ts'
import { configOf, type EmbeddedHub, embedHub } from '../support/embedded-hub.ts'
import { ownHubOnly } from '../support/hub.ts'
import { type PublishOptions, puback, publish, type Qos } from '../support/packets.ts'
import type { Cleanup, RawClient } from '../support/raw-client.ts'
import { heard, linesOf, publishAtOnce, rule, ruleOf, rulesYaml } from '../support/rules.ts'

type Rules = readonly RuleConfig[]

interface Scene extends EmbeddedHub {
  publisher: RawClient
}

/** A hub with these rules, read from a configuration, and somebody to publish. */
async function scene(t: Cleanup, rules: Rules, lines = ''): Promise<Scene> {
  const embedded = await embedHub(t, { config: configOf(`${rulesYaml(...rules)}\n${lines}`) })
  return { ...embedded, publisher: await embedded.connect('publisher') }
}

async function reader({ connect }: EmbeddedHub, ...filters: [string, Qos][]): Promise<RawClient> {
  const client = await connect('reader')
  await client.subscribe(...filters)
  return client
}

const QOS = [0, 1, 2] as const
const FAN_OUT: Rules = [
  rule('all -> 00', { sourceQos: 0, targetQos: 0 }),
  rule('all -> 11', { sourceQos: 1, targetQos: 1 }),
]
const CHAIN: Rules = [
  rule('head -> next', { sourceQos: 1, targetQos: 1 }),
  rule('next -> tail', { sourceQos: 1, targetQos: 1 }),
]
const SOON = 'message: { egress: { qos1: { retry: { interval: 500ms } } } }'

suite('fan-out and fan-in', { skip: ownHubOnly }, () => {
  test('fan-out of QoS 0: three messages of QoS 0', async t => {
    const hub = await scene(t, FAN_OUT)
    const client = await reader(hub, ['all', 1], ['00', 1], ['11', 1])
    await hub.publisher.publish({ topic: 'all', payload: 'm', qos: 0 })
    assert.deepEqual(await heard(client), ['00 0 m', '11 0 m', 'all 0 m'])
  })

  test('fan-out of QoS 1: the original and 11 with QoS 1, 00 with QoS 0', async t => {
    const hub = await scene(t, FAN_OUT)
    const client = await reader(hub, ['all', 1], ['00', 1], ['11', 1])
    await hub.publisher.publish({ topic: 'all', payload: 'm', qos: 1 })
    assert.deepEqual(await heard(client), ['00 0 m', '11 1 m', 'all 1 m'])
  })

  test('fan-out of QoS 2 to rules of QoS 1: nothing of it is more than QoS 1 but the original', async t => {
    const hub = await scene(t, FAN_OUT)
    const client = await reader(hub, ['all', 2], ['00', 2], ['11', 2])
    await hub.publisher.publish({ topic: 'all', payload: 'm', qos: 2 })
    assert.deepEqual(await heard(client), ['00 0 m', '11 1 m', 'all 2 m'])
  })

  test('fan-in: each source with its own QoS', async t => {
    const rules = [rule('00 -> all', { sourceQos: 0, targetQos: 0 }), rule('11 -> all', { sourceQos: 1, targetQos: 1 })]
    const hub = await scene(t, rules)
    const client = await reader(hub, ['all', 1])
    for (const qos of [0, 1]) {
      for (const topic of ['00', '11']) await hub.publisher.publish({ topic, payload: `${topic} ${qos}`, qos })
    }
    assert.deepEqual(linesOf(await client.everything()), ['all 0 00 0', 'all 0 11 0', 'all 0 00 1', 'all 1 11 1'])
  })

  for (const qos of QOS) {
    test(`many messages of QoS ${qos} in one write: every copy, in the order of the originals`, async t => {
      const hub = await scene(t, [...FAN_OUT, rule('all -> 22')])
      const client = await reader(hub, ['22', 2])
      const other = await hub.connect('other')
      await other.subscribe(['11', 0])
      const payloads = Array.from({ length: 50 }, (_, i) => `${i}`)
      await publishAtOnce(hub.publisher, 'all', qos, payloads)
      const lines = (topic: string, as: number): string[] => payloads.map(payload => `${topic} ${as} ${payload}`)
      assert.deepEqual(linesOf(await client.everything()), lines('22', qos))
      assert.deepEqual(linesOf(await other.everything()), lines('11', 0))
    })
  }

  test('what nobody subscribed to is acknowledged and forwarded all the same', async t => {
    const hub = await scene(t, FAN_OUT)
    for (const qos of QOS) await hub.publisher.publish({ topic: 'all', qos })
    for (const name of ['all -> 00', 'all -> 11']) {
      const { matched, forwarded, dropped } = ruleOf(hub, name)
      assert.deepEqual({ matched, forwarded, dropped }, { matched: 3, forwarded: 3, dropped: 0 }, name)
    }
    assert.equal(hub.hub.state.counters.forwarded, 6)
  })
})

suite('chains', { skip: ownHubOnly }, () => {
  for (const qos of [0, 1]) {
    test(`head, next, tail with QoS ${qos}; each rule counts what it forwards`, async t => {
      const hub = await scene(t, CHAIN)
      const client = await reader(hub, ['head', 1], ['next', 1], ['tail', 1])
      for (let i = 1; i <= 3; i++) {
        await hub.publisher.publish({ topic: 'head', payload: `${i}`, qos })
        assert.deepEqual(await heard(client), [`head ${qos} ${i}`, `next ${qos} ${i}`, `tail ${qos} ${i}`])
        for (const name of ['head -> next', 'next -> tail']) {
          const { matched, forwarded } = ruleOf(hub, name)
          assert.deepEqual([matched, forwarded], [i, i], name)
        }
      }
    })
  }

  test('QoS goes down along the way and never up again', async t => {
    const hub = await scene(t, [rule('a -> b'), rule('b -> c', { sourceQos: 1 }), rule('c -> d', { targetQos: 2 })])
    const client = await reader(hub, ['+', 2])
    await hub.publisher.publish({ topic: 'a', payload: 'm', qos: 2 })
    assert.deepEqual(await heard(client), ['a 2 m', 'b 2 m', 'c 1 m', 'd 1 m'])
  })

  test('entered in the middle, a chain goes on from there', async t => {
    const hub = await scene(t, CHAIN)
    const client = await reader(hub, ['#', 1])
    await hub.publisher.publish({ topic: 'next', payload: 'm', qos: 1 })
    assert.deepEqual(await heard(client), ['next 1 m', 'tail 1 m'])
  })

  test('a rule that is removed stops, the others go on', async t => {
    const hub = await scene(t, CHAIN)
    const client = await reader(hub, ['#', 1])
    await hub.publisher.publish({ topic: 'head', payload: '1', qos: 1 })
    assert.deepEqual(await heard(client), ['head 1 1', 'next 1 1', 'tail 1 1'])
    hub.hub.useRules(CHAIN.slice(0, 1))
    await hub.publisher.publish({ topic: 'head', payload: '2', qos: 1 })
    assert.deepEqual(await heard(client), ['head 1 2', 'next 1 2'])
    assert.equal(ruleOf(hub, 'head -> next').forwarded, 2, 'what stays goes on counting')
    hub.hub.useRules([])
    await hub.publisher.publish({ topic: 'head', payload: '3', qos: 1 })
    assert.deepEqual(await heard(client), ['head 1 3'])
    hub.hub.useRules(CHAIN)
    await hub.publisher.publish({ topic: 'head', payload: '4', qos: 1 })
    assert.deepEqual(await heard(client), ['head 1 4', 'next 1 4', 'tail 1 4'])
  })
})

suite('one copy', { skip: ownHubOnly }, () => {
  const NEST: Rules = [
    rule('u/x -> t', { sourceQos: 0, targetQos: 2 }),
    rule('u/+ -> t', { sourceQos: 1, targetQos: 0 }),
    rule('u/# -> t', { sourceQos: 1, targetQos: 1 }),
    rule('+/x -> other', { sourceQos: 2, targetQos: 1 }),
  ]

  test('of several rules with one target: the highest source QoS, then the highest target QoS', async t => {
    for (const rules of [NEST, NEST.toReversed()]) {
      const hub = await scene(t, rules)
      const client = await reader(hub, ['t', 2], ['other', 2])
      await hub.publisher.publish({ topic: 'u/x', payload: 'm', qos: 2 })
      assert.deepEqual(await heard(client), ['other 1 m', 't 1 m'])
      await hub.publisher.publish({ topic: 'u/y', payload: 'm', qos: 2 })
      assert.deepEqual(await heard(client), ['t 1 m'])
      assert.equal(hub.hub.state.counters.forwarded, 3)
    }
  })

  test('the rule with the highest source QoS counts although another would leave more QoS', async t => {
    for (const rules of [
      [rule('u/x -> t', { sourceQos: 1, targetQos: 1 }), rule('u/# -> t', { sourceQos: 2, targetQos: 0 })],
      [rule('u/# -> t', { sourceQos: 2, targetQos: 0 }), rule('u/x -> t', { sourceQos: 1, targetQos: 1 })],
    ]) {
      const hub = await scene(t, rules)
      const client = await reader(hub, ['t', 2])
      await hub.publisher.publish({ topic: 'u/x', payload: 'm', qos: 1 })
      assert.deepEqual(await heard(client), ['t 0 m'])
    }
  })

  for (const qos of QOS) {
    test(`for a subscriber whose filters overlap at the target, QoS ${qos}`, async t => {
      const hub = await scene(t, NEST)
      const client = await reader(hub, ['t/#', 0], ['+', 2], ['t', 1])
      await hub.publisher.publish({ topic: 'u/y', payload: 'm', qos })
      assert.deepEqual(await heard(client), [`t ${Math.min(qos, 1)} m`])
    })
  }

  test('[MQTT-4.3.3-2] a message of QoS 2 that is sent again is not forwarded again, one of QoS 1 is', async t => {
    const hub = await scene(t, [rule('in -> out')])
    const client = await reader(hub, ['out', 2])
    for (const qos of [1, 2]) {
      const message = { topic: 'in', payload: 'm', qos, packetId: 7 }
      hub.publisher.send(publish(message), publish({ ...message, dup: true }))
      assert.equal((await hub.publisher.everything()).length, 2, 'both are acknowledged')
      assert.deepEqual(await heard(client), qos === 1 ? ['out 1 m', 'out 1 m'] : ['out 2 m'])
    }
  })

  test('each message at a topic makes its own: two ways to one topic are two copies', async t => {
    const hub = await scene(t, [rule('a -> b'), rule('b -> c'), rule('a -> c')])
    const client = await reader(hub, ['c', 1])
    await hub.publisher.publish({ topic: 'a', payload: 'm', qos: 1 })
    assert.deepEqual(await heard(client), ['c 1 m', 'c 1 m'])
  })
})

suite('copies are sent again', { skip: ownHubOnly }, () => {
  test('with DUP and the same identifier until they are acknowledged; copies of QoS 0 are not', async t => {
    const hub = await scene(t, FAN_OUT, SOON)
    const client = await reader(hub, ['00', 1], ['11', 1])
    await hub.publisher.publish({ topic: 'all', payload: 'm', qos: 1 })
    assert.deepEqual(await heard(client), ['00 0 m', '11 1 m'])
    const first = await client.expect('publish')
    assert.deepEqual(linesOf([first]), ['11 1 m DUP'])
    const second = await client.expect('publish')
    assert.deepEqual(second, first, 'the same again')
    client.send(puback(first.packetId))
    await client.quiet()
    const { unacknowledged } = hub.hub.sessions.get('reader') ?? {}
    assert.equal(unacknowledged, 0)
  })

  test('original and copy to one subscriber are two messages, each with an identifier of its own', async t => {
    const hub = await scene(t, FAN_OUT, SOON)
    const client = await reader(hub, ['all', 1], ['11', 1])
    await hub.publisher.publish({ topic: 'all', payload: 'm', qos: 1 })
    const sent = [await client.expect('publish'), await client.expect('publish')]
    assert.deepEqual(linesOf(sent).sort(), ['11 1 m', 'all 1 m'])
    assert.notEqual(sent[0]?.packetId, sent[1]?.packetId)
    const again = await client.expect('publish')
    assert.deepEqual(again, { ...sent[0], dup: true }, 'the first of them')
    client.send(puback(again.packetId))
    assert.deepEqual(await client.expect('publish'), { ...sent[1], dup: true }, 'then the other')
  })

  for (const qos of [1, 2] as const) {
    test(`after a reconnect, QoS ${qos}`, async t => {
      const hub = await scene(t, [rule('in -> out')])
      const away = await hub.connect('away', { cleanSession: false })
      await away.subscribe(['out', qos])
      await hub.publisher.publish({ topic: 'in', payload: '1', qos })
      const sent = await away.expect('publish')
      await away.disconnect()
      await hub.publisher.publish({ topic: 'in', payload: '2', qos })
      const back = await hub.open()
      await back.connect({ clientId: 'away', cleanSession: false })
      assert.deepEqual(await back.receive(), { ...sent, dup: true })
      assert.deepEqual(linesOf([await back.receive()]), [`out ${qos} 2`])
      await back.quiet()
    })
  }
})

suite('QoS of a copy is the lowest of source, target and message', { skip: ownHubOnly }, () => {
  const table = QOS.flatMap(sourceQos => QOS.map(targetQos => ({ sourceQos, targetQos })))
  const rules = table.map(each => rule(`in/${each.sourceQos}${each.targetQos} -> out`, each))

  for (const { sourceQos, targetQos } of table) {
    for (const qos of QOS) {
      const wanted = Math.min(sourceQos, targetQos, qos)
      const topic = `in/${sourceQos}${targetQos}`

      test(`source ${sourceQos}, target ${targetQos}, message ${qos}: ${wanted}`, async t => {
        const hub = await scene(t, rules)
        const client = await reader(hub, ['out', 2])
        const modest = await hub.connect('modest')
        await modest.subscribe(['out', 1])
        await publishAtOnce(hub.publisher, topic, qos, ['1', '2'])
        const single: PublishOptions[] = [{ topic, payload: '3', qos, retain: true, packetId: 3 }]
        if (qos > 0) single.push({ topic, payload: '4', qos, dup: true, packetId: 4 })
        for (const each of single) hub.publisher.send(publish(each))
        await hub.publisher.everything()
        const payloads = ['1', '2', ...single.map(({ payload }) => payload)]
        const lines = (as: number): string[] => payloads.map(payload => `out ${as} ${payload?.toString()}`)
        assert.deepEqual(linesOf(await client.everything()), lines(wanted))
        assert.deepEqual(linesOf(await modest.everything()), lines(Math.min(wanted, 1)))
      })
    }
  }
})

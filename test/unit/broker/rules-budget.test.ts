/** How many copies one message may become: a few rules that fork and join in layers could make millions. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import type { RuleConfig } from '../../../src/config/index.ts'
import { type EmbeddedHub, embedHub } from '../../support/embedded-hub.ts'
import { publish, pubrel } from '../../support/packets.ts'
import { linesOf, publishAtOnce, rule } from '../../support/rules.ts'
import { StoredHub } from '../../support/stored-hub.ts'

const MOST = 20_000
const LAYERS = 15
const LAST = `a/${LAYERS}`

/** From `in` to two topics, from each of them to two more, and so on: so many ways as there are numbers with 15 bits. */
const LAYERED: readonly RuleConfig[] = Array.from({ length: LAYERS }, (_, i) =>
  (i === 0 ? ['in'] : [`a/${i}`, `b/${i}`]).flatMap(from =>
    [`a/${i + 1}`, `b/${i + 1}`].map(to => rule(`${from} -> ${to}`)),
  ),
).flat()

const SETTINGS = { window: 60_000, queueMessages: 100_000, inboundQos2: 0 }

function embed(t: TestContext, isHooked: boolean): Promise<EmbeddedHub> {
  return embedHub(t, {
    settings: SETTINGS,
    ...(isHooked && { authorizePublish: (_client, _packet, done) => done(null) }),
  })
}

suite('layers of rules', () => {
  for (const qos of [0, 1, 2]) {
    for (const isHooked of [false, true]) {
      test(`end with so many copies, QoS ${qos}${isHooked ? ', with a hook' : ''}`, async t => {
        const { hub, connect } = await embed(t, isHooked)
        hub.useRules(LAYERED)
        const reader = await connect('reader')
        await reader.subscribe([LAST, 2])
        const publisher = await connect('publisher')
        await publisher.publish({ topic: 'in', payload: 'm', qos })
        const { counters, rules } = hub.state
        assert.ok(counters.forwarded <= MOST, `${counters.forwarded} copies`)
        assert.ok(counters.forwarded > MOST / 2, `${counters.forwarded} copies: as many as there may be`)
        assert.ok(counters.forwardsDropped > 0, 'the others are counted')
        const sumOf = (what: 'matched' | 'forwarded' | 'dropped'): number =>
          rules.rules.reduce((sum, each) => sum + each[what], 0)
        assert.deepEqual([sumOf('forwarded'), sumOf('dropped')], [counters.forwarded, counters.forwardsDropped])
        assert.equal(sumOf('matched'), counters.forwarded + counters.forwardsDropped, 'nothing is lost sight of')
        const errors = rules.rules.filter(each => each.dropped > 0).map(each => each.lastError)
        for (const error of errors) assert.match(error, /more than 20000 copies/)
        const lines = linesOf(await reader.everything())
        assert.ok(lines.length > 0 && lines.length <= MOST, `${lines.length} at the end`)
        assert.deepEqual([...new Set(lines)], [`${LAST} ${qos} m`])
        await publisher.publish({ topic: `b/${LAYERS - 1}`, payload: 'n', qos })
        assert.deepEqual(linesOf(await reader.everything()), [`${LAST} ${qos} n`], 'the next message has its copies')
      })
    }

    test(`of many messages in one write: the hub lives and acknowledges, QoS ${qos}`, async t => {
      const { hub, connect } = await embed(t, false)
      hub.useRules(LAYERED)
      const publisher = await connect('publisher')
      const payloads = Array.from({ length: 5 }, (_, i) => `${i}`)
      await publishAtOnce(publisher, 'in', qos, payloads)
      assert.ok(hub.state.counters.forwarded <= payloads.length * MOST, `${hub.state.counters.forwarded} copies`)
      assert.ok(hub.state.counters.forwardsDropped > 0, 'the others are counted')
      await publisher.publish({ topic: 'else', payload: 'm', qos })
    })
  }

  for (const qos of [1, 2]) {
    test(`reject-publish: all that is made finds room, or the message is refused, QoS ${qos}`, async t => {
      const settings = { ...SETTINGS, queueMessages: 30_000, overflow: 'reject-publish' } as const
      const stored = await StoredHub.start(t, { settings })
      const { hub } = stored
      hub.useRules(LAYERED)
      await stored.absent('device', [LAST, 2])
      const publisher = await stored.guest('publisher')
      for (const packetId of [1, 2, 3, 4, 5, 6, 7, 8, 9])
        publisher.send(publish({ topic: 'in', payload: '7', qos, packetId }))
      const packets = await publisher.everything()
      await stored.settled()
      packets.push(...(await publisher.everything()))
      assert.ok(packets.length > 0, 'some are acknowledged')
      if (qos === 2) for (const packet of packets) if ('packetId' in packet) publisher.send(pubrel(packet.packetId))
      const { counters } = hub.state
      assert.ok(packets.length < 9, 'and not all')
      assert.equal(counters.refused, 9 - packets.length, 'the others are refused')
      assert.equal(counters.droppedQueued, 0, 'nothing is dropped')
      assert.ok(counters.forwarded <= packets.length * MOST, `${counters.forwarded} copies`)
      const { queued = 0 } = hub.sessions.get('device') ?? {}
      assert.ok(queued > 0 && queued <= settings.queueMessages, `${queued} wait`)
    })
  }
})

suite('a fork that stays far below that', () => {
  const TARGETS = 30
  const RULES = [...Array.from({ length: TARGETS }, (_, i) => rule(`in -> t/${i}`)), rule('t/0 -> end')]
  const COUNT = 1000

  for (const qos of [0, 1, 2]) {
    test(`gives each of many messages in one write all its copies, QoS ${qos}`, async t => {
      const { hub, connect } = await embed(t, false)
      hub.useRules(RULES)
      const reader = await connect('reader')
      await reader.subscribe([`t/${TARGETS - 1}`, qos], ['end', qos])
      const publisher = await connect('publisher')
      await publishAtOnce(
        publisher,
        'in',
        qos,
        Array.from({ length: COUNT }, (_, i) => `${i}`),
      )
      const { counters } = hub.state
      const topics = linesOf(await reader.everything()).map(line => line.split(' ')[0])
      assert.deepEqual([counters.forwarded, counters.forwardsDropped], [COUNT * (TARGETS + 1), 0])
      assert.equal(topics.filter(topic => topic === 'end').length, COUNT, 'at the end')
      assert.equal(topics.length, 2 * COUNT, 'at both topics')
    })
  }
})

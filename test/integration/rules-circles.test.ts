/** Rules in a circle that no check has seen: they end after sixteen times, and do no harm. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { configOf, embedHub } from '../support/embedded-hub.ts'
import { puback, publish, type Qos } from '../support/packets.ts'
import { heard, linesOf, publishAtOnce, rule, ruleOf } from '../support/rules.ts'

const HOPS = 16
const QOS = [0, 1, 2] as const

suite('a circle', () => {
  for (const qos of QOS) {
    for (const isHooked of [false, true]) {
      const name = `QoS ${qos}${isHooked ? ', with a hook' : ''}`

      test(`that grows ends after ${HOPS} copies, ${name}`, async t => {
        const embedded = await embedHub(t, isHooked ? { authorizePublish: (_client, _packet, done) => done(null) } : {})
        const { hub, connect } = embedded
        hub.useRules([rule('a/# -> a/x/{#}')])
        const reader = await connect('reader')
        await reader.subscribe(['a/#', 2])
        const publisher = await connect('publisher')
        await publisher.publish({ topic: 'a/1', payload: 'm', qos })
        const wanted = Array.from({ length: HOPS + 1 }, (_, hops) => `a/${'x/'.repeat(hops)}1 ${qos} m`)
        assert.deepEqual(await heard(reader), wanted.sort())
        const { matched, forwarded, dropped, lastError } = ruleOf(embedded, 'a/# -> a/x/{#}')
        assert.deepEqual({ matched, forwarded, dropped }, { matched: HOPS + 1, forwarded: HOPS, dropped: 1 })
        assert.match(lastError, /circle/)
        const { counters } = hub.state
        assert.deepEqual([counters.forwarded, counters.forwardsDropped], [HOPS, 1])
        await publisher.publish({ topic: 'else', qos })
      })

      test(`to the same topic again, ${name}`, async t => {
        const embedded = await embedHub(t, isHooked ? { authorizePublish: (_client, _packet, done) => done(null) } : {})
        const { hub, connect } = embedded
        hub.useRules([rule('a -> b'), rule('b -> a')])
        const reader = await connect('reader')
        await reader.subscribe(['+', 2])
        const publisher = await connect('publisher')
        await publisher.publish({ topic: 'a', payload: 'm', qos })
        const [half, whole] = [HOPS / 2, HOPS / 2 + 1]
        const wanted = [...Array<string>(whole).fill(`a ${qos} m`), ...Array<string>(half).fill(`b ${qos} m`)]
        assert.deepEqual(await heard(reader), wanted)
        assert.equal(ruleOf(embedded, 'a -> b').dropped + ruleOf(embedded, 'b -> a').dropped, 1)
      })
    }

    test(`of many messages in one write, QoS ${qos}`, async t => {
      const embedded = await embedHub(t, { settings: { window: 1000 } })
      const { hub, connect } = embedded
      hub.useRules([rule('a -> a')])
      const reader = await connect('reader')
      await reader.subscribe(['a', 2])
      const payloads = Array.from({ length: 20 }, (_, i) => `${i}`)
      await publishAtOnce(await connect('publisher'), 'a', qos, payloads)
      const wanted = payloads.flatMap(i => Array<string>(HOPS + 1).fill(`a ${qos} ${i}`))
      assert.deepEqual(await heard(reader), wanted.sort())
      const { matched, forwarded, dropped } = ruleOf(embedded, 'a -> a')
      assert.deepEqual([matched, forwarded, dropped], [20 * (HOPS + 1), 20 * HOPS, 20])
    })
  }

  test('that grows ends at the levels that a topic may have', async t => {
    const embedded = await embedHub(t, { config: configOf('') })
    embedded.hub.useRules([rule('a/# -> a/x/{#}')])
    const reader = await embedded.connect('reader')
    await reader.subscribe(['#', 1])
    await (await embedded.connect('publisher')).publish({ topic: 'a/1', payload: 'm', qos: 1 })
    assert.equal((await heard(reader)).length, 8)
    assert.match(ruleOf(embedded, 'a/# -> a/x/{#}').lastError, /too many levels/)
  })

  test('of the hub and the functions of its program: each message of theirs is a new one', async t => {
    const { hub, connect } = await embedHub(t)
    hub.useRules([rule('a -> b')])
    let left = 40
    hub.subscribe('b', (packet, done) => {
      if (--left > 0) hub.publish({ ...packet, topic: 'a', cmd: 'publish' }, () => {})
      done()
    })
    const reader = await connect('reader')
    await reader.subscribe(['b', 0])
    await (await connect('publisher')).publish({ topic: 'a', payload: 'm', qos: 1 })
    for (let i = 0; i < 40; i++) await reader.receive()
    await reader.quiet()
  })
})

suite('a chain', () => {
  test(`of ${HOPS} rules arrives`, async t => {
    const embedded = await embedHub(t)
    const chain = Array.from({ length: HOPS + 1 }, (_, i) => rule(`t/${i} -> t/${i + 1}`))
    embedded.hub.useRules(chain)
    const reader = await embedded.connect('reader')
    await reader.subscribe([`t/${HOPS}`, 2], [`t/${HOPS + 1}`, 2])
    const publisher = await embedded.connect('publisher')
    for (const qos of QOS) await publishAtOnce(publisher, 't/0', qos, ['m', 'n'])
    assert.deepEqual(
      await heard(reader),
      QOS.flatMap(qos => [`t/${HOPS} ${qos} m`, `t/${HOPS} ${qos} n`]),
    )
    assert.equal(ruleOf(embedded, `t/${HOPS} -> t/${HOPS + 1}`).dropped, 6)
  })
})

suite('a subscriber that answers while it is being told', () => {
  for (const qos of [0, 1] as const) {
    test(`through the same rules, QoS ${qos}: nothing is lost or mixed up`, async t => {
      const { hub, connectStream } = await embedHub(t)
      hub.useRules([rule('ask/+ -> asked/{1}'), rule('asked/+ -> told/{1}'), rule('answer/+ -> answered/{1}')])
      let answers = 0
      const echo = await connectStream('echo', packet => {
        if (packet.type !== 'publish') return null
        const answer = publish({
          topic: 'answer/x',
          payload: `of ${packet.payload.toString()}`,
          qos,
          packetId: 100 + ++answers,
        })
        return packet.qos > 0 ? Buffer.concat([answer, puback(packet.packetId)]) : answer
      })
      await echo.subscribe(['asked/+', 1])
      const witness = await connectStream('witness')
      await witness.subscribe(['told/x', 1], ['answered/x', 1])
      const publisher = await connectStream('publisher')
      const payloads = Array.from({ length: 30 }, (_, i) => `${i}`.padEnd(2000, '.'))
      await publishAtOnce(publisher, 'ask/x', qos, payloads)
      await echo.everything()
      const lines = linesOf(await witness.everything())
      const of = (topic: string): string[] => lines.filter(line => line.startsWith(topic))
      const wanted = (topic: string, as: Qos, say: string): string[] =>
        payloads.map(payload => `${topic} ${as} ${say}${payload}`)
      assert.deepEqual(of('told'), wanted('told/x', qos, ''))
      assert.deepEqual(of('answered'), wanted('answered/x', qos, 'of '))
    })
  }
})

/** Two ways from one topic to another: what comes by both is in the same order, however the messages came. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type EmbeddedHub, embedHub } from '../../support/embedded-hub.ts'
import { linesOf, publishAtOnce, rule } from '../../support/rules.ts'

const PAYLOADS = ['1', '2', '3']
const HOOK: Pick<EmbeddedHub['hub'], 'authorizePublish'> = { authorizePublish: (_client, _packet, done) => done(null) }

for (const [name, pairs, wanted] of [
  ['by way of two topics', ['s -> x', 's -> y', 'x -> t', 'y -> t'], ['1', '1', '2', '2', '3', '3']],
  ['directly, and by way of one', ['s -> t', 's -> x', 'x -> t'], ['1', '1', '2', '2', '3', '3']],
  ['by way of one, and directly', ['s -> x', 'x -> t', 's -> t'], ['1', '1', '2', '2', '3', '3']],
  ['behind a first copy', ['s -> r', 'r -> x', 'r -> y', 'x -> t', 'y -> t'], ['1', '1', '2', '2', '3', '3']],
  [
    'by way of many',
    ['s -> x', 's -> y', 'x -> v', 'y -> v', 'v -> t', 's -> t'],
    ['1', '1', '1', '2', '2', '2', '3', '3', '3'],
  ],
  ['to topics apart', ['s -> x', 's -> y', 'y -> t'], ['1', '2', '3']],
] as const) {
  suite(name, () => {
    for (const qos of [0, 1, 2]) {
      for (const granted of [0, 1, 2]) {
        for (const isHooked of [false, true]) {
          const how = `QoS ${qos}, subscribed with ${granted}${isHooked ? ', with a hook' : ''}`
          test(`the order is that of the source: ${how}`, async t => {
            const { hub, connect } = await embedHub(t, isHooked ? HOOK : {})
            hub.useRules(pairs.map(pair => rule(pair)))
            const [reader, publisher] = [await connect('reader'), await connect('publisher')]
            await reader.subscribe(['t', granted])
            const lines = wanted.map(payload => `t ${Math.min(qos, granted)} ${payload}`)
            for (const payload of PAYLOADS) await publisher.publish({ topic: 's', payload, qos })
            assert.deepEqual(linesOf(await reader.everything()), lines, 'one by one')
            await publishAtOnce(publisher, 's', qos, PAYLOADS)
            assert.deepEqual(linesOf(await reader.everything()), lines, 'in one write')
          })
        }
      }
    }
  })
}

suite('rules that come', () => {
  test('make a fork of what was none', async t => {
    const { hub, connect } = await embedHub(t)
    const [reader, publisher] = [await connect('reader'), await connect('publisher')]
    await reader.subscribe(['t', 1])
    const rules = [rule('s -> x'), rule('s -> t')]
    for (const [pair, wanted] of [
      ['else -> nowhere', ['1', '2', '3']],
      ['x -> t', ['1', '1', '2', '2', '3', '3']],
      ['else -> nowhere', ['1', '2', '3']],
    ] as const) {
      hub.useRules([...rules, rule(pair)])
      await publishAtOnce(publisher, 's', 1, PAYLOADS)
      assert.deepEqual(
        linesOf(await reader.everything()),
        wanted.map(payload => `t 1 ${payload}`),
        pair,
      )
    }
  })
})

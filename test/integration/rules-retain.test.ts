/** RETAIN of what rules forward: clear, keep, set; and what a subscriber that comes later finds. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { embedHub } from '../support/embedded-hub.ts'
import { heard, publishAtOnce, rule } from '../support/rules.ts'
import { StoredHub } from '../support/stored-hub.ts'

const QOS = [0, 1, 2] as const
/** Is the copy of a message published with RETAIN, or without, retained? */
const RETAINS = { clear: [], keep: [true], set: [true, false] }
type Retain = keyof typeof RETAINS

for (const retain of ['clear', 'keep', 'set'] as const satisfies Retain[]) {
  suite(`retain: ${retain}`, () => {
    const isRetained = (original: boolean): boolean => (RETAINS[retain] as readonly boolean[]).includes(original)

    for (const qos of QOS) {
      for (const original of [false, true]) {
        const name = `a message of QoS ${qos} with RETAIN ${original ? 1 : 0}`
        const kept = isRetained(original)

        test(`${name}: live copies have RETAIN 0, a late subscriber finds ${kept ? 'it' : 'nothing'}`, async t => {
          const { hub, connect } = await embedHub(t)
          hub.useRules([rule('dev/+ -> state/{1}', { retain, targetQos: 1 })])
          const reader = await connect('reader')
          await reader.subscribe(['state/#', 2])
          const publisher = await connect('publisher')
          const as = Math.min(qos, 1)
          for (const payload of ['1', '2']) {
            await publisher.publish({ topic: 'dev/7', payload, qos, retain: original })
            assert.deepEqual(await heard(reader), [`state/7 ${as} ${payload}`])
          }
          const late = await connect('late')
          await late.subscribe(['state/#', 2])
          assert.deepEqual(await heard(late), kept ? [`state/7 ${as} 2 RETAIN`] : [])
        })

        test(`${name} and nothing in it: ${kept ? 'clears' : 'leaves'} what the target has`, async t => {
          const { hub, connect } = await embedHub(t)
          hub.useRules([rule('dev/+ -> state/{1}', { retain })])
          const publisher = await connect('publisher')
          await publisher.publish({ topic: 'state/7', payload: 'before', retain: true })
          const reader = await connect('reader')
          await reader.subscribe(['state/#', 2])
          assert.deepEqual(await heard(reader), ['state/7 0 before RETAIN'])
          await publisher.publish({ topic: 'dev/7', payload: '', qos, retain: original })
          assert.deepEqual(await heard(reader), [`state/7 ${qos} `], 'it is forwarded all the same')
          const late = await connect('late')
          await late.subscribe(['state/#', 2])
          assert.deepEqual(await heard(late), kept ? [] : ['state/7 0 before RETAIN'])
        })
      }
    }

    for (const qos of QOS) {
      test(`many messages of QoS ${qos} in one write: the last one is what a late subscriber finds`, async t => {
        const { hub, connect } = await embedHub(t)
        hub.useRules([rule('dev/+ -> state/{1}', { retain }), rule('state/+ -> copy/of/{1}', { retain, targetQos: 0 })])
        const payloads = Array.from({ length: 20 }, (_, i) => `${i}`)
        await publishAtOnce(await connect('publisher'), 'dev/7', qos, payloads)
        const late = await connect('late')
        await late.subscribe(['state/#', 2], ['copy/#', 2])
        const wanted = isRetained(false) ? ['copy/of/7 0 19 RETAIN', `state/7 ${qos} 19 RETAIN`] : []
        assert.deepEqual(await heard(late), wanted)
      })
    }

    for (const qos of QOS) {
      test(`along a chain, QoS ${qos}`, async t => {
        const { hub, connect } = await embedHub(t)
        hub.useRules([
          rule('a -> b', { retain }),
          rule('b -> c', { retain: 'keep' }),
          rule('c -> d', { retain: 'clear' }),
        ])
        const publisher = await connect('publisher')
        for (const original of [false, true]) {
          await publisher.publish({ topic: 'a', payload: 'm', qos, retain: original })
          const late = await connect(`late ${original}`)
          await late.subscribe(['b', 2], ['c', 2], ['d', 2])
          assert.deepEqual(await heard(late), isRetained(original) ? [`b ${qos} m RETAIN`, `c ${qos} m RETAIN`] : [])
        }
      })
    }

    for (const qos of [1, 2] as const) {
      for (const original of [false, true]) {
        test(`QoS ${qos}, RETAIN ${original ? 1 : 0}: on disk when it is acknowledged`, async t => {
          const stored = await StoredHub.start(t)
          stored.hub.useRules([rule('dev/+ -> state/{1}', { retain })])
          const publisher = await stored.guest('publisher')
          await publisher.publish({ topic: 'dev/7', payload: 'm', qos, retain: original })
          await stored.restart()
          const late = await stored.guest('late')
          await late.subscribe(['state/#', 2])
          assert.deepEqual(await heard(late), isRetained(original) ? [`state/7 ${qos} m RETAIN`] : [])
        })
      }
    }
  })
}

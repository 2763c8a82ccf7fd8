/** What a rule leaves out: others' messages, what is too much, what is not permitted, what goes in a circle. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { configOf, type EmbeddedHub, embedHub } from '../support/embedded-hub.ts'
import { publish } from '../support/packets.ts'
import { heard, linesOf, publishAtOnce, rule, ruleOf } from '../support/rules.ts'

const QOS = [0, 1, 2] as const
const PRINCIPALS = `
principals:
  - username: pump
    password: pw
    permissions: [{ action: pub, permit: ['#'] }, { action: sub, permit: ['#'] }]
  - username: valve
    password: pw
    permissions: [{ action: pub, permit: ['#'] }, { action: sub, permit: ['#'] }]
  - username: clerk
    password: pw
    permissions: [{ action: sub, permit: [in/+, two] }, { action: pub, permit: [out/#, two] }]
  - username: mute
    password: pw
`
const PUMP = { username: 'pump', password: 'pw' }
const VALVE = { username: 'valve', password: 'pw' }

const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}`)

function figures(embedded: EmbeddedHub, name: string): number[] {
  const { matched, forwarded, dropped } = ruleOf(embedded, name)
  return [matched, forwarded, dropped]
}

/** Has the hub's clock stand still, but for the milliseconds that are given to what this returns. */
function clockOf({ hub: { state } }: EmbeddedHub): (ms: number) => void {
  let now = Math.ceil(state.now)
  state.tick = () => void (state.now = now)
  return ms => void (now += ms)
}

suite('source.principal', () => {
  for (const qos of QOS) {
    test(`only what that principal publishes is taken, QoS ${qos}`, async t => {
      const embedded = await embedHub(t, { config: configOf(PRINCIPALS) })
      const { hub, connect } = embedded
      hub.useRules([
        rule('in -> pumps', { from: 'pump' }),
        rule('in -> others', { from: 'anonymous' }),
        rule('in -> all'),
        rule('all -> pumps/too', { from: 'pump' }),
      ])
      const reader = await connect('reader')
      await reader.subscribe(['pumps', 2], ['pumps/too', 2], ['others', 2], ['all', 2])
      const publishers = [await connect('1', PUMP), await connect('2', VALVE), await connect('3')]
      for (let round = 0; round < 2; round++) {
        for (const publisher of publishers) await publishAtOnce(publisher, 'in', qos, ['x', 'y'])
        const wanted = ['all', 'all', 'all', 'others', 'pumps', 'pumps/too'].flatMap(to => [
          `${to} ${qos} x`,
          `${to} ${qos} y`,
        ])
        assert.deepEqual(await heard(reader), wanted.sort())
      }
      assert.deepEqual(figures(embedded, 'in -> pumps'), [4, 4, 0])
      assert.equal(hub.state.counters.forwardsDropped, 0, 'what is not taken is not dropped')
    })
  }

  test('of two rules with one target the one that does not take the message has no say', async t => {
    const { hub, connect } = await embedHub(t, { config: configOf(PRINCIPALS) })
    hub.useRules([
      rule('in -> out', { from: 'pump', sourceQos: 2, targetQos: 2 }),
      rule('in/# -> out', { from: 'valve', sourceQos: 1, targetQos: 0 }),
    ])
    const reader = await connect('reader')
    await reader.subscribe(['out', 2])
    for (const [who, wanted] of [
      [PUMP, 2],
      [VALVE, 0],
    ] as const) {
      const publisher = await connect(who.username, who)
      publisher.send(publish({ topic: 'in', payload: who.username, qos: 2 }))
      await publisher.expect('pubrec')
      assert.deepEqual(linesOf([await reader.receive()]), [`out ${wanted} ${who.username}`])
      await reader.quiet()
    }
  })

  test('a Will is of the principal whose client it was', async t => {
    const { hub, connect } = await embedHub(t, { config: configOf(PRINCIPALS) })
    hub.useRules([rule('in/# -> out', { from: 'pump' })])
    const reader = await connect('reader')
    await reader.subscribe(['#', 2])
    for (const who of [VALVE, PUMP]) {
      const will = { topic: `in/${who.username}`, payload: 'will', qos: 1 }
      const mortal = await connect(who.username, { ...who, will })
      mortal.destroy()
      assert.deepEqual(linesOf([await reader.receive()]), [`in/${who.username} 1 will`])
    }
    assert.deepEqual(linesOf([await reader.receive()]), ['out 1 will'])
    await reader.quiet()
  })
})

suite('limit', () => {
  for (const qos of QOS) {
    for (const isRun of [true, false]) {
      test(`so many at once, the rest is dropped and counted: QoS ${qos}, ${isRun ? 'in one write' : 'one by one'}`, async t => {
        const embedded = await embedHub(t)
        const { hub, connect } = embedded
        clockOf(embedded)
        hub.useRules([rule('in/# -> out', { limit: { rate: 1, burst: 5 } })])
        const reader = await connect('reader')
        await reader.subscribe(['#', 2])
        const publisher = await connect('publisher')
        const payloads = numbers(12)
        if (isRun) await publishAtOnce(publisher, 'in/x', qos, payloads)
        else for (const payload of payloads) await publisher.publish({ topic: 'in/x', payload, qos })
        const wanted = [...payloads.map(i => `in/x ${qos} ${i}`), ...payloads.slice(0, 5).map(i => `out ${qos} ${i}`)]
        assert.deepEqual(await heard(reader), wanted.sort(), 'the originals are not limited')
        assert.deepEqual(figures(embedded, 'in/# -> out'), [12, 5, 7])
        assert.match(ruleOf(embedded, 'in/# -> out').lastError, /limit/)
        assert.equal(hub.state.counters.forwardsDropped, 7)
        assert.equal(hub.state.counters.forwarded, 5)
      })
    }
  }

  test('holds for all topics and publishers together', async t => {
    const embedded = await embedHub(t)
    const { hub, connect } = embedded
    clockOf(embedded)
    hub.useRules([rule('in/+ -> out/{1}', { limit: { rate: 1, burst: 5 } })])
    const publishers = [await connect('1'), await connect('2')]
    for (const [i, publisher] of publishers.entries()) {
      await publishAtOnce(publisher, `in/${i}`, 1, ['a', 'b'])
      await publisher.publish({ topic: `in/${i}`, payload: 'c', qos: 2 })
    }
    assert.deepEqual(figures(embedded, 'in/+ -> out/{1}'), [6, 5, 1])
  })

  test('after a pause there is room again, and never for more than the burst', async t => {
    const embedded = await embedHub(t)
    embedded.hub.useRules([rule('in -> out', { limit: { rate: 125, burst: 3 } })])
    const wait = clockOf(embedded)
    const publisher = await embedded.connect('publisher')
    const passing = async (): Promise<number> => {
      const before = ruleOf(embedded, 'in -> out').forwarded
      await publishAtOnce(publisher, 'in', 1, numbers(10))
      return ruleOf(embedded, 'in -> out').forwarded - before
    }
    for (const [pauseMs, wanted] of [
      [0, 3],
      [0, 0],
      [8, 1],
      [4, 0],
      [4, 1],
      [18, 2],
      [6, 1],
      [3_600_000, 3],
    ] as const) {
      wait(pauseMs)
      assert.equal(await passing(), wanted, `after ${pauseMs} ms`)
    }
    assert.deepEqual(figures(embedded, 'in -> out'), [80, 11, 69])
  })

  test('a burst of 0 is as many as the rate', async t => {
    const embedded = await embedHub(t)
    embedded.hub.useRules([rule('in -> out', { limit: { rate: 125 } })])
    const wait = clockOf(embedded)
    const publisher = await embedded.connect('publisher')
    for (const [pauseMs, forwarded] of [
      [0, 125],
      [1000, 250],
      [3_600_000, 375],
    ] as const) {
      wait(pauseMs)
      await publishAtOnce(publisher, 'in', 1, numbers(200))
      assert.equal(ruleOf(embedded, 'in -> out').forwarded, forwarded)
    }
  })

  test('a rule that stays is not given a new burst when the rules change', async t => {
    const embedded = await embedHub(t)
    const { hub, connect } = embedded
    const limited = rule('in -> out', { limit: { rate: 1, burst: 3 } })
    hub.useRules([limited])
    clockOf(embedded)
    const publisher = await connect('publisher')
    await publishAtOnce(publisher, 'in', 1, numbers(10))
    hub.useRules([limited, rule('other -> out')])
    await publishAtOnce(publisher, 'in', 1, numbers(10))
    assert.deepEqual(figures(embedded, 'in -> out'), [20, 3, 17])
  })

  for (const isRun of [true, false]) {
    test(`what is beyond the limit of one rule goes by another with the same target: ${isRun ? 'in one write' : 'one by one'}`, async t => {
      const embedded = await embedHub(t)
      const { hub, connect } = embedded
      clockOf(embedded)
      hub.useRules([
        rule('in -> out', { sourceQos: 2, targetQos: 2, limit: { rate: 1, burst: 2 } }),
        rule('in/# -> out', { sourceQos: 1, targetQos: 1 }),
      ])
      const reader = await connect('reader')
      await reader.subscribe(['out', 2])
      const publisher = await connect('publisher')
      if (isRun) await publishAtOnce(publisher, 'in', 1, numbers(6))
      else for (const payload of numbers(6)) await publisher.publish({ topic: 'in', payload, qos: 1 })
      assert.deepEqual(
        linesOf(await reader.everything()),
        numbers(6).map(i => `out 1 ${i}`),
      )
      assert.equal(hub.state.counters.forwarded, 6)
    })
  }

  test('a rule that comes before in a chain decides how many the next one sees', async t => {
    const embedded = await embedHub(t)
    clockOf(embedded)
    embedded.hub.useRules([rule('a -> b', { limit: { rate: 1, burst: 4 } }), rule('b -> c')])
    const publisher = await embedded.connect('publisher')
    await publishAtOnce(publisher, 'a', 1, numbers(10))
    assert.deepEqual(figures(embedded, 'a -> b'), [10, 4, 6])
    assert.deepEqual(figures(embedded, 'b -> c'), [4, 4, 0])
  })
})

suite('authorize', () => {
  const CASES: [who: string, pair: string, topic: string, copy: string | null][] = [
    ['clerk', 'in/+ -> out/{1}', 'in/a', 'out/a'],
    ['clerk', 'in/+ -> out', 'in/a', 'out'],
    ['clerk', 'in/# -> out', 'in', null],
    ['clerk', 'in/# -> out/{#}', 'in/a/b', null],
    ['clerk', 'in/+ -> other/{1}', 'in/a', null],
    ['clerk', '+/a -> out/x', 'in/a', 'out/x'],
    ['clerk', 'secret -> out/x', 'secret', null],
    ['clerk', 'in/+ -> {1}/x', 'in/out', 'out/x'],
    ['clerk', 'in/+ -> {1}/x', 'in/other', null],
    ['mute', 'in/+ -> out/{1}', 'in/a', null],
    ['pump', 'in/# -> any/{#}', 'in/a/b', 'any/a/b'],
    ['anonymous', 'in/# -> any/{#}', 'in/a/b', 'any/a/b'],
  ]
  for (const [who, pair, topic, copy] of CASES) {
    for (const qos of QOS) {
      test(`${pair} as ${who}: '${topic}' ${copy === null ? 'is not forwarded' : `goes to '${copy}'`}, QoS ${qos}`, async t => {
        const embedded = await embedHub(t, { config: configOf(PRINCIPALS) })
        const { hub, connect } = embedded
        hub.useRules([rule(pair, { authorizedAs: who })])
        const reader = await connect('reader')
        await reader.subscribe(['#', 2])
        const publisher = await connect('publisher', VALVE)
        await publishAtOnce(publisher, topic, qos, ['1', '2'])
        await publisher.publish({ topic, payload: '3', qos, retain: true })
        const wanted = ['1', '2', '3'].flatMap(i => [
          `${topic} ${qos} ${i}`,
          ...(copy === null ? [] : [`${copy} ${qos} ${i}`]),
        ])
        assert.deepEqual(await heard(reader), wanted.sort())
        assert.deepEqual(figures(embedded, pair), copy === null ? [3, 0, 3] : [3, 3, 0])
        assert.equal(ruleOf(embedded, pair).lastError.includes(`permitted`), copy === null)
        assert.equal(hub.state.counters.forwardsDropped, copy === null ? 3 : 0)
      })
    }
  }

  test('a rule that is not permitted leaves the way to another with the same target', async t => {
    const { hub, connect } = await embedHub(t, { config: configOf(PRINCIPALS) })
    hub.useRules([rule('secret -> out', { authorizedAs: 'clerk' }), rule('secret/# -> out', { sourceQos: 1 })])
    const reader = await connect('reader')
    await reader.subscribe(['out', 2])
    await (await connect('publisher')).publish({ topic: 'secret', payload: 'm', qos: 2 })
    assert.deepEqual(await heard(reader), ['out 1 m'])
  })

  test('a principal that is not there is permitted nothing', async t => {
    const embedded = await embedHub(t, { config: configOf(PRINCIPALS) })
    embedded.hub.useRules([rule('in -> out', { authorizedAs: 'nobody' })])
    await (await embedded.connect('publisher')).publish({ topic: 'in', qos: 1 })
    assert.deepEqual(figures(embedded, 'in -> out'), [1, 0, 1])
  })
})

/** Targets with placeholders, from the wire to the wire: what they stand for, and what happens when they stand for nothing. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { configOf, embedHub } from '../support/embedded-hub.ts'
import { publish } from '../support/packets.ts'
import { heard, linesOf, publishAtOnce, rule, ruleOf } from '../support/rules.ts'

const QOS = [0, 1, 2] as const

const PRINCIPALS = `
principals:
  - username: pump
    password: pw
    permissions: &all [{ action: pub, permit: ['#'] }, { action: sub, permit: ['#'] }]
  - username: pümpe 2
    password: pw
    permissions: *all
  - username: plant/pump
    password: pw
    permissions: *all
`

/** Rule, topic, and where its copy goes; null: nowhere, for the rule does not take it. */
const CASES: [pair: string, topic: string, target: string | null][] = [
  ['dev/+/up -> cloud/{1}', 'dev/7/up', 'cloud/7'],
  ['dev/+/up -> cloud/{1}', 'dev//up', 'cloud/'],
  ['dev/+/up -> cloud/{1}', 'dev/7/down', null],
  ['+/+/+ -> {3}/{2}/{1}/{2}', 'a/b/c', 'c/b/a/b'],
  ['+/x/+ -> {2}-{1}/of {1}', 'a/x/b', 'b-a/of a'],
  ['+/+/+/+/+/+/+/+/+ -> {9}{8}{7}/{1}', '1/2/3/4/5/6/7/8/9', '987/1'],
  ['dev/+/up/# -> cloud/{1}/{#}', 'dev/1/up/a', 'cloud/1/a'],
  ['dev/+/up/# -> cloud/{1}/{#}', 'dev/1/up/a/b/c', 'cloud/1/a/b/c'],
  ['dev/+/up/# -> cloud/{1}/{#}', 'dev/1/up', 'cloud/1'],
  ['dev/+/up/# -> cloud/{1}/{#}', 'dev/1/up/', 'cloud/1/'],
  ['dev/+/up/# -> cloud/{1}/{#}', 'dev/1/up//', 'cloud/1//'],
  ['dev/# -> {#}/all', 'dev/a/b', 'a/b/all'],
  ['dev/# -> {#}/all', 'dev', 'all'],
  ['dev/# -> x/{#}/y', 'dev', 'x/y'],
  ['dev/# -> x/{#}/y', 'dev/', 'x//y'],
  ['dev/# -> x/{#}/y/{#}', 'dev/a', 'x/a/y/a'],
  ['dev/# -> x/{#}/y/{#}', 'dev', 'x/y'],
  ['a/+/# -> {#}/{1}', 'a/b/c/d', 'c/d/b'],
  ['dev/# -> mirror/{topic}', 'dev/a/b', 'mirror/dev/a/b'],
  ['dev/# -> mirror-{topic}', 'dev', 'mirror-dev'],
  ['in -> {topic}{topic}/{topic}', 'in', 'inin/in'],
  ['in -> plain \\{1\\}', 'in', 'plain {1}'],
  ['+ -> 温度/{1}/°C', '北京', '温度/北京/°C'],
  ['raw/+ -> x/{1}', 'raw/{1}', 'x/{1}'],
  ['raw/# -> x/{#}', 'raw/{topic}/\\{1\\}', 'x/{topic}/\\{1\\}'],
  ['blank/+/+ -> {1}{2}', 'blank/ / b ', '  b '],
]

suite('what placeholders stand for', () => {
  for (const [pair, topic, target] of CASES) {
    test(`${pair}: '${topic}' goes to ${target === null ? 'nowhere' : `'${target}'`}`, async t => {
      const { hub, connect } = await embedHub(t)
      hub.useRules([rule(pair)])
      const publisher = await connect('publisher')
      const reader = await connect('reader')
      await reader.subscribe(['#', 2])
      for (const qos of QOS) {
        await publisher.publish({ topic, payload: `one ${qos}`, qos })
        await publishAtOnce(publisher, topic, qos, [`run ${qos}`, `run ${qos}`, `run ${qos}`])
        const lines = [`one ${qos}`, ...Array<string>(3).fill(`run ${qos}`)].flatMap(payload =>
          [topic, ...(target === null ? [] : [target])].map(to => `${to} ${qos} ${payload}`),
        )
        assert.deepEqual(await heard(reader), lines.sort())
      }
    })
  }

  test('topics that change from one packet to the next', async t => {
    const { hub, connect } = await embedHub(t, { settings: { window: 1000 } })
    hub.useRules([rule('dev/+/up/# -> cloud/{1}/{#}', { targetQos: 1 })])
    const publisher = await connect('publisher')
    const reader = await connect('reader')
    await reader.subscribe(['cloud/#', 2])
    const topics = Array.from({ length: 200 }, (_, i) => `dev/${i % 7}/up/${i % 3 === 0 ? '' : i % 5}`)
    const packets = topics.map((topic, i) => publish({ topic, payload: `${i}`, qos: (i >> 1) % 3, packetId: i + 1 }))
    publisher.send(Buffer.concat(packets))
    await publisher.everything()
    const wanted = topics.map((topic, i) => {
      const [, device, , rest] = topic.split('/')
      return `cloud/${device}/${rest} ${Math.min((i >> 1) % 3, 1)} ${i}`
    })
    assert.deepEqual(linesOf(await reader.everything()), wanted)
  })
})

suite('{clientid} and {username}', () => {
  for (const qos of QOS) {
    test(`of whom the message is, QoS ${qos}`, async t => {
      const { hub, connect } = await embedHub(t, { config: configOf(PRINCIPALS) })
      hub.useRules([rule('in/+ -> by/{clientid}/{username}/{1}')])
      const reader = await connect('reader')
      await reader.subscribe(['by/#', 2])
      const pump = await connect('pump-1', { username: 'pump', password: 'pw' })
      const other = await connect('pump-2', { username: 'pümpe 2', password: 'pw' })
      for (const i of [1, 2, 3]) {
        await pump.publish({ topic: 'in/x', payload: `a${i}`, qos })
        await other.publish({ topic: 'in/x', payload: `b${i}`, qos })
      }
      const wanted = [1, 2, 3].flatMap(i => [`by/pump-1/pump/x ${qos} a${i}`, `by/pump-2/pümpe 2/x ${qos} b${i}`])
      assert.deepEqual(linesOf(await reader.everything()), wanted)
    })
  }

  test('of the client whose Will it is', async t => {
    const { hub, connect } = await embedHub(t, { config: configOf(PRINCIPALS) })
    hub.useRules([rule('gone/# -> lost/{clientid}/{username}/{#}', { retain: 'keep' })])
    const reader = await connect('reader')
    await reader.subscribe(['lost/#', 2])
    const will = { topic: 'gone/x/y', payload: 'will', qos: 2, retain: true }
    const pump = await connect('pump-1', { username: 'pump', password: 'pw', will })
    pump.destroy()
    assert.deepEqual(linesOf([await reader.receive()]), ['lost/pump-1/pump/x/y 2 will'])
    const late = await connect('late')
    await late.subscribe(['lost/#', 2])
    assert.deepEqual(await heard(late), ['lost/pump-1/pump/x/y 2 will RETAIN'])
  })

  test('survive a chain: the publisher stays who it is', async t => {
    const { hub, connect } = await embedHub(t, { config: configOf(PRINCIPALS) })
    hub.useRules([rule('a -> b/{clientid}'), rule('b/+ -> c/{1}/{clientid}/{username}')])
    const reader = await connect('reader')
    await reader.subscribe(['c/#', 2])
    const pump = await connect('pump-1', { username: 'pump', password: 'pw' })
    await pump.publish({ topic: 'a', payload: 'm', qos: 1 })
    assert.deepEqual(await heard(reader), ['c/pump-1/pump-1/pump 1 m'])
  })

  const ODD: [what: string, template: string, clientId: string, username: string | undefined, why: RegExp][] = [
    ['a client identifier with slashes', 'by/{clientid}', 'plant/pump', undefined, /\{clientid\}/],
    ['a client identifier with wildcards', 'by/{clientid}', '+', undefined, /\{clientid\}/],
    ['a client identifier that ends in #', 'by/x{clientid}', 'a#', undefined, /\{clientid\}/],
    ['a user name with a slash', 'by/{username}', 'c', 'plant/pump', /\{username\}/],
    ['no user name', 'by/{username}', 'c', undefined, /\{username\}/],
    ['a client identifier that makes a topic of the server', '{clientid}/x', '$SYS', undefined, /\$/],
  ]
  for (const [what, template, clientId, username, why] of ODD) {
    for (const qos of QOS) {
      test(`${what}, QoS ${qos}: no copy, but the original is delivered and acknowledged`, async t => {
        const config = configOf(`${PRINCIPALS}\nlimits: { clientid: { charset: any } }`)
        const embedded = await embedHub(t, { config })
        const { hub, connect } = embedded
        hub.useRules([rule(`in -> ${template}`), rule('in -> other')])
        const reader = await connect('reader')
        await reader.subscribe(['#', 2])
        const odd = await connect(clientId, username === undefined ? {} : { username, password: 'pw' })
        await publishAtOnce(odd, 'in', qos, ['1', '2'])
        assert.deepEqual(await heard(reader), [`in ${qos} 1`, `in ${qos} 2`, `other ${qos} 1`, `other ${qos} 2`])
        const { matched, forwarded, dropped, lastError, lastErrorAt } = ruleOf(embedded, `in -> ${template}`)
        assert.deepEqual({ matched, forwarded, dropped }, { matched: 2, forwarded: 0, dropped: 2 })
        assert.match(lastError, why)
        assert.ok(Math.abs(Date.now() - lastErrorAt) < 60_000, 'lastErrorAt is now')
        assert.equal(hub.state.counters.forwardsDropped, 2)
      })
    }
  }

  test('what the program publishes has neither', async t => {
    const embedded = await embedHub(t)
    const { hub, connect } = embedded
    hub.useRules([rule('in -> by/{clientid}'), rule('in -> fine')])
    const reader = await connect('reader')
    await reader.subscribe(['#', 2])
    hub.publish({ cmd: 'publish', topic: 'in', payload: 'm', qos: 1, retain: false, dup: false })
    const both = [await reader.receive(), await reader.receive()]
    assert.deepEqual(linesOf(both).sort(), ['fine 1 m', 'in 1 m'])
    assert.equal(ruleOf(embedded, 'in -> by/{clientid}').dropped, 1)
  })
})

suite('targets that are no topics', () => {
  const long = 'x'.repeat(200)
  const BAD: [what: string, pair: string, topic: string][] = [
    ['256 bytes', `+ -> {1}/${'y'.repeat(55)}`, long],
    ['ten levels', 'a/# -> 1/2/3/4/5/6/7/8/{#}', 'a/9/10'],
    ['nothing', 'a/# -> {#}', 'a'],
    ['nothing, of an empty level', 'a/+ -> {1}', 'a/'],
    ['a topic of the server', 'a/+ -> {1}/uptime', 'a/$SYS'],
    ['a topic that is reserved', 'a/# -> {#}', 'a/$x/y'],
  ]
  for (const [what, pair, topic] of BAD) {
    for (const qos of QOS) {
      test(`${what}, QoS ${qos}: dropped and counted, the original goes on`, async t => {
        const embedded = await embedHub(t, { config: configOf('') })
        const { hub, connect } = embedded
        hub.useRules([rule(pair)])
        const reader = await connect('reader')
        await reader.subscribe(['#', 2])
        const publisher = await connect('publisher')
        await publishAtOnce(publisher, topic, qos, ['1', '2', '3'])
        await publisher.publish({ topic, payload: '4', qos, retain: true })
        const wanted = ['1', '2', '3', '4'].map(payload => `${topic} ${qos} ${payload}`)
        assert.deepEqual(await heard(reader), wanted)
        const { matched, forwarded, dropped, lastError } = ruleOf(embedded, pair)
        assert.deepEqual({ matched, forwarded, dropped }, { matched: 4, forwarded: 0, dropped: 4 })
        assert.notEqual(lastError, '', 'the reason')
        assert.ok(lastError.length < 300, 'a reason of bounded length')
      })
    }
  }

  test('as long as a topic may be is fine', async t => {
    const { hub, connect } = await embedHub(t, { config: configOf('') })
    hub.useRules([rule(`+ -> {1}/${'y'.repeat(54)}`), rule('a/# -> 1/2/3/4/5/6/7/8/{#}')])
    const reader = await connect('reader')
    await reader.subscribe([`${long}/+`, 1], ['1/#', 1])
    const publisher = await connect('publisher')
    await publisher.publish({ topic: long, payload: 'm', qos: 1 })
    await publisher.publish({ topic: 'a/9', payload: 'm', qos: 1 })
    assert.deepEqual(await heard(reader), ['1/2/3/4/5/6/7/8/9 1 m', `${long}/${'y'.repeat(54)} 1 m`])
  })
})

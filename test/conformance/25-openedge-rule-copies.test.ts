/** What a copy that a rule makes is, and what a rule takes. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { configOf, embedHub } from '../support/embedded-hub.ts'
import { ownHubOnly } from '../support/hub.ts'
import { publish } from '../support/packets.ts'
import { heard, linesOf, rule, rulesYaml } from '../support/rules.ts'

const QOS = [0, 1, 2] as const
const LARGEST = 32 * 1024 - 100

const PRINCIPALS = `
principals:
  - username: speaker
    password: pw
    permissions: [{ action: pub, permit: [in, in/#] }]
  - username: listener
    password: pw
    permissions: [{ action: sub, permit: [out, kept] }]
`

suite('what a copy is', { skip: ownHubOnly }, () => {
  for (const [name, payload] of [
    ['all bytes', Buffer.from(Array.from({ length: 256 }, (_, i) => i))],
    ['nothing', Buffer.alloc(0)],
    ['31.9 KiB', Buffer.alloc(LARGEST, 'payload ')],
  ] as const) {
    for (const qos of QOS) {
      test(`the payload is that of the original: ${name}, QoS ${qos}`, async t => {
        const { hub, connect } = await embedHub(t, {
          config: configOf(rulesYaml(rule('in -> out'), rule('out -> far/away'))),
        })
        const reader = await connect('reader')
        await reader.subscribe(['out', 2], ['far/away', 2])
        const publisher = await connect('publisher')
        await publisher.publish({ topic: 'in', payload, qos })
        for (const packet of [await reader.expect('publish'), await reader.expect('publish')]) {
          assert.equal(packet.qos, qos)
          assert.ok(packet.payload.equals(payload), `${packet.topic} has another payload`)
        }
        await reader.quiet()
        assert.equal(hub.state.counters.forwarded, 2)
      })
    }
  }

  for (const qos of QOS) {
    test(`QoS ${qos}: it has RETAIN 0 and is not retained, although the original is`, async t => {
      const { hub, connect } = await embedHub(t, { config: configOf(rulesYaml(rule('in -> out'))) })
      const publisher = await connect('publisher')
      const reader = await connect('reader')
      await reader.subscribe(['#', 2])
      await publisher.publish({ topic: 'in', payload: 'm', qos, retain: true })
      assert.deepEqual(await heard(reader), [`in ${qos} m`, `out ${qos} m`])
      const late = await connect('late')
      await late.subscribe(['#', 2])
      assert.deepEqual(await heard(late), [`in ${qos} m RETAIN`])
      assert.equal(hub.retained.count, 1)
    })

    test(`QoS ${qos}: what is retained at the target stays as it is, even when the copy is empty`, async t => {
      const { connect } = await embedHub(t, { config: configOf(rulesYaml(rule('in -> out'))) })
      const publisher = await connect('publisher')
      await publisher.publish({ topic: 'out', payload: 'before', qos: 1, retain: true })
      await publisher.publish({ topic: 'in', payload: 'm', qos, retain: true })
      await publisher.publish({ topic: 'in', payload: '', qos, retain: true })
      const late = await connect('late')
      await late.subscribe(['#', 1])
      assert.deepEqual(await heard(late), ['out 1 before RETAIN'])
    })

    test(`QoS ${qos}: rules are above permissions`, async t => {
      const config = configOf(rulesYaml(rule('in -> out'), rule('out -> kept')), PRINCIPALS)
      const { connect } = await embedHub(t, { config })
      const listener = await connect('listener', { username: 'listener', password: 'pw' })
      await listener.subscribe(['out', 2], ['kept', 2])
      const speaker = await connect('speaker', { username: 'speaker', password: 'pw' })
      await speaker.publish({ topic: 'in', payload: 'm', qos })
      assert.deepEqual(await heard(listener), [`kept ${qos} m`, `out ${qos} m`])
      speaker.send(publish({ topic: 'out', qos }))
      await speaker.closed()
      await listener.quiet()
    })

    test(`QoS ${qos}: the publisher hears its own copy`, async t => {
      const { connect } = await embedHub(t, { config: configOf(rulesYaml(rule('in -> out'))) })
      const client = await connect('client')
      await client.subscribe(['out', 2])
      client.send(publish({ topic: 'in', payload: 'm', qos }))
      const answers = await client.everything()
      assert.deepEqual(linesOf(answers), [`out ${qos} m`])
    })
  }

  test('a message that the publisher may not publish is not forwarded either', async t => {
    const { hub, connect } = await embedHub(t, {
      config: configOf(rulesYaml(rule('secret/# -> out')), PRINCIPALS),
    })
    const speaker = await connect('speaker', { username: 'speaker', password: 'pw' })
    speaker.send(publish({ topic: 'secret/a', qos: 1 }))
    await speaker.closed()
    assert.equal(hub.state.counters.forwarded, 0)
  })

  test('a Will goes through the rules', async t => {
    const { connect } = await embedHub(t, { config: configOf(rulesYaml(rule('in -> out'), rule('out -> kept'))) })
    const reader = await connect('reader')
    await reader.subscribe(['#', 2])
    const mortal = await connect('mortal', { will: { topic: 'in', payload: 'will', qos: 1 } })
    mortal.destroy()
    const packets = [await reader.receive(), await reader.receive(), await reader.receive()]
    assert.deepEqual(linesOf(packets).sort(), ['in 1 will', 'kept 1 will', 'out 1 will'])
    await reader.quiet()
  })

  test('what the program publishes goes through the rules', async t => {
    const { hub, connect } = await embedHub(t, { config: configOf(rulesYaml(rule('in -> out'))) })
    const reader = await connect('reader')
    await reader.subscribe(['#', 2])
    await new Promise<void>((resolve, reject) => {
      hub.publish({ cmd: 'publish', topic: 'in', payload: 'm', qos: 2, retain: false, dup: false }, error =>
        error ? reject(error) : resolve(),
      )
    })
    assert.deepEqual(await heard(reader), ['in 2 m', 'out 2 m'])
  })
})

suite('what a rule takes', { skip: ownHubOnly }, () => {
  /** As for subscriptions: OpenEdge's tables of matches, with the rule as the subscriber. */
  const TAKES: Record<string, { yes: string[]; no: string[] }> = {
    '#': { yes: ['a', '/', 'abc/', '//'], no: [] },
    'a/+': { yes: ['a/', 'a/b'], no: ['a', '/a', 'a/b/c', 'A/b'] },
    '/+': { yes: ['/', '/a'], no: ['a', '//'] },
    '/a/b/c/#': { yes: ['/a/b/c', '/a/b/c/', '/a/b/c/d'], no: ['/a/b', 'a/b/c'] },
    '+': { yes: ['a', ' '], no: ['/', 'a/'] },
    '/a/b/+': { yes: ['/a/b/', '/a/b/c'], no: ['/a/b'] },
    'a/b/#': { yes: ['a/b', 'a/b/c/d'], no: ['a', 'a/bc'] },
    '+/': { yes: ['abc/', '/'], no: ['abc', '//'] },
    '+/#': { yes: ['abc/', '//', 'a', '/'], no: [] },
    '+/+': { yes: ['abc/', '/'], no: ['a', '//'] },
    '/#': { yes: ['//', '/', '/a'], no: ['a', 'a/'] },
    'wildcard/sharp/#': {
      yes: ['wildcard/sharp', 'wildcard/sharp/', 'wildcard/sharp/a/b'],
      no: ['wildcard', 'wildcard/sharper'],
    },
    'wildcard/plus/+': { yes: ['wildcard/plus/', 'wildcard/plus/a'], no: ['wildcard/plus', 'wildcard/plus/a/b'] },
  }

  for (const [source, { yes, no }] of Object.entries(TAKES)) {
    test(`'${source}' takes ${yes.join(' ')}, but not ${no.join(' ')}`, async t => {
      // The target is below $, where no wildcard leads back to.
      const config = configOf(`${rulesYaml(rule(`${source} -> $out`))}\nlimits: { topic: { dollar: allow } }`)
      const { hub } = await embedHub(t, { config })
      const taken: string[] = []
      hub.subscribe('$out', (packet, done) => {
        taken.push(packet.payload.toString())
        done()
      })
      for (const topic of [...no, ...yes]) {
        await new Promise<void>((resolve, reject) => {
          hub.publish({ cmd: 'publish', topic, payload: topic, qos: 0, retain: false, dup: false }, error =>
            error ? reject(error) : resolve(),
          )
        })
      }
      assert.deepEqual(taken, yes)
    })

    test(`'${source}' on the wire`, async t => {
      const config = configOf(
        `${rulesYaml(rule(`${source} -> $out`))}\nlimits: { topic: { dollar: allow } }`,
        `
principals: [{ username: all, password: pw, permissions: [{ action: pub, permit: ['#'] }, { action: sub, permit: ['$out'] }] }]`,
      )
      const { connect } = await embedHub(t, { config })
      const client = await connect('client', { username: 'all', password: 'pw' })
      await client.subscribe(['$out', 1])
      client.send(Buffer.concat([...no, ...yes].map(topic => publish({ topic, payload: topic }))))
      assert.deepEqual(
        linesOf(await client.everything()),
        yes.map(topic => `$out 0 ${topic}`),
      )
    })
  }
})

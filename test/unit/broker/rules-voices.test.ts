/** Rules that depend on who publishes: everybody gets copies of his own, whoever published before him. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { configOf, type EmbeddedHub, embedHub } from '../../support/embedded-hub.ts'
import { bytesHeld } from '../../support/garbage.ts'
import { publish } from '../../support/packets.ts'
import { heard, linesOf, publishAtOnce, rule } from '../../support/rules.ts'

const MB = 1_000_000
const inMb = (bytes: number): string => `${(bytes / MB).toFixed(1)} MB`
/** More publishers of one topic than are remembered. */
const MANY = 200
const HOOK: Pick<EmbeddedHub['hub'], 'authorizePublish'> = { authorizePublish: (_client, _packet, done) => done(null) }

const EVERYTHING = `permissions: [{ action: pub, permit: ['#'] }, { action: sub, permit: ['#'] }]`
const PRINCIPALS = configOf(
  `principals: [{ username: ann, password: pw, ${EVERYTHING} }, { username: bob, password: pw, ${EVERYTHING} }]`,
)

for (const isHooked of [false, true]) {
  for (const qos of [0, 1, 2]) {
    suite(`QoS ${qos}${isHooked ? ', with a hook' : ''}`, () => {
      test('two publishers in turn', async t => {
        const { hub, connect } = await embedHub(t, {
          config: PRINCIPALS,
          settings: { window: 1000 },
          ...(isHooked && HOOK),
        })
        hub.useRules([
          rule('in -> all'),
          rule('in -> by/{clientid}/{username}'),
          rule('in -> ann', { from: 'ann' }),
          rule('in -> bob', { from: 'bob' }),
          rule('in -> nobody', { from: 'anonymous' }),
          rule('all -> far/{clientid}'),
        ])
        const reader = await connect('reader')
        await reader.subscribe(['#', 2])
        const publishers = [
          { client: await connect('a', { username: 'ann', password: 'pw' }), own: ['ann', 'by/a/ann', 'far/a'] },
          { client: await connect('b', { username: 'bob', password: 'pw' }), own: ['bob', 'by/b/bob', 'far/b'] },
          // Without a username there is no topic level of it.
          { client: await connect('c'), own: ['far/c', 'nobody'] },
        ]
        for (let round = 0; round < 4; round++) {
          for (const { client, own } of publishers) {
            await publishAtOnce(client, 'in', qos, ['1', '2'])
            const wanted = ['all', 'in', ...own].flatMap(topic => [`${topic} ${qos} 1`, `${topic} ${qos} 2`])
            assert.deepEqual(await heard(reader), wanted.sort(), `round ${round}`)
          }
        }
      })

      test(`${MANY} publishers in turn`, async t => {
        const { hub, connectStream } = await embedHub(t, isHooked ? HOOK : {})
        hub.useRules([rule('in -> out/{clientid}'), rule('out/# -> far/{clientid}/{#}')])
        const reader = await connectStream('reader')
        await reader.subscribe(['out/#', 1], ['far/#', 1])
        const publishers = await Promise.all(Array.from({ length: MANY }, (_, i) => connectStream(`c${i}`)))
        const granted = Math.min(qos, 1)
        for (let round = 0; round < 3; round++) {
          for (const [i, client] of publishers.entries()) {
            await publishAtOnce(client, 'in', qos, [`${i}`])
            // Acknowledged, so that there is always room for more.
            const lines = linesOf([await reader.receive(), await reader.receive()]).sort()
            assert.deepEqual(lines, [`far/c${i}/c${i} ${granted} ${i}`, `out/c${i} ${granted} ${i}`], `client ${i}`)
          }
        }
        await reader.quiet()
      })
    })
  }
}

test('the same client identifier with another principal is somebody else', async t => {
  const { hub, connect } = await embedHub(t, { config: PRINCIPALS })
  hub.useRules([rule('in -> by/{clientid}/{username}'), rule('in -> ann', { from: 'ann' })])
  const reader = await connect('reader')
  await reader.subscribe(['ann', 0], ['by/#', 0])
  for (const username of ['ann', 'bob', 'ann']) {
    const client = await connect('device', { username, password: 'pw' })
    await client.publish({ topic: 'in', payload: 'm', qos: 1 })
    const wanted = [...(username === 'ann' ? ['ann 0 m'] : []), `by/device/${username} 0 m`]
    assert.deepEqual(await heard(reader), wanted)
    await client.disconnect()
  }
})

suite('the memory for what rules make', () => {
  const TOPICS = 1000
  const LONG = 60_000

  for (const isHooked of [false, true]) {
    for (const [what, target] of [
      ['long targets', '{1}/{clientid}'],
      ['targets that are long because of their sources', `x/${'y'.repeat(LONG)}/{1}`],
    ] as const) {
      test(`does not grow by ${what}${isHooked ? ', with a hook' : ''}`, async t => {
        const { hub, connectStream } = await embedHub(t, isHooked ? HOOK : {})
        hub.useRules([rule(`+ -> ${target}`)])
        const client = await connectStream('c'.repeat(LONG))
        client.send(publish({ topic: 'first' }))
        await client.quiet()
        const before = await bytesHeld()
        for (let i = 0; i < TOPICS; i++) client.send(publish({ topic: `k${i}` }))
        await client.quiet()
        assert.equal(hub.state.counters.forwarded, TOPICS + 1, 'every message is forwarded')
        const more = (await bytesHeld()) - before
        assert.ok(more < 12 * MB, `${inMb(more)} for ${TOPICS} topics`)
      })
    }
  }

  test('does not grow by clients that have gone', async t => {
    const { hub, connect } = await embedHub(t)
    hub.useRules([rule('+ -> {1}/{clientid}')])
    const packets = Buffer.concat(Array.from({ length: 4000 }, (_, i) => publish({ topic: `k${i}` })))
    const comeAndGo = async (i: number): Promise<void> => {
      const client = await connect(`${i}`.padEnd(200, 'x'))
      client.send(packets)
      await client.quiet()
      await client.disconnect()
    }
    for (let i = 0; i < 4; i++) await comeAndGo(i)
    const before = await bytesHeld()
    for (let i = 4; i < 44; i++) await comeAndGo(i)
    const more = (await bytesHeld()) - before
    assert.ok(more < 30 * MB, `${inMb(more)} for 40 clients`)
  })
})

/** Rules when others have a say in messages: hooks, functions, listeners, plugged persistences and emitters. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { AedesPublishPacket } from 'aedes'
import { memoryPersistence, memoryQueue } from '../contract/aedes/plugins.ts'
import { embedHub, until } from '../support/embedded-hub.ts'
import { heard, linesOf, publishAtOnce, rule, ruleOf } from '../support/rules.ts'

const CHAIN = [rule('in/# -> copy/{#}', { targetQos: 1 }), rule('copy/# -> end/{clientid}/{#}', { retain: 'keep' })]
const QOS = [0, 1, 2] as const

for (const qos of QOS) {
  const as = Math.min(qos, 1)

  suite(`hooks, QoS ${qos}`, () => {
    test('a hook is asked about the original alone, and rules take what it makes of it', async t => {
      const asked: string[] = []
      const { hub, connect } = await embedHub(t, {
        authorizePublish: (_client, packet, done) => {
          asked.push(packet.topic)
          packet.payload = Buffer.from(`${packet.payload.toString()} changed`)
          done(null)
        },
      })
      hub.useRules(CHAIN)
      const reader = await connect('reader')
      await reader.subscribe(['#', 2])
      const publisher = await connect('publisher')
      await publisher.publish({ topic: 'in/x', payload: 'm', qos })
      const wanted = [`copy/x ${as} m changed`, `end/publisher/x ${as} m changed`, `in/x ${qos} m changed`]
      assert.deepEqual(await heard(reader), wanted)
      assert.deepEqual(asked, ['in/x'])
      assert.equal(hub.state.counters.forwarded, 2)
    })

    test('what a hook refuses is not forwarded', async t => {
      const { hub, connect } = await embedHub(t, {
        authorizePublish: (_client, _packet, done) => done(new Error('no')),
      })
      hub.useRules(CHAIN)
      const reader = await connect('reader')
      await reader.subscribe(['#', 2])
      const publisher = await connect('publisher')
      await assert.rejects(publisher.publish({ topic: 'in/x', payload: 'm', qos }))
      await publisher.closed()
      await reader.quiet()
      assert.equal(hub.state.counters.forwarded, 0)
    })

    test('authorizeForward decides about copies as about other messages', async t => {
      const { hub, connect } = await embedHub(t, {
        authorizeForward: (client, packet) => (client.id === 'shy' && packet.topic.startsWith('copy') ? null : packet),
      })
      hub.useRules(CHAIN)
      const [shy, bold] = [await connect('shy'), await connect('bold')]
      for (const each of [shy, bold]) await each.subscribe(['copy/#', 2], ['end/#', 2])
      await (await connect('publisher')).publish({ topic: 'in/x', payload: 'm', qos })
      await until(() => hub.state.counters.forwarded === 2, 'both rules have forwarded')
      assert.deepEqual(linesOf([await shy.receive()]), [`end/publisher/x ${as} m`])
      assert.deepEqual(linesOf([await bold.receive(), await bold.receive()]).sort(), [
        `copy/x ${as} m`,
        `end/publisher/x ${as} m`,
      ])
      for (const each of [shy, bold]) await each.quiet()
    })

    test('functions of the program hear the targets, and the acknowledgement waits for them', async t => {
      const { hub, connect } = await embedHub(t)
      hub.useRules(CHAIN)
      const packets: AedesPublishPacket[] = []
      let release = (): void => assert.fail('nobody was told')
      hub.subscribe('end/#', (packet, done) => {
        packets.push(packet)
        release = done
      })
      const publisher = await connect('publisher')
      let isDone = false
      const published = publisher.publish({ topic: 'in/x', payload: 'm', qos }).then(() => (isDone = true))
      await until(() => packets.length === 1, 'the function is told')
      const [{ topic, payload, qos: heardQos, retain }] = packets as [AedesPublishPacket]
      assert.deepEqual([topic, payload.toString(), heardQos, retain], ['end/publisher/x', 'm', as, false])
      assert.equal(isDone, false)
      release()
      await published
    })

    test('listeners of publish and the published hook are told of the original and of each copy', async t => {
      const told: string[] = []
      const events: string[] = []
      const { hub, connect } = await embedHub(t, {
        published: (packet, client, done) => {
          if (client !== null) told.push(`${packet.topic} ${packet.qos} ${client.id}`)
          done()
        },
      })
      hub.useRules(CHAIN)
      hub.on('publish', (packet, client) => {
        if (client !== null) events.push(`${packet.topic} ${packet.qos} ${client.id} ${packet.payload.toString()}`)
      })
      const publisher = await connect('publisher')
      await publishAtOnce(publisher, 'in/x', qos, ['1', '2'])
      const wanted = [`copy/x ${as} publisher`, `end/publisher/x ${as} publisher`, `in/x ${qos} publisher`]
      assert.deepEqual(told.sort(), [...wanted, ...wanted].sort())
      assert.deepEqual(events.sort(), ['1', '2'].flatMap(i => wanted.map(each => `${each} ${i}`)).sort())
    })

    for (const retain of [false, true]) {
      test(`RETAIN ${retain ? 1 : 0}: keep and set as without hooks`, async t => {
        const { hub, connect } = await embedHub(t, { authorizePublish: (_client, _packet, done) => done(null) })
        hub.useRules([
          rule('in -> clear'),
          rule('in -> keep', { retain: 'keep' }),
          rule('in -> set', { retain: 'set' }),
          rule('set -> kept', { retain: 'keep' }),
        ])
        await (await connect('publisher')).publish({ topic: 'in', payload: 'm', qos, retain })
        const late = await connect('late')
        await late.subscribe(['#', 2])
        const kept = retain ? ['in', 'keep', 'kept', 'set'] : ['kept', 'set']
        assert.deepEqual(
          await heard(late),
          kept.map(topic => `${topic} ${qos} m RETAIN`),
        )
      })
    }

    test('limits and principals hold', async t => {
      const embedded = await embedHub(t, { authorizePublish: (_client, _packet, done) => done(null) })
      const { hub, connect } = embedded
      hub.useRules([
        rule('in -> out', { limit: { rate: 1 / 3600, burst: 2 } }),
        rule('in -> other', { from: 'somebody' }),
      ])
      const reader = await connect('reader')
      await reader.subscribe(['out', 2], ['other', 2])
      await publishAtOnce(await connect('publisher'), 'in', qos, ['1', '2', '3', '4'])
      assert.deepEqual(await heard(reader), [`out ${qos} 1`, `out ${qos} 2`])
      const { matched, forwarded, dropped } = ruleOf(embedded, 'in -> out')
      assert.deepEqual([matched, forwarded, dropped], [4, 2, 2])
    })
  })

  suite(`a plugged emitter, QoS ${qos}`, () => {
    test('clients and functions hear copies, each once', async t => {
      const { hub, connect } = await embedHub(t, { mq: memoryQueue() })
      hub.useRules(CHAIN)
      const told: string[] = []
      const tell: Parameters<typeof hub.subscribe>[1] = (packet, done) => {
        told.push(`${packet.topic} ${packet.payload.toString()}`)
        done()
      }
      for (const filter of ['copy/#', 'end/#'])
        await new Promise<void>(resolve => hub.subscribe(filter, tell, () => resolve()))
      const reader = await connect('reader')
      await reader.subscribe(['copy/#', 2], ['end/#', 2])
      const publisher = await connect('publisher')
      for (const payload of ['1', '2']) {
        await publisher.publish({ topic: 'in/x', payload, qos })
        assert.deepEqual(await heard(reader), [`copy/x ${as} ${payload}`, `end/publisher/x ${as} ${payload}`])
      }
      assert.deepEqual(told.sort(), ['copy/x 1', 'copy/x 2', 'end/publisher/x 1', 'end/publisher/x 2'])
    })
  })

  suite(`a plugged persistence, QoS ${qos}`, () => {
    test('those who are there and those who are away get the copies; so does who comes late', async t => {
      const { hub, connect, open } = await embedHub(t, { persistence: memoryPersistence() })
      hub.useRules(CHAIN)
      const away = await connect('away', { cleanSession: false })
      await away.subscribe(['copy/#', 2], ['end/#', 2])
      await away.disconnect()
      const reader = await connect('reader')
      await reader.subscribe(['#', 2])
      const publisher = await connect('publisher')
      await publisher.publish({ topic: 'in/x', payload: 'm', qos, retain: true })
      const live = [`copy/x ${as} m`, `end/publisher/x ${as} m`, `in/x ${qos} m`]
      assert.deepEqual(await heard(reader), live)
      const back = await open()
      assert.equal((await back.connect({ clientId: 'away', cleanSession: false })).sessionPresent, true)
      const waited = qos === 0 ? [] : [await back.receive(), await back.receive()]
      assert.deepEqual(linesOf(waited).sort(), qos === 0 ? [] : live.slice(0, 2))
      await back.quiet()
      const late = await connect('late')
      await late.subscribe(['#', 2])
      assert.deepEqual(linesOf([await late.receive()]), [`in/x ${qos} m RETAIN`])
      await late.quiet()
    })
  })
}

test('what the hub says of itself can be forwarded', async t => {
  const { hub, connect } = await embedHub(t)
  hub.useRules([rule('$SYS/+/new/clients -> audit/clients')])
  const reader = await connect('reader')
  await reader.subscribe(['audit/#', 2])
  await connect('newcomer')
  assert.deepEqual(linesOf([await reader.receive()]), ['audit/clients 0 newcomer'])
  await reader.quiet()
})

test('a source that begins with a wildcard does not take what the hub says of itself', async t => {
  const { hub, connect } = await embedHub(t)
  hub.useRules([rule('# -> $all'), rule('+/+/new/clients -> $some')])
  const reader = await connect('reader')
  await reader.subscribe(['$all', 2], ['$some', 2])
  await connect('newcomer')
  await reader.quiet()
  assert.equal(hub.state.counters.forwarded, 0)
})

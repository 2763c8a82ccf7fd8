/** reject-publish: what is acknowledged found room for itself and all its copies, however sizes differ. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type Packet, publish, pubrel } from '../support/packets.ts'
import { linesOf, rule } from '../support/rules.ts'
import { StoredHub } from '../support/stored-hub.ts'

const OVERFLOW = 'reject-publish'
const LARGE = 1000
const SMALL = 10
/** For three of the large messages, and not for the fourth. */
const QUEUE_BYTES = 3000

/** Packet identifiers of PUBACK and PUBREC. */
function acknowledged(packets: readonly Packet[]): number[] {
  return packets.flatMap(packet => (packet.type === 'puback' || packet.type === 'pubrec' ? [packet.packetId] : []))
}

const times = (count: number, size: number): number[] => Array<number>(count).fill(size)

suite('bytes of a queue whose client is absent', () => {
  for (const [order, sizes] of [
    ['large ones first', [...times(5, LARGE), ...times(5, SMALL)]],
    ['small ones first', [...times(5, SMALL), ...times(5, LARGE)]],
    ['in turn', times(5, 0).flatMap(() => [LARGE, SMALL])],
    ['one large one first', [1400, ...times(30, 60)]],
    ['larger and larger', times(12, 0).map((_, i) => 60 * i)],
    ['smaller and smaller', times(12, 0).map((_, i) => 60 * (12 - i))],
  ] as const) {
    for (const [how, pairs, filters] of [
      ['without rules', [], ['flood/#']],
      ['at the target of a rule', ['flood/# -> copy/{#}'], ['copy/#']],
      ['at the end of a chain', ['flood/# -> copy/{#}', 'copy/# -> end/{#}'], ['end/#']],
      ['at the source and at the target', ['flood/# -> copy/{#}'], ['flood/#', 'copy/#']],
    ] as const) {
      test(`a run of messages of different sizes, ${order}, ${how}`, async t => {
        const settings = { overflow: OVERFLOW, queueBytes: QUEUE_BYTES, inboundQos2: 0 } as const
        const stored = await StoredHub.start(t, { settings })
        stored.hub.useRules(pairs.map(pair => rule(pair)))
        await stored.absent('device', ...filters.map((filter): [string, number] => [filter, 1]))
        const publisher = await stored.guest('publisher')
        const packets = sizes.map((size, i) =>
          publish({ topic: 'flood/x', payload: `${i + 1} `.padEnd(size, '.'), qos: 1, packetId: i + 1 }),
        )
        publisher.send(Buffer.concat(packets))
        const done = acknowledged(await publisher.everything())
        const { counters } = stored.hub.state
        assert.equal(counters.droppedQueued, 0, 'nothing is dropped')
        assert.ok(done.length > 0, 'some are taken on')
        assert.ok(done.length < sizes.length, 'and not all')
        assert.equal(counters.refused, sizes.length - done.length, 'the others are refused')
        const session = stored.hub.sessions.get('device')
        assert.equal(session?.queued, done.length * filters.length, 'so many wait')
        const bytes = session?.log?.disk.bytes ?? 0
        assert.ok(bytes > 0 && bytes <= QUEUE_BYTES, `${bytes} bytes wait`)
        const device = await stored.kept('device', true)
        const received = await stored.drain(device, 'device')
        const wanted = done.flatMap(i => filters.map(() => i))
        assert.deepEqual(
          received.sort((a, b) => a - b),
          wanted,
          'what is acknowledged is there, with its copies',
        )
        assert.equal(counters.droppedQueued, 0, 'nothing is dropped later')
      })
    }
  }
})

suite('one queue for a message of QoS 2 and its copies', () => {
  const RULES = [rule('in -> a'), rule('in -> b'), rule('in -> c')]
  const TOPICS = ['in', 'a', 'b', 'c']
  const BYTES = 60_000

  for (const isKept of [true, false]) {
    for (const isHooked of [false, true]) {
      // What a clean session has in its window needs no room in the queue.
      for (const [limit, settings, bytes, isTaken] of [
        ['two messages', { queueMessages: 2 }, 1, !isKept],
        ['three messages', { queueMessages: 3 }, 1, !isKept],
        ['four messages', { queueMessages: 4 }, 1, true],
        ['bytes of one of them', { queueBytes: 100_000 }, BYTES, !isKept],
        ['bytes of three of them', { queueBytes: 3.5 * BYTES }, BYTES, !isKept],
        ['bytes of all of them', { queueBytes: 5 * BYTES }, BYTES, true],
      ] as const) {
        const who = `${isKept ? 'kept' : 'clean'}${isHooked ? ', with a hook' : ''}`
        test(`a queue for ${limit} takes ${isTaken ? 'all' : 'none'}: ${who}`, async t => {
          const window = isKept ? 102 : 10
          const stored = await StoredHub.start(t, {
            settings: { overflow: OVERFLOW, window, inboundQos2: 0, ...settings },
          })
          stored.hub.useRules(RULES)
          const device = isKept ? await stored.kept('device', false) : await stored.guest('device')
          await device.subscribe(['#', 2])
          const publisher = await stored.guest('publisher')
          if (isHooked) stored.hub.authorizePublish = (_client, _packet, done) => done(null)
          publisher.send(publish({ topic: 'in', payload: 'x'.repeat(bytes), qos: 2, packetId: 9 }))
          if (isTaken) assert.equal((await publisher.expect('pubrec')).packetId, 9)
          else assert.deepEqual(await publisher.everything(), [], 'it is not acknowledged')
          await stored.settled()
          const packets: Packet[] = []
          for (const _ of isTaken ? TOPICS : []) packets.push(await device.expect('publish'))
          packets.push(...(await device.everything()))
          const topics = linesOf(packets).map(line => line.split(' ', 2).join(' '))
          assert.deepEqual(topics.sort(), isTaken ? TOPICS.map(topic => `${topic} 2`).sort() : [], 'what is there')
          const { counters } = stored.hub.state
          assert.equal(counters.droppedQueued, 0, 'nothing is dropped')
          assert.equal(counters.refused, isTaken ? 0 : 1)
        })
      }
    }
  }

  test('behind messages that wait for their packet identifiers QoS 1 waits too, and needs room', async t => {
    const settings = { overflow: OVERFLOW, queueMessages: 8, window: 102, inboundQos2: 0 } as const
    const stored = await StoredHub.start(t, { settings })
    stored.hub.useRules(RULES)
    const device = await stored.kept('device', false)
    await device.subscribe(['#', 2])
    const publisher = await stored.guest('publisher')
    const packets = [2, 1, 1, 2, 1, 2].map((qos, i) =>
      publish({ topic: 'in', payload: `${i + 1}`, qos, packetId: i + 1 }),
    )
    publisher.send(Buffer.concat(packets))
    const done = acknowledged(await publisher.everything())
    await stored.settled()
    done.push(...acknowledged(await publisher.everything()))
    publisher.send(Buffer.concat(done.map(pubrel)))
    const received = await stored.drain(device, 'device')
    for (const i of done) assert.equal(received.filter(each => each === i).length, 4, `message ${i} and its copies`)
    assert.ok(done.length > 0, 'some are taken on')
    assert.equal(received.length, done.length * 4, 'and nothing that was refused')
    assert.equal(stored.hub.state.counters.droppedQueued, 0, 'nothing is dropped')
  })
})

/** Queues that are full at the end of a rule. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { heard, linesOf, rule } from '../support/rules.ts'
import { numbers, ranges, StoredHub } from '../support/stored-hub.ts'

const LIMIT = 50
const WINDOW = 10
const TOTAL = 300
const CHAIN = [rule('flood/# -> copy/{#}'), rule('copy/# -> end/{#}')]

function start(t: TestContext, overflow: 'reject-publish' | 'drop-oldest' | 'drop-newest'): Promise<StoredHub> {
  return StoredHub.start(t, { settings: { overflow, queueMessages: LIMIT, window: WINDOW, inboundQos2: 0 } })
}

suite('reject-publish', () => {
  for (const filter of ['flood/#', 'copy/#', 'end/#']) {
    for (const [qos, single] of [
      [1, false],
      [1, true],
      [2, true],
    ] as const) {
      for (const isHooked of [false, true]) {
        const name = `QoS ${qos}, ${single ? 'one by one' : 'in runs'}${isHooked ? ', with a hook' : ''}`
        test(`a full queue for ${filter} refuses messages as a whole: ${name}`, async t => {
          const stored = await start(t, 'reject-publish')
          stored.hub.useRules(CHAIN)
          if (isHooked) stored.hub.authorizePublish = (_client, _packet, done) => done(null)
          await stored.absent('device', [filter, qos])
          const bystander = await stored.guest('bystander')
          await bystander.subscribe(['flood/#', 0], ['copy/#', 0], ['end/#', 0])
          const publisher = await stored.guest('publisher')
          const acknowledged = await stored.flood(publisher, { topic: 'flood/x', count: TOTAL, qos, single })
          assert.equal(ranges(acknowledged), `0-${LIMIT - 1}`, 'what is acknowledged')
          const lines = linesOf(await bystander.everything())
          for (const topic of ['flood', 'copy', 'end']) {
            const heardThere = lines.filter(line => line.startsWith(topic)).map(line => Number(line.split(' ')[2]))
            assert.equal(ranges(heardThere), `0-${LIMIT - 1}`, `what others get of ${topic}`)
          }
          const { counters } = stored.hub.state
          assert.equal(counters.refused, TOTAL - LIMIT, 'counters.refused')
          assert.equal(counters.droppedQueued, 0, 'nothing is dropped')
          const device = await stored.kept('device', true)
          assert.equal(ranges(await stored.drain(device, 'device')), `0-${LIMIT - 1}`, 'what the receiver gets')
          const more = await stored.flood(publisher, { topic: 'flood/x', count: 20, qos })
          assert.equal(ranges(more), '0-19', 'there is room again')
        })
      }
    }
  }

  for (const [qos, single] of [
    [1, false],
    [1, true],
    [2, true],
  ] as const) {
    for (const isHooked of [false, true]) {
      const name = `QoS ${qos}, ${single ? 'one by one' : 'in runs'}${isHooked ? ', with a hook' : ''}`
      test(`one queue for original and copies: what is acknowledged is there three times: ${name}`, async t => {
        const stored = await start(t, 'reject-publish')
        stored.hub.useRules(CHAIN)
        if (isHooked) stored.hub.authorizePublish = (_client, _packet, done) => done(null)
        await stored.absent('device', ['flood/#', qos], ['copy/#', qos], ['end/#', qos])
        const publisher = await stored.guest('publisher')
        const acknowledged = await stored.flood(publisher, { topic: 'flood/x', count: TOTAL, qos, single })
        const least = Math.floor(LIMIT / 3)
        const count = acknowledged.length
        assert.ok(count >= least && count <= LIMIT, `${count} are acknowledged`)
        assert.equal(ranges(acknowledged), `0-${count - 1}`, 'the first ones')
        const device = await stored.kept('device', true)
        const received = await stored.drain(device, 'device')
        for (const i of acknowledged) {
          const copies = received.filter(each => each === i).length
          assert.equal(copies, 3, `of message ${i}`)
        }
        assert.equal(received.length, count * 3, 'and nothing that was refused')
        assert.equal(stored.hub.state.counters.droppedQueued, 0, 'nothing is dropped')
      })
    }
  }

  for (const isHooked of [false, true]) {
    for (const bytes of [2, 200]) {
      for (const [source, target] of [
        ['in', `target/${'x'.repeat(150)}`],
        [`in/${'x'.repeat(150)}`, 'target'],
      ] as const) {
        for (const topic of [source, target]) {
          const where = topic === source ? 'the original' : 'the copy'
          const name = `${where} has ${bytes} bytes of payload and ${topic.length} of topic`
          test(`bytes of the topic count where they are: ${name}${isHooked ? ', with a hook' : ''}`, async t => {
            const size = 2 + topic.length + bytes
            // One byte is missing for the twelfth.
            const settings = { overflow: 'reject-publish', queueBytes: 12 * size - 1, window: WINDOW } as const
            const stored = await StoredHub.start(t, { settings })
            stored.hub.useRules([rule(`${source} -> ${target}`)])
            if (isHooked) stored.hub.authorizePublish = (_client, _packet, done) => done(null)
            await stored.absent('device', [topic, 1])
            const publisher = await stored.guest('publisher')
            const done = await stored.flood(publisher, { topic: source, count: 20, bytes, single: false })
            assert.equal(done.length, 11, 'as many as fit are acknowledged')
            const device = await stored.kept('device', true)
            assert.equal((await stored.drain(device, 'device')).length, 11, 'and are there')
            assert.equal(stored.hub.state.counters.droppedQueued, 0, 'nothing is dropped')
          })
        }
      }
    }
  }

  test('copies of QoS 0 need no room', async t => {
    const stored = await start(t, 'reject-publish')
    stored.hub.useRules([rule('flood -> copy', { targetQos: 0 })])
    await stored.absent('device', ['copy', 1])
    const publisher = await stored.guest('publisher')
    await stored.flood(publisher, { topic: 'copy', count: LIMIT })
    const acknowledged = await stored.flood(publisher, { topic: 'flood', count: TOTAL })
    assert.equal(acknowledged.length, TOTAL, 'all are acknowledged')
  })

  test('only messages on their way to the full queue are refused', async t => {
    const stored = await start(t, 'reject-publish')
    stored.hub.useRules([rule('in/+ -> out/{1}')])
    await stored.absent('device', ['out/a', 1])
    const publisher = await stored.guest('publisher')
    await stored.flood(publisher, { topic: 'out/a', count: LIMIT })
    assert.equal((await stored.flood(publisher, { topic: 'in/a', count: 10 })).length, 0, 'in/a is refused')
    const other = await stored.guest('other')
    assert.equal((await stored.flood(other, { topic: 'in/b', count: 10 })).length, 10, 'in/b is not')
  })
})

suite('drop-oldest and drop-newest', () => {
  for (const overflow of ['drop-oldest', 'drop-newest'] as const) {
    for (const single of [false, true]) {
      test(`${overflow}: a full queue at the target does not hurt the source, ${single ? 'one by one' : 'in runs'}`, async t => {
        const stored = await start(t, overflow)
        stored.hub.useRules([rule('flood/# -> copy/{#}')])
        await stored.absent('at-source', ['flood/#', 1])
        await stored.absent('at-target', ['copy/#', 1])
        const publisher = await stored.guest('publisher')
        await stored.flood(publisher, { topic: 'copy/x', from: 1000, count: LIMIT })
        const acknowledged = await stored.flood(publisher, { topic: 'flood/x', count: 20, single })
        assert.equal(ranges(acknowledged), '0-19', 'all are acknowledged')
        const source = await stored.kept('at-source', true)
        assert.equal(ranges(await stored.drain(source, 'at-source')), '0-19', 'at the source')
        const target = await stored.kept('at-target', true)
        const left = await stored.drain(target, 'at-target')
        const prefilled = numbers(1000, 1000 + LIMIT)
        const wanted = overflow === 'drop-oldest' ? [...prefilled.slice(20), ...numbers(0, 20)] : prefilled
        assert.equal(ranges(left), ranges(wanted), 'at the target')
        assert.equal(stored.hub.state.counters.droppedQueued, 20)
      })
    }
  }

  test('a deaf client at the target does not hold up the source or its publisher', async t => {
    const stored = await start(t, 'drop-oldest')
    stored.hub.useRules([rule('flood -> copy')])
    const deaf = await stored.guest('deaf')
    await deaf.subscribe(['copy', 1])
    const reader = await stored.guest('reader')
    await reader.subscribe(['flood', 0])
    const publisher = await stored.guest('publisher')
    const acknowledged = await stored.flood(publisher, { count: TOTAL })
    assert.equal(acknowledged.length, TOTAL)
    assert.equal((await heard(reader)).length, TOTAL)
    const wanted = [...numbers(0, WINDOW), ...numbers(TOTAL - LIMIT, TOTAL)]
    assert.equal(ranges(await stored.drain(deaf, 'deaf')), ranges(wanted))
  })
})

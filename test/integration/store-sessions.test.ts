/** What a hub with a store writes for whom, and what a session gets when it comes back. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { configOf, turns, until } from '../support/embedded-hub.ts'
import { publish } from '../support/packets.ts'
import { numbers, ranges, StoredHub } from '../support/stored-hub.ts'

suite('what is written', () => {
  for (const qos of [1, 2]) {
    test(`QoS ${qos}: a message that only clean sessions want is not, and is acknowledged at once`, async t => {
      const stored = await StoredHub.start(t)
      const reader = await stored.guest('reader')
      await reader.subscribe(['flood', qos])
      await stored.absent('device', ['else', 1])
      const publisher = await stored.guest('publisher')
      await stored.settled()
      const { store } = stored.hub.state
      assert.ok(store !== null, 'there is a store')
      const next = store.nextSeq
      publisher.send(publish({ topic: 'flood', payload: '0', qos, packetId: 9 }))
      await until(() => stored.hub.state.counters.messagesReceived > 0, 'the message is received')
      assert.equal(store.commit.isIdle, true, 'nothing is on its way to disk')
      const answer = await publisher.expect(qos === 1 ? 'puback' : 'pubrec')
      assert.equal(answer.packetId, 9)
      await stored.flood(publisher, { from: 100, count: 500, qos: 1 })
      assert.equal(ranges(await stored.drain(reader, 'reader')), '0 100-599')
      assert.equal(store.nextSeq, next, 'no message was numbered')
      await stored.stop()
      assert.equal((await stored.contents()).count('qmki'), 0, 'nothing is on disk')
    })
  }

  for (const single of [false, true]) {
    test(`${single ? 'a message' : 'a run'} for one kept session and one clean session is written once`, async t => {
      const stored = await StoredHub.start(t)
      await (await stored.guest('clean')).subscribe(['flood', 1])
      await stored.absent('device', ['flood', 1])
      const count = single ? 1 : 100
      await stored.flood(await stored.guest('publisher'), { count, bytes: 200 })
      await stored.stop()
      const { bytes, count: keys } = await stored.contents()
      assert.equal(keys('q'), 1, 'entries')
      assert.equal(keys('m'), 0, 'records')
      assert.ok((bytes.get('q') ?? 0) < count * 220 + 50, `${bytes.get('q')} bytes`)
    })
  }

  test('a message for 50 sessions is one record and 50 small entries, and each session gets it', async t => {
    const stored = await StoredHub.start(t)
    const ids = numbers(0, 50).map(i => `device-${i}`)
    for (const id of ids) await stored.absent(id, ['flood', 1])
    await stored.flood(await stored.guest('publisher'), { count: 1, bytes: 10_000 })
    await stored.stop()
    const { bytes, count } = await stored.contents()
    assert.equal(count('m'), 1, 'records')
    assert.equal(count('q'), 50, 'entries')
    assert.ok((bytes.get('q') ?? 0) < 50 * 32, `${bytes.get('q')} bytes of entries`)
    await stored.start()
    for (const [i, id] of ids.entries()) {
      const device = await stored.kept(id, true)
      assert.equal(ranges(await stored.drain(device, id)), '0', id)
      if (i % 10 === 3) await stored.leave(device, id)
    }
    await stored.settled()
    await stored.stop()
    assert.equal((await stored.contents()).count('qmk'), 0, 'nothing is left on disk')
  })

  for (const qos of [1, 2]) {
    test(`QoS ${qos}: what is acknowledged disappears, whoever was there or away`, async t => {
      const stored = await StoredHub.start(t)
      const here = await stored.kept('here', false)
      await here.subscribe(['flood/#', qos])
      await stored.absent('away', ['flood/#', qos])
      const publisher = await stored.kept('publisher', false)
      for (const single of [true, false]) await stored.flood(publisher, { count: 300, qos, single })
      await stored.drain(here, 'here')
      await stored.drain(await stored.kept('away', true), 'away')
      await stored.settled()
      await stored.stop()
      assert.equal((await stored.contents()).count('qmki'), 0, 'nothing is left on disk')
    })
  }

  test('a session that ends takes its part of shared messages along', async t => {
    const stored = await StoredHub.start(t)
    for (const id of ['one', 'other']) await stored.absent(id, ['flood/#', 1])
    await stored.flood(await stored.guest('publisher'), { count: 600, single: true })
    await stored.guest('one') // Clean Session ends it
    assert.equal(ranges(await stored.drain(await stored.kept('other', true), 'other')), '0-599')
    await stored.settled()
    await turns(50)
    await stored.restart() // what a purge had no time for is done at the start
    await stored.settled()
    await turns(50)
    await stored.stop()
    const contents = await stored.contents()
    assert.equal(contents.count('qmk'), 0, 'no message is left')
    assert.equal(contents.count('s'), 1, 'sessions')
  })
})

suite('order', () => {
  test('1000 large messages for an absent session', async t => {
    const stored = await StoredHub.start(t, { settings: { queueBytes: 64 * 1_048_576 } })
    await stored.absent('device', ['flood', 1])
    await stored.flood(await stored.guest('publisher'), { count: 1000, bytes: 30 * 1024 })
    await stored.restart()
    assert.equal(ranges(await stored.drain(await stored.kept('device', true), 'device')), '0-999')
    await stored.settled()
    await stored.stop()
    assert.equal((await stored.contents()).count('qmk'), 0, 'nothing is left on disk')
  })

  test('QoS 0 does not overtake what waits on disk', async t => {
    const stored = await StoredHub.start(t, { settings: { window: 10 } })
    const device = await stored.kept('device', false)
    await device.subscribe(['flood/#', 1])
    const publisher = await stored.guest('publisher')
    await stored.flood(publisher, { count: 2000 })
    await stored.flood(publisher, { from: 2000, count: 100, qos: 0 })
    await stored.flood(publisher, { from: 2100, count: 1000 })
    await stored.flood(publisher, { from: 3100, count: 1, qos: 0, single: true })
    assert.equal(ranges(await stored.drain(device, 'device')), '0-3100')
    await stored.flood(publisher, { from: 4000, count: 3, qos: 0 })
    assert.equal(ranges(await stored.drain(device, 'device')), '4000-4002')
  })

  test('QoS 0 that waits with them is bounded and counted', async t => {
    const stored = await StoredHub.start(t, { settings: { window: 10, qos0Buffer: 50, queueMessages: 1000 } })
    const device = await stored.kept('device', false)
    await device.subscribe(['flood/#', 1])
    const publisher = await stored.guest('publisher')
    await stored.flood(publisher, { count: 1010, single: true })
    await stored.flood(publisher, { from: 2000, count: 80, qos: 0 })
    const { counters } = stored.hub.state
    assert.equal(counters.droppedQos0, 30, 'counters.droppedQos0')
    assert.equal(ranges(await stored.drain(device, 'device')), '0-1009 2000-2049')
    assert.equal(counters.droppedQueued, 0, 'counters.droppedQueued')
  })

  for (const overflow of ['drop-oldest', 'drop-newest'] as const) {
    test(`${overflow}: QoS 0 pushes no stored message out of a queue that was full`, async t => {
      const stored = await StoredHub.start(t, { settings: { window: 10, queueMessages: 600, overflow } })
      await stored.absent('device', ['flood/#', 1])
      const publisher = await stored.guest('publisher')
      await stored.flood(publisher, { count: 600, single: true })
      const device = await stored.kept('device', true)
      await stored.flood(publisher, { from: 2000, count: 500, qos: 0 })
      const received = await stored.drain(device, 'device')
      assert.equal(ranges(received.filter(i => i < 2000)), '0-599')
      const { counters } = stored.hub.state
      assert.equal(counters.droppedQueued, 0, 'counters.droppedQueued')
      assert.equal(received.length + counters.droppedQos0, 1100, 'each is either received or counted')
    })
  }
})

const permit = (filters: string): string => `permissions: [{ action: sub, permit: [${filters}] }]`
const principals = (a: string, b: string): string => `
principals:
  - { username: a, password: a, ${permit(a)} }
  - { username: b, password: b, ${permit(b)} }
  - { username: p, password: p, permissions: [{ action: pub, permit: ['#'] }] }
message: { egress: { qos1: { buffer: { size: 8 } } } }
`
const as = (name: string): { username: string; password: string } => ({ username: name, password: name })

suite('permissions that changed between two starts', () => {
  for (const isInFlight of [false, true]) {
    for (const name of ['a', 'b']) {
      const who = name === 'a' ? 'the same principal' : 'another principal'
      test(`${who}, ${isInFlight ? 'some in flight' : 'all waiting'}: only what may still be heard`, async t => {
        const before = configOf(principals("'secret/#', 'open/#'", "'open/#'"), '')
        const stored = await StoredHub.start(t, { config: before })
        const device = await stored.kept('device', false, as('a'))
        await device.subscribe(['secret/#', 1], ['open/#', 1])
        if (!isInFlight) await stored.leave(device, 'device')
        const publisher = await stored.guest('publisher', as('p'))
        for (const i of numbers(0, 40)) {
          const topic = i % 2 === 0 ? 'secret/x' : 'open/x'
          publisher.send(publish({ topic, payload: `${i}`, qos: 1, packetId: i + 1 }))
        }
        for (const _ of numbers(0, 40)) await publisher.expect('puback')
        await stored.restart({ config: configOf(principals("'open/#'", "'open/#'"), '') })
        const again = await stored.kept('device', true, as(name))
        const odd = numbers(0, 20).map(i => 2 * i + 1)
        assert.deepEqual(await stored.drain(again, 'device'), odd)
        assert.deepEqual([...(stored.hub.sessions.get('device')?.subscriptions.keys() ?? [])], ['open/#'])
        await stored.settled()
        await stored.stop()
        const contents = await stored.contents()
        assert.equal(contents.count('qmk'), 0, 'nothing is left on disk')
        assert.equal(contents.count('f'), 1, 'subscriptions')
      })
    }
  }

  test('a principal that may hear nothing of it gets nothing, nor does the first one later', async t => {
    const config = configOf(principals("'secret/#'", "'open/#'"), '')
    const stored = await StoredHub.start(t, { config })
    const device = await stored.kept('device', false, as('a'))
    await device.subscribe(['secret/#', 1])
    await stored.leave(device, 'device')
    const publisher = await stored.guest('publisher', as('p'))
    await stored.flood(publisher, { topic: 'secret/x', count: 700 })
    await stored.restart()
    const thief = await stored.kept('device', true, as('b'))
    assert.equal(ranges(await stored.drain(thief, 'device')), '')
    await stored.leave(thief, 'device')
    await stored.restart()
    const first = await stored.kept('device', true, as('a'))
    assert.equal(ranges(await stored.drain(first, 'device')), '')
    await stored.settled()
    await stored.stop()
    assert.equal((await stored.contents()).count('qmkf'), 0, 'nothing is left on disk')
  })
})

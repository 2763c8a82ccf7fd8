/** Which topics clients publish to most. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Hub } from '../../../src/broker/index.ts'
import { embedHub, until } from '../../support/embedded-hub.ts'
import { publish } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'
import { rule } from '../../support/rules.ts'

/** More topics than the hub remembers. */
const OTHERS = 20_000

/** Publishes to a topic so many times. */
async function say(client: RawClient, topic: string, count: number, qos = 0): Promise<void> {
  client.send(Buffer.concat(Array.from({ length: count }, (_, i) => publish({ topic, qos, packetId: i + 1 }))))
  await client.everything()
}

/** Publishes once to each of many topics; `between` after every hundred of them. */
async function sayOthers(client: RawClient, between: readonly Buffer[] = []): Promise<void> {
  const packets: Buffer[] = []
  for (let i = 0; i < OTHERS; i++) {
    packets.push(publish({ topic: `other/${i}` }))
    if (i % 100 === 0) packets.push(...between)
  }
  client.send(Buffer.concat(packets))
  await client.quiet()
}

function countOf(hub: Hub, topic: string): number {
  const found = hub.busiestTopics(OTHERS).filter(each => each.topic === topic)
  assert.ok(found.length <= 1, `${topic} is listed ${found.length} times`)
  return found[0]?.messages ?? 0
}

function assertEachOnce(hub: Hub): void {
  const topics = hub.busiestTopics(2 * OTHERS).map(({ topic }) => topic)
  const twice = topics.filter((topic, i) => topics.indexOf(topic) !== i).slice(0, 3)
  assert.deepEqual(twice, [], 'listed more than once')
}

suite('busiestTopics', () => {
  test('lists the busiest first, and as many as it is asked for', async t => {
    const { hub, connect } = await embedHub(t)
    const client = await connect('client')
    for (const [topic, count] of [
      ['a', 2],
      ['b', 30],
      ['c', 4],
    ] as const)
      await say(client, topic, count)
    await say(client, 'a', 3, 1)
    await client.publish({ topic: 'c', qos: 2, retain: true })
    await client.publish({ topic: 'c', qos: 2 })
    assert.deepEqual(hub.busiestTopics(2), [
      { topic: 'b', messages: 30 },
      { topic: 'c', messages: 6 },
    ])
    assert.deepEqual(hub.busiestTopics(9)[2], { topic: 'a', messages: 5 })
    assert.equal(hub.busiestTopics(9).length, 3)
  })

  test('a topic that its publisher stays with is there after many others, with all its messages', async t => {
    const { hub, connect } = await embedHub(t)
    const [steady, other] = [await connect('steady'), await connect('other')]
    await say(steady, 'hot', 1000)
    await sayOthers(other)
    assert.deepEqual(hub.busiestTopics(1), [{ topic: 'hot', messages: 1000 }], 'while nobody publishes to it')
    await say(steady, 'hot', 500)
    assert.deepEqual(hub.busiestTopics(1), [{ topic: 'hot', messages: 1500 }], 'and after that')
    assertEachOnce(hub)
  })

  test('topics that a publisher comes back to between many others are there, with all their messages', async t => {
    const { hub, connect } = await embedHub(t)
    const client = await connect('client')
    const hot = Array.from({ length: 10 }, (_, i) => `hot/${i}`)
    const packets = hot.map(topic => publish({ topic }))
    await sayOthers(client, packets)
    const wanted = hot.map(topic => ({ topic, messages: OTHERS / 100 }))
    const found = hub.busiestTopics(hot.length).sort((a, b) => (a.topic < b.topic ? -1 : 1))
    assert.deepEqual(found, wanted)
    assertEachOnce(hub)
  })

  test('a topic is not listed twice when one publisher stayed with it and another comes to it after many others', async t => {
    const { hub, connect } = await embedHub(t)
    const [steady, other, late] = [await connect('steady'), await connect('other'), await connect('late')]
    await say(steady, 'hot', 100)
    await sayOthers(other)
    await say(late, 'hot', 10)
    await say(steady, 'hot', 100)
    assertEachOnce(hub)
    assert.ok(countOf(hub, 'hot') >= 200, `${countOf(hub, 'hot')} messages`)
  })

  test('a topic is not listed twice when it is the target of a rule as well', async t => {
    const { hub, connect } = await embedHub(t)
    const [steady, other] = [await connect('steady'), await connect('other')]
    await say(steady, 'hot', 100)
    await sayOthers(other)
    hub.useRules([rule('source -> hot')])
    await say(other, 'source', 10)
    await say(steady, 'hot', 1)
    assertEachOnce(hub)
    assert.equal(countOf(hub, 'hot'), 101)
  })

  for (const isHookedFirst of [true, false]) {
    test(`messages that a hook sees count with those that none sees, ${isHookedFirst ? 'before' : 'behind'} them`, async t => {
      const { hub, connect } = await embedHub(t)
      const [steady, other] = [await connect('steady'), await connect('other')]
      const listener = (): void => {}
      if (isHookedFirst) hub.on('publish', listener)
      await say(steady, 'hot', 100, 1)
      await sayOthers(other)
      if (isHookedFirst) hub.off('publish', listener)
      else hub.on('publish', listener)
      await say(steady, 'hot', 50, 1)
      await say(other, 'hot', 5, 1)
      assertEachOnce(hub)
      // What nobody published to for so long may count anew.
      assert.ok(countOf(hub, 'hot') >= 55, `${countOf(hub, 'hot')} messages`)
    })
  }

  for (const isHooked of [false, true]) {
    suite(isHooked ? 'with a listener for publish' : 'without hooks', () => {
      test('counts messages of every QoS, and each once', async t => {
        const { hub, connect } = await embedHub(t)
        if (isHooked) hub.on('publish', () => {})
        const [reader, client] = [await connect('reader'), await connect('client')]
        await reader.subscribe(['#', 0])
        for (const qos of [0, 1, 2]) await client.publish({ topic: 'a', qos })
        await say(client, 'a', 7, 1)
        await say(client, 'b', 3)
        await client.publish({ topic: 'b', retain: true, payload: 'x' })
        assert.deepEqual(hub.busiestTopics(9), [
          { topic: 'a', messages: 10 },
          { topic: 'b', messages: 4 },
        ])
      })

      test('copies that rules make do not count', async t => {
        const { hub, connect } = await embedHub(t)
        if (isHooked) hub.on('publish', () => {})
        hub.useRules([rule('in -> out'), rule('out -> far')])
        const [reader, client] = [await connect('reader'), await connect('client')]
        await reader.subscribe(['#', 1])
        for (const qos of [0, 1, 2]) await client.publish({ topic: 'in', qos })
        await say(client, 'in', 5, 1)
        assert.equal((await reader.everything()).length, 24, 'the copies are there')
        assert.deepEqual(hub.busiestTopics(9), [{ topic: 'in', messages: 8 }])
      })

      test('Wills do not count, nor what the program or the hub itself publishes', async t => {
        const { hub, connect } = await embedHub(t)
        if (isHooked) hub.on('publish', () => {})
        hub.useRules([rule('wills -> copies')])
        const reader = await connect('reader')
        await reader.subscribe(['wills', 1], ['copies', 1], ['program', 1], ['$SYS/#', 0])
        const mortal = await connect('mortal', { will: { topic: 'wills', payload: 'dead', qos: 1 } })
        mortal.destroy()
        await until(() => hub.clients['mortal'] === undefined, 'the client has gone')
        hub.publish({ cmd: 'publish', topic: 'program', payload: 'x', qos: 1, retain: false, dup: false }, () => {})
        const seen = new Set<string>()
        while (!['wills', 'copies', 'program'].every(topic => seen.has(topic)))
          seen.add((await reader.expect('publish')).topic)
        await reader.everything()
        assert.deepEqual(hub.busiestTopics(9), [])
      })
    })
  }
})

// Retained messages.
import assert from 'node:assert/strict'
import type { PublishOptions } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'
import type { It } from './lab.ts'
import { acknowledge, hold, pour, QOS, type Received, series, silence, take } from './traffic.ts'

type Seen = [topic: string, payload: string, qos: number]

/** Subscribes, and takes what comes: all of it with RETAIN 1, in the order of the topics. */
async function found(client: RawClient, filter: string, qos: number, count: number): Promise<Seen[]> {
  await client.subscribe([filter, qos])
  const messages = await take(client, count)
  await silence(client)
  for (const { topic, retain, dup } of messages)
    assert.deepEqual({ topic, retain, dup }, { topic, retain: true, dup: false })
  return messages.map(seen).sort(byTopic)
}

const seen = ({ topic, payload, qos }: Received): Seen => [topic, payload.toString(), qos]

const byTopic = ([a]: Seen, [b]: Seen): number => (a < b ? -1 : 1)

async function retain(client: RawClient, ...messages: PublishOptions[]): Promise<void> {
  for (const message of messages) await client.publish({ ...message, retain: true })
}

export function retained(it: It): void {
  it('set, replaced and cleared; all of it holds after restarts; only what matches comes with SUBSCRIBE', async lab => {
    const sender = await lab.guest()
    await retain(
      sender,
      { topic: 'a/zero', payload: '0', qos: 0 },
      { topic: 'a/one', payload: '1', qos: 1 },
      { topic: 'a/two', payload: '2', qos: 2 },
      { topic: 'a/replaced', payload: 'old', qos: 2 },
      { topic: 'a/replaced', payload: 'new', qos: 1 },
      { topic: 'a/cleared', payload: 'x', qos: 1 },
      { topic: 'a/cleared', payload: '', qos: 1 },
      { topic: 'b/cleared-later', payload: 'x', qos: 1 },
      { topic: 'b/replaced-later', payload: 'x', qos: 1 },
      { topic: 'b/deep/er', payload: 'x', qos: 1 },
    )
    await sender.publish({ topic: 'a/one', payload: 'passes', qos: 1 })
    await sender.publish({ topic: 'a/two', payload: '', qos: 1 }) // without RETAIN it clears nothing
    const all: Seen[] = [
      ['a/one', '1', 1],
      ['a/replaced', 'new', 1],
      ['a/two', '2', 2],
      ['a/zero', '0', 0],
    ]
    assert.deepEqual(await found(await lab.guest(), 'a/+', 2, 4), all)
    await lab.restart()
    assert.deepEqual(await found(await lab.guest(), 'a/+', 2, 4), all)
    assert.deepEqual(
      await found(await lab.guest(), 'a/+', 1, 4),
      all.map(([topic, payload, qos]) => [topic, payload, Math.min(qos, 1)]),
    )
    await retain(
      await lab.guest(),
      { topic: 'b/cleared-later', qos: 1 },
      { topic: 'b/replaced-later', payload: 'y', qos: 0 },
      { topic: 'b/never', qos: 1 },
    )
    await lab.restart()
    assert.deepEqual(await found(await lab.guest(), 'b/#', 2, 2), [
      ['b/deep/er', 'x', 1],
      ['b/replaced-later', 'y', 0],
    ])
    assert.deepEqual(await found(await lab.guest(), 'b/+/+', 2, 1), [['b/deep/er', 'x', 1]])
    assert.deepEqual(await found(await lab.guest(), 'a', 2, 0), [])
    const anew = await lab.guest()
    assert.equal((await found(anew, '#', 0, 6)).length, 6)
    assert.equal((await found(anew, '#', 0, 6)).length, 6, 'they come with every SUBSCRIBE')
  })

  it('several filters of one SUBSCRIBE: each message once, at the highest QoS', async lab => {
    await retain(await lab.guest(), { topic: 'a/b', payload: 'x', qos: 2 }, { topic: 'c', payload: 'y', qos: 1 })
    await lab.restart()
    const client = await lab.guest()
    await client.subscribe(['a/#', 0], ['a/b', 2], ['+/b', 1], ['c', 0])
    assert.deepEqual((await take(client, 2)).map(seen).sort(byTopic), [
      ['a/b', 'x', 2],
      ['c', 'y', 0],
    ])
    await silence(client)
  })

  for (const qos of QOS) {
    it(`QoS ${qos}: a kept session gets them once, with SUBSCRIBE, and not again after a restart`, async lab => {
      await retain(await lab.guest(), ...series('r', qos, 1), ...series('s', qos, 1))
      const client = await lab.begin('kept')
      await client.subscribe(['+', qos])
      const held = await hold(client, 2)
      await acknowledge(client, held)
      await pour(await lab.guest(), series('r', qos, 2, 'more '))
      assert.equal((await take(client, 2)).length, 2)
      await silence(client)
      await lab.restart()
      const again = await lab.resume('kept')
      await silence(again)
      assert.equal((await found(again, '+', qos, 2)).length, 2)
    })
  }

  it('a subscriber that is there gets a retained message, and the empty one that clears it, with RETAIN 0', async lab => {
    const before = await lab.begin('kept')
    await before.subscribe(['r', 1])
    await lab.restart()
    const client = await lab.resume('kept')
    await retain(await lab.guest(), { topic: 'r', payload: 'x', qos: 1 }, { topic: 'r', payload: '', qos: 1 })
    assert.deepEqual(
      (await take(client, 2)).map(({ payload, retain: flag }) => [payload.toString(), flag]),
      [
        ['x', false],
        ['', false],
      ],
    )
    await silence(client)
  })

  it('a filter that begins with a wildcard finds no topic that begins with $', async lab => {
    await retain(
      await lab.guest(),
      { topic: '$own/state', payload: 'hidden', qos: 1 },
      { topic: 'own/state', payload: 'seen', qos: 1 },
    )
    await lab.restart()
    for (const filter of ['#', '+/state'])
      assert.deepEqual(await found(await lab.guest(), filter, 1, 1), [['own/state', 'seen', 1]])
    assert.deepEqual(await found(await lab.guest(), '$own/#', 1, 1), [['$own/state', 'hidden', 1]])
  })

  it(
    'levels may be empty',
    async lab => {
      const topics = ['/', '//', '/a', 'a/', 'a//b']
      await retain(await lab.guest(), ...topics.map(topic => ({ topic, payload: 'x', qos: 1 })))
      await lab.restart()
      const expected: [filter: string, topics: string[]][] = [
        ['+/+', ['/', '/a', 'a/']],
        ['/+', ['/', '/a']],
        ['a/+/b', ['a//b']],
        ['a/#', ['a/', 'a//b']],
        ['/#', ['/', '//', '/a']],
        ['#', topics],
      ]
      for (const [filter, matching] of expected) {
        const got = await found(await lab.guest(), filter, 1, matching.length)
        assert.deepEqual(
          got.map(([topic]) => topic),
          matching,
          filter,
        )
      }
    },
    { needs: 'retained topics with empty levels' },
  )

  it('hundreds of topics', async lab => {
    const topics = Array.from({ length: 500 }, (_, i) => `many/${i % 10}/${i}`)
    const sender = await lab.guest()
    await pour(
      sender,
      topics.map(topic => ({ topic, payload: 'first', qos: 1, retain: true })),
    )
    await pour(
      sender,
      topics.map((topic, i) => ({ topic, payload: i % 5 === 0 ? '' : topic, qos: 1, retain: true })),
    )
    await lab.restart()
    const expected = topics.filter((_, i) => i % 5 > 0)
    assert.deepEqual(
      await found(await lab.guest(), 'many/#', 1, expected.length),
      expected.map(topic => [topic, topic, 1] satisfies Seen).sort(byTopic),
    )
    assert.equal((await found(await lab.guest(), 'many/3/+', 1, 50)).length, 50)
    assert.equal((await found(await lab.guest(), 'many/5/+', 1, 0)).length, 0)
  })
}

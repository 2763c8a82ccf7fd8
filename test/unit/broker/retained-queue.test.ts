/** Retained messages that wait for a client that acknowledges nothing, or reads nothing. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { HubOptions } from '../../../src/broker/index.ts'
import { type EmbeddedHub, embedHub, payloadsOf } from '../../support/embedded-hub.ts'
import { puback, publish, subscribe } from '../../support/packets.ts'
import type { Cleanup, RawClient } from '../../support/raw-client.ts'

/** A hub that retains r/0 to r/<count - 1>, all of QoS 1, with their numbers as payloads. */
async function withRetained(
  t: Cleanup,
  count: number,
  options: HubOptions,
): Promise<EmbeddedHub & { store: RawClient }> {
  const embedded = await embedHub(t, options)
  const store = await embedded.connect('store')
  for (let i = 0; i < count; i++)
    store.send(publish({ topic: `r/${i}`, payload: `r${i}`, qos: 1, packetId: i + 1, retain: true }))
  for (let i = 0; i < count; i++) await store.expect('puback')
  return { ...embedded, store }
}

const numbered = (letter: string, from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => `${letter}${from + i}`)

/** Acknowledges and reads until nothing more is due; the payloads. */
async function readAll(client: RawClient, hub: EmbeddedHub['hub'], clientId: string): Promise<string[]> {
  const payloads: string[] = []
  const session = hub.sessions.get(clientId)
  for (;;) {
    for (const packet of await client.everything()) {
      if (packet.type !== 'publish') continue
      payloads.push(packet.payload.toString())
      if (packet.qos > 0) client.send(puback(packet.packetId))
    }
    if (session?.queued === 0 && session.unacknowledged === 0) return payloads
  }
}

suite('retained messages', () => {
  test('wait once in a session, however often SUBSCRIBE asks for them', async t => {
    const { hub, connect } = await withRetained(t, 500, {})
    const greedy = await connect('greedy')
    const asks = 50
    for (let i = 1; i <= asks; i++) {
      greedy.send(subscribe(i, ['#', 1]))
      while ((await greedy.next()).type !== 'suback');
      const queued = hub.sessions.get('greedy')?.queued ?? 0
      assert.ok(queued <= 500, `${queued} wait after ${i} SUBSCRIBEs`)
    }
    await greedy.everything()
    assert.ok((hub.sessions.get('greedy')?.queued ?? 0) >= 500 - 102, 'what the window does not take waits')
  })

  test('asked for again after they were delivered come again', async t => {
    const { hub, connect } = await withRetained(t, 10, { settings: { window: 2 } })
    const client = await connect('client')
    for (let i = 1; i <= 2; i++) {
      client.send(subscribe(i, ['r/#', 1]))
      await client.expect('suback')
      assert.deepEqual(await readAll(client, hub, 'client'), numbered('r', 0, 9))
    }
  })

  test('are neither pushed out by live messages nor push live ones out', async t => {
    const { hub, connect, store } = await withRetained(t, 10, { settings: { window: 1, queueMessages: 5 } })
    const client = await connect('client')
    client.send(subscribe(1, ['#', 1]))
    await client.expect('suback')
    const first = await client.expect('publish')
    for (let i = 1; i <= 7; i++) await store.publish({ topic: 'live', payload: `l${i}`, qos: 1 })
    const { droppedQueued } = hub.state.counters
    client.send(puback(first.packetId))
    const payloads = [first.payload.toString(), ...(await readAll(client, hub, 'client'))]
    assert.deepEqual(payloads.sort(), [...numbered('l', 3, 7), ...numbered('r', 0, 9)])
    assert.equal(droppedQueued, 2, 'the two oldest live messages')
  })

  test('that are replaced again and again wait no more often than the store may hold messages', async t => {
    const limit = 20
    const { hub, connect, store } = await withRetained(t, limit, { settings: { window: 1, retainedCount: limit } })
    const client = await connect('client')
    for (let round = 1; round <= 5; round++) {
      client.send(subscribe(round, ['r/#', 1]))
      while ((await client.next()).type !== 'suback');
      await client.everything()
      client.send(Buffer.from([0xa2, 7, 0, 9, 0, 3, 0x72, 0x2f, 0x23])) // UNSUBSCRIBE r/#: no live copies
      await client.expect('unsuback')
      for (let i = 0; i < limit; i++)
        await store.publish({ topic: `r/${i}`, payload: `${round}.${i}`, qos: 1, retain: true })
    }
    const queued = hub.sessions.get('client')?.queued ?? 0
    assert.ok(queued <= limit, `${queued} wait`)
    assert.ok(queued >= limit - 1, 'those that were there first wait')
  })

  test('do not wait for a client that has gone', async t => {
    const { hub, connect } = await withRetained(t, 50, { settings: { window: 1 } })
    const client = await connect('client')
    await client.subscribe(['t', 1])
    client.send(subscribe(2, ['r/#', 1]))
    await client.expect('suback')
    assert.equal(payloadsOf(await client.everything()).length, 1)
    await client.disconnect()
    assert.equal(hub.sessions.size, 1, 'the session of the store alone is left')
    assert.equal(hub.state.waitingBytes, 0)
  })
})

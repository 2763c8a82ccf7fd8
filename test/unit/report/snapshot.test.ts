import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  type HubSnapshot,
  rulesOf,
  sessionDetail,
  slowConsumers,
  snapshotOf,
} from '../../../src/broker/report/index.ts'
import { configOf, embedHub, until } from '../../support/embedded-hub.ts'
import { publish } from '../../support/packets.ts'
import { rule } from '../../support/rules.ts'
import { StoredHub } from '../../support/stored-hub.ts'

const KEPT = { cleanSession: false }
const SESSIONS = 100_000
/** Many times of what it takes. */
const PATIENCE_MS = 500

/** What has changed of the numbers in a snapshot, as `a.b: +1`; of things that change by themselves nothing is said. */
function changes(before: HubSnapshot, after: HubSnapshot): string[] {
  const flat = (value: object, path: string): [string, number][] =>
    Object.entries(value).flatMap(([key, each]: [string, unknown]) => {
      if (typeof each === 'number') return [[path + key, each]]
      return typeof each === 'object' && each !== null ? flat(each, `${path}${key}.`) : []
    })
  const old = new Map(flat(before, ''))
  return flat(after, '')
    .filter(([path]) => !/^(?:time|uptimeSeconds|process\.)/.test(path))
    .map(([path, value]) => [path, value - (old.get(path) ?? 0)] as const)
    .filter(([, change]) => change !== 0)
    .map(([path, change]) => `${path}: ${change > 0 ? '+' : ''}${change}`)
}

suite('the snapshot of a hub', () => {
  test('is plain JSON, and of an idle hub says so', async t => {
    const { hub } = await embedHub(t)
    const snapshot = snapshotOf(hub)
    assert.deepEqual(JSON.parse(JSON.stringify(snapshot)), snapshot)
    assert.equal(snapshot.store, null)
    assert.equal(snapshot.clients.connections, 0)
    assert.ok(Math.abs(snapshot.time - Date.now()) < 10_000, `time ${snapshot.time}`)
    assert.ok(snapshot.uptimeSeconds > 0, `uptime ${snapshot.uptimeSeconds}`)
    const { rssBytes, heapUsedBytes, cpuSeconds } = snapshot.process
    assert.ok(rssBytes > heapUsedBytes && heapUsedBytes > 1e6, `${rssBytes} and ${heapUsedBytes} bytes`)
    assert.ok(cpuSeconds > 0.01 && cpuSeconds < 1e6, `${cpuSeconds} s of processor time`)
  })

  test('moves with every connection, packet, message and byte', async t => {
    const { hub, open, connect } = await embedHub(t)
    const start = snapshotOf(hub)
    const bare = await open()
    await until(() => hub.connections === 1, 'the connection is there')
    assert.deepEqual(changes(start, snapshotOf(hub)), ['clients.connections: +1', 'clients.accepted: +1'])
    bare.destroy()
    await until(() => hub.connections === 0, 'the connection is gone')

    const reader = await connect('reader')
    await reader.subscribe(['news', 0], ['more', 1])
    const before = snapshotOf(hub)
    assert.deepEqual(
      [before.clients.connected, before.clients.sessions, before.clients.disconnected, before.subscriptions],
      [1, 1, 0, 2],
    )
    const writer = await connect('writer')
    const packet = publish({ topic: 'news', payload: 'hello' })
    writer.send(packet)
    assert.equal((await reader.receive()).payload.toString(), 'hello')
    assert.deepEqual(changes(before, snapshotOf(hub)), [
      'clients.connected: +1',
      'clients.maximum: +1',
      'clients.sessions: +1',
      'clients.connections: +1',
      'clients.accepted: +1',
      'messages.received: +1',
      'messages.sent: +1',
      'packets.received: +2',
      'packets.sent: +2',
      `bytes.received: +${packet.length + 20}`, // CONNECT of a client with a name of six letters
      `bytes.sent: +${packet.length + 4}`,
      'bytes.publishReceived: +5',
      'bytes.publishSent: +5',
    ])
    await writer.publish({ topic: 'kept', payload: '12345', retain: true })
    const retained = snapshotOf(hub).messages
    assert.deepEqual([retained.retained, retained.retainedBytes], [1, 2 + 'kept12345'.length])
    await writer.disconnect()
    await until(() => hub.connections === 1, 'the writer is gone')
    const { clients } = snapshotOf(hub)
    assert.deepEqual([clients.connected, clients.maximum, clients.sessions, clients.disconnected], [1, 2, 1, 0])
  })

  test('counts kept sessions and what waits for them, and what is not acknowledged', async t => {
    const { hub, connect } = await embedHub(t)
    for (const id of ['away', 'here']) {
      const client = await connect(id, KEPT)
      await client.subscribe(['news', 1])
      await client.disconnect()
    }
    const here = await connect('here', KEPT)
    const writer = await connect('writer')
    for (let i = 0; i < 5; i++) await writer.publish({ topic: 'news', payload: `${i}`, qos: 1 })
    for (let i = 0; i < 5; i++) await here.expect('publish')
    const { clients, queues } = snapshotOf(hub)
    assert.deepEqual([clients.connected, clients.sessions, clients.disconnected], [2, 3, 1])
    assert.deepEqual([queues.messages, queues.unacknowledged], [5, 5])
    assert.ok(
      queues.bytes > 0 && queues.bytes === queues.memoryBytes,
      `${queues.bytes}, ${queues.memoryBytes} in memory`,
    )
    assert.equal(queues.bytes, hub.state.waitingBytes)
    assert.deepEqual(slowConsumers(hub, 10), [
      { id: 'away', connected: false, queued: 5, unacknowledged: 0, blockedMs: 0, outputBytes: 0 },
    ])
  })

  test('with a store tells what waits in it, and how it is', async t => {
    const stored = await StoredHub.start(t)
    await stored.absent('device', ['flood', 1])
    const before = snapshotOf(stored.hub)
    assert.equal(before.store?.alarm, 'ok')
    assert.equal(before.store?.waitingMessages, 0)
    const writer = await stored.guest('writer')
    await stored.flood(writer, { count: 3000, bytes: 1000 })
    const { queues, store, clients } = snapshotOf(stored.hub)
    assert.deepEqual([clients.disconnected, queues.messages, store?.waitingMessages], [1, 3000, 3000])
    assert.ok(queues.bytes > 3_000_000 && queues.bytes < 3_100_000, `${queues.bytes} bytes wait`)
    assert.ok(queues.memoryBytes < 1_000_000, `${queues.memoryBytes} of them in memory`)
    assert.equal(store?.pendingBytes, 0)
  })

  test(`with ${SESSIONS} sessions is a matter of milliseconds`, async t => {
    const { hub } = await embedHub(t)
    for (let i = 0; i < SESSIONS; i++) hub.sessions.create(`away-${i}`, false).leftAt = 1
    const times: number[] = []
    for (let i = 0; i < 5; i++) {
      const start = performance.now()
      assert.equal(snapshotOf(hub).clients.disconnected, SESSIONS)
      assert.deepEqual(slowConsumers(hub, 10), [])
      times.push(performance.now() - start)
    }
    const best = Math.min(...times)
    t.diagnostic(`${best.toFixed(1)} ms`)
    assert.ok(best < PATIENCE_MS, `${best} ms`)
  })
})

suite('slow consumers', () => {
  test('come with how long they have been blocked, and go when they read', async t => {
    const { hub, connect } = await embedHub(t)
    const slow = await connect('slow')
    await slow.subscribe(['flood', 0])
    const writer = await connect('writer')
    assert.deepEqual(slowConsumers(hub, 10), [])
    slow.socket.pause()
    const payload = Buffer.alloc(60_000)
    await until(async () => {
      await writer.publish({ topic: 'flood', payload })
      return hub.clients['slow']?.blocked === true
    }, 'the connection is blocked')
    const [found, ...others] = slowConsumers(hub, 10)
    assert.deepEqual(others, [])
    assert.ok(found !== undefined, 'it is listed')
    assert.deepEqual([found.id, found.connected], ['slow', true])
    assert.ok(found.blockedMs >= 1 && found.blockedMs < 60_000, `blocked for ${found.blockedMs} ms`)
    assert.ok(found.outputBytes > 0, `${found.outputBytes} bytes wait`)
    assert.equal(sessionDetail(hub, 'slow')?.connection?.outputBytes, found.outputBytes)
    slow.socket.resume()
    await until(() => slowConsumers(hub, 10).length === 0, 'it reads again')
  })

  test('those with most messages come first, and only as many as asked for', async t => {
    const { hub, connect } = await embedHub(t)
    const writer = await connect('writer')
    for (let i = 1; i <= 600; i++) {
      const session = hub.sessions.create(`away-${i}`, false)
      session.leftAt = 1
      hub.sessions.subscribe(session, `to/${i % 7}`, 1)
    }
    for (let i = 0; i < 7; i++)
      for (let n = 0; n < i; n++) await writer.publish({ topic: `to/${i}`, payload: 'x', qos: 1 })
    const found = slowConsumers(hub, 100)
    assert.equal(found.length, 100)
    assert.deepEqual([found[0]?.queued, found[84]?.queued, found[85]?.queued], [6, 6, 5])
    assert.deepEqual(slowConsumers(hub, 0), [])
  })
})

suite('rules', () => {
  test('are listed with what they have done, those that matched most first', async t => {
    const { hub, connect } = await embedHub(t)
    hub.useRules([
      rule('a -> x'),
      rule('b -> y'),
      rule('never -> z'),
      rule('b -> slow', { limit: { rate: 1, burst: 1 } }),
    ])
    const client = await connect('client')
    const before = Date.now()
    await client.publish({ topic: 'a' })
    for (let i = 0; i < 3; i++) await client.publish({ topic: 'b' })
    const [first, second, third, fourth] = rulesOf(hub)
    assert.deepEqual([first?.name, first?.matched, first?.forwarded, first?.dropped], ['b -> y', 3, 3, 0])
    assert.deepEqual([second?.name, second?.matched, second?.forwarded, second?.dropped], ['b -> slow', 3, 1, 2])
    assert.deepEqual([first?.lastError, first?.lastErrorAt], [null, null])
    assert.ok(second !== undefined && second.lastError !== null && second.lastError !== '', 'why it dropped is told')
    assert.ok(
      (second.lastErrorAt ?? 0) >= before && (second.lastErrorAt ?? 0) <= Date.now(),
      `at ${second.lastErrorAt}`,
    )
    assert.deepEqual([third?.name, third?.matched, third?.source, third?.target], ['a -> x', 1, 'a', 'x'])
    assert.equal(fourth?.name, 'never -> z')
    assert.deepEqual(
      rulesOf(hub, 2).map(({ name }) => name),
      ['b -> y', 'b -> slow'],
    )
    assert.deepEqual(snapshotOf(hub).rules, { count: 4, forwarded: 5, dropped: 2 })
  })
})

suite('one session', () => {
  test('of a connected client', async t => {
    const config = configOf(
      `principals:\n  - { username: pump, password: pw, permissions: [{ action: sub, permit: ['#'] }, { action: pub, permit: ['#'] }] }`,
    )
    const { hub, connect } = await embedHub(t, { config })
    const before = Date.now()
    const client = await connect('pump-1', { username: 'pump', password: 'pw', keepAlive: 20 })
    await client.subscribe(['a/+', 1], ['b', 0])
    client.send(publish({ topic: 'a/1', qos: 1 }))
    assert.equal((await client.everything()).length, 2, 'PUBACK and the message, which is not acknowledged')
    const detail = sessionDetail(hub, 'pump-1')
    assert.ok(detail !== null && detail.connection !== null, 'it is connected')
    const { connection, ...rest } = detail
    assert.deepEqual(rest, {
      id: 'pump-1',
      clean: true,
      principal: 'pump',
      leftAt: null,
      subscriptionCount: 2,
      subscriptions: [
        { filter: 'a/+', qos: 1 },
        { filter: 'b', qos: 0 },
      ],
      queued: 0,
      queuedOnDisk: 0,
      unacknowledged: 1,
      unreleased: 0,
    })
    const { since, address, port, ...others } = connection
    assert.ok(since >= before && since <= Date.now(), `since ${since}`)
    assert.match(address, /127\.0\.0\.1$/)
    assert.ok(port > 0, `port ${port}`)
    assert.deepEqual(others, {
      transport: others.transport,
      listener: '',
      username: 'pump',
      protocol: '3.1.1',
      keepAliveTimeoutMs: 30_000,
      received: 1,
      sent: 1,
      blockedMs: 0,
      outputBytes: 0,
    })
    assert.equal(sessionDetail(hub, 'pump-2'), null)
    assert.equal(sessionDetail(hub, '__proto__'), null)
  })

  test('of a client that is away, whoever it was, also after a restart', async t => {
    const config = configOf('')
    const stored = await StoredHub.start(t, { config })
    const before = Date.now()
    await stored.absent('device', ['flood', 1])
    const writer = await stored.guest('writer')
    await stored.flood(writer, { count: 3 })
    const check = (): void => {
      const detail = sessionDetail(stored.hub, 'device')
      assert.ok(detail !== null, 'there is a session')
      const { leftAt, queuedOnDisk, ...rest } = detail
      assert.ok(leftAt !== null && leftAt >= before && leftAt <= Date.now(), `left at ${leftAt}`)
      assert.equal(queuedOnDisk, 3)
      assert.deepEqual(rest, {
        id: 'device',
        clean: false,
        principal: 'anonymous',
        connection: null,
        subscriptionCount: 1,
        subscriptions: [{ filter: 'flood', qos: 1 }],
        queued: 3,
        unacknowledged: 0,
        unreleased: 0,
      })
    }
    check()
    await stored.restart()
    check()
  })

  test('lists a bounded number of subscriptions', async t => {
    const { hub } = await embedHub(t)
    const session = hub.sessions.create('eager', false)
    for (let i = 0; i < 2500; i++) hub.sessions.subscribe(session, `to/${i}`, 0)
    const detail = sessionDetail(hub, 'eager')
    assert.equal(detail?.subscriptionCount, 2500)
    assert.equal(detail?.subscriptions.length, 1000)
    assert.deepEqual(detail?.subscriptions[999], { filter: 'to/999', qos: 0 })
  })
})

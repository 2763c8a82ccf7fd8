/** Retained messages of a hub with a store: found in memory, read from disk when the cache does not have them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Hub, type HubOptions } from '../../src/broker/index.ts'
import type { Store } from '../../src/broker/store/index.ts'
import { retainedKey } from '../../src/broker/store/keys.ts'
import { turns, until } from '../support/embedded-hub.ts'
import { KeptLog } from '../support/kept-log.ts'
import type { ConnectOptions } from '../support/packets.ts'
import { puback, publish, subscribe, unsubscribe } from '../support/packets.ts'
import { openRawClient, type RawClient } from '../support/raw-client.ts'

const KIB = 1024
const MIB = 1024 * KIB
const PATIENCE_MS = 20_000

interface Options extends HubOptions {
  cacheBytes?: number
}

/** A hub with a store, which may end and start anew. */
class Site {
  hub: Hub
  readonly dir: string
  readonly #t: TestContext
  readonly #options: Options
  #server: net.Server | null = null
  #clients: RawClient[] = []

  private constructor(t: TestContext, options: Options) {
    this.#t = t
    this.#options = options
    this.dir = mkdtempSync(join(tmpdir(), 'openedge-retained-'))
    this.hub = this.#make()
  }

  static async start(t: TestContext, options: Options = {}): Promise<Site> {
    const site = new Site(t, options)
    t.after(async () => {
      await site.stop()
      rmSync(site.dir, { recursive: true, force: true })
    })
    await site.#listen()
    return site
  }

  get store(): Store {
    const { store } = this.hub.state
    assert.ok(store !== null, 'there is a store')
    return store
  }

  async connect(clientId: string, options: ConnectOptions = {}): Promise<RawClient> {
    const { port } = (this.#server as net.Server).address() as net.AddressInfo
    const client = await openRawClient(this.#t, { transport: 'tcp', host: '127.0.0.1', port })
    this.#clients.push(client)
    assert.equal((await client.connect({ clientId, ...options })).returnCode, 0)
    return client
  }

  async restart(): Promise<void> {
    await this.stop()
    this.hub = this.#make()
    await this.#listen()
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.finish()
    this.#clients = []
    this.#server?.close()
    await this.hub.closeGently(PATIENCE_MS)
  }

  /** Everything is on disk, and in memory only what the cache keeps. */
  async settled(): Promise<void> {
    for (let i = 0; i < 3; i++) {
      await this.store.commit.committed()
      await turns()
    }
  }

  /** Publishes retained messages on `<prefix>/0` to `<prefix>/<count - 1>`; their payloads begin with their topics. */
  async retain(prefix: string, count: number, qos = 0, bytes = 0): Promise<void> {
    const client = await this.connect(`stores-${prefix}`)
    for (let at = 0; at < count; at += 500) {
      const part: Buffer[] = []
      for (let i = at; i < Math.min(at + 500, count); i++) {
        const topic = `${prefix}/${i}`
        const payload = topic.padEnd(bytes, '.')
        part.push(publish({ topic, payload, qos, packetId: (i % 65_535) + 1, retain: true }))
      }
      client.send(Buffer.concat(part))
      if (qos > 0) for (let i = 0; i < part.length; i++) await client.expect('puback', PATIENCE_MS)
      else await client.quiet()
    }
    await this.settled()
  }

  #make(): Hub {
    const { cacheBytes, ...options } = this.#options
    const hub = new Hub({ ...options, storage: { dir: join(this.dir, 'data'), sync: 'never', reserveBytes: 0 } })
    if (cacheBytes !== undefined) hub.retained.cache.limit = cacheBytes
    return hub
  }

  async #listen(): Promise<void> {
    await this.hub.listen()
    const { hub } = this
    this.#server = net.createServer({ noDelay: true }, socket => void hub.handle(socket)).listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }
}

/** Reads messages until there are so many, acknowledging them; `<topic> <payload> <qos>` each. */
async function read(client: RawClient, count: number): Promise<string[]> {
  const lines: string[] = []
  while (lines.length < count) {
    const packet = await client.next(PATIENCE_MS)
    if (packet.type === 'suback') continue
    assert.equal(packet.type, 'publish')
    if (packet.type !== 'publish') break
    if (packet.qos > 0) client.send(puback(packet.packetId))
    assert.equal(packet.retain, true)
    lines.push(`${packet.topic} ${packet.payload.toString()} ${packet.qos}`)
  }
  return lines.sort()
}

const expected = (prefix: string, count: number, qos = 0, bytes = 0): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}/${i} ${`${prefix}/${i}`.padEnd(bytes, '.')} ${qos}`).sort()

/** Has reads of retained messages wait behind the disk until told to go on. */
function holdReads(store: Store): { begun: Promise<void>; go: () => void } {
  const original = store.readRetained.bind(store)
  let go = (): void => {}
  const gate = new Promise<void>(resolve => {
    go = resolve
  })
  let begin = (): void => {}
  const begun = new Promise<void>(resolve => {
    begin = resolve
  })
  store.readRetained = async topics => {
    const payloads = await original(topics)
    begin()
    await gate
    return payloads
  }
  return { begun, go }
}

suite('retained messages on disk', { timeout: 120_000 }, () => {
  for (const [name, cacheBytes] of [
    ['all in the cache', 8 * MIB],
    ['none in the cache', 0],
  ] as const) {
    test(`set, replaced, cleared, and the same after a restart: ${name}`, async t => {
      const site = await Site.start(t, { cacheBytes })
      const publisher = await site.connect('publisher')
      for (const qos of [0, 1, 2]) {
        await publisher.publish({ topic: `set/${qos}`, payload: 'set', qos, retain: true })
        await publisher.publish({ topic: `replaced/${qos}`, payload: 'old', qos: 2 - qos, retain: true })
        await publisher.publish({ topic: `replaced/${qos}`, payload: 'new', qos, retain: true })
        await publisher.publish({ topic: `cleared/${qos}`, payload: 'old', qos, retain: true })
        await publisher.publish({ topic: `cleared/${qos}`, payload: '', qos, retain: true })
        await publisher.publish({ topic: `again/${qos}`, payload: 'old', qos, retain: true })
        await publisher.publish({ topic: `again/${qos}`, payload: '', qos, retain: true })
        await publisher.publish({ topic: `again/${qos}`, payload: 'again', qos, retain: true })
      }
      site.hub.retained.store('$SYS/mine', Buffer.from('not stored'), 0)
      const all = [0, 1, 2].flatMap(qos => [
        `again/${qos} again ${qos}`,
        `replaced/${qos} new ${qos}`,
        `set/${qos} set ${qos}`,
      ])
      for (const round of ['at once', 'written', 'restarted']) {
        if (round === 'written') await site.settled()
        if (round === 'restarted') await site.restart()
        const client = await site.connect('client')
        for (const granted of [0, 1]) {
          client.send(subscribe(granted + 1, ['#', granted]))
          const lines = await read(client, all.length)
          const due = all.map(line => line.replace(/\d$/, qos => `${Math.min(Number(qos), granted)}`))
          assert.deepEqual(lines, due.sort(), `${round}, QoS ${granted}`)
        }
        await client.quiet()
        client.send(subscribe(3, ['$SYS/mine', 0]))
        await client.expect('suback')
        if (round !== 'restarted') assert.equal((await client.expect('publish')).payload.toString(), 'not stored')
        await client.quiet()
        await client.disconnect()
      }
      assert.equal(site.hub.retained.count, 9)
    })
  }

  test('more than the cache holds, in memory and after a restart', async t => {
    const site = await Site.start(t, { cacheBytes: 64 * KIB })
    await site.retain('r', 300, 0, 4 * KIB)
    for (const round of [1, 2]) {
      const { count, bytes, cache } = site.hub.retained
      assert.deepEqual([count, bytes > 300 * 4 * KIB], [300, true])
      assert.ok(cache.bytes <= 64 * KIB && cache.bytes > 32 * KIB, `${cache.bytes} cached`)
      const client = await site.connect('client')
      client.send(subscribe(1, ['r/#', 1]))
      assert.deepEqual(await read(client, 300), expected('r', 300, 0, 4 * KIB), `round ${round}`)
      await client.quiet()
      assert.ok(cache.bytes <= 64 * KIB, `${cache.bytes} cached`)
      if (round === 1) await site.restart()
    }
  })

  test('a message that was read stays in the cache for the next one who asks', async t => {
    const site = await Site.start(t, { cacheBytes: 64 * KIB })
    await site.retain('r', 300, 0, 4 * KIB)
    const { store } = site
    const original = store.readRetained.bind(store)
    let reads = 0
    store.readRetained = topics => {
      reads++
      return original(topics)
    }
    const entry = Array.from({ length: 300 }, (_, i) => `r/${i}`).find(
      topic => site.hub.retained.stored(topic)?.message === null,
    )
    assert.ok(entry !== undefined, 'one of them is on disk only')
    const client = await site.connect('client')
    for (let i = 0; i < 10; i++) {
      client.send(subscribe(1, [entry, 0]))
      assert.deepEqual(await read(client, 1), [`${entry} ${entry.padEnd(4 * KIB, '.')} 0`])
    }
    assert.equal(reads, 1)
  })

  test('a wildcard over 5,000 topics brings each once, at the highest QoS of the filters', async t => {
    const site = await Site.start(t, { cacheBytes: 64 * KIB })
    await site.retain('w', 5000, 1)
    await site.restart()
    const client = await site.connect('client')
    client.send(subscribe(1, ['#', 0], ['w/+', 1], ['w/7', 0]))
    assert.deepEqual(await read(client, 5000), expected('w', 5000, 1))
    await client.quiet()
    const { cache } = site.hub.retained
    assert.ok(cache.bytes <= 64 * KIB, `${cache.bytes} cached`)
  })

  test('what is replaced while it is read comes as it is then, and what is cleared does not come', async t => {
    const site = await Site.start(t, { cacheBytes: 0 })
    const topics = ['kept', 'replaced', 'cleared', 'again', 'pending']
    const publisher = await site.connect('publisher')
    for (const topic of topics) await publisher.publish({ topic: `u/${topic}`, payload: 'old', qos: 1, retain: true })
    await site.settled()
    const { begun, go } = holdReads(site.store)
    const client = await site.connect('client')
    client.send(subscribe(1, ['u/#', 0]))
    await client.expect('suback')
    await begun
    await publisher.publish({ topic: 'u/replaced', payload: 'new', qos: 1, retain: true })
    await publisher.publish({ topic: 'u/cleared', payload: '', qos: 1, retain: true })
    await publisher.publish({ topic: 'u/again', payload: '', qos: 1, retain: true })
    await publisher.publish({ topic: 'u/again', payload: 'new', qos: 1, retain: true })
    await site.settled()
    site.hub.retained.store('u/pending', Buffer.from('new'), 1) // and is not written yet
    const live: string[] = []
    for (let i = 0; i < 4; i++) {
      const { topic, payload, retain } = await client.expect('publish')
      assert.equal(retain, false)
      live.push(`${topic} ${payload.toString()}`)
    }
    assert.deepEqual(live, ['u/replaced new', 'u/cleared ', 'u/again ', 'u/again new'])
    go()
    assert.deepEqual(await read(client, 4), ['u/again new 0', 'u/kept old 0', 'u/pending new 0', 'u/replaced new 0'])
    await client.quiet()
  })

  test('a client that ends while its messages are read is no harm', async t => {
    const log = new KeptLog()
    const site = await Site.start(t, { cacheBytes: 0, log })
    await site.retain('e', 1000)
    const { begun, go } = holdReads(site.store)
    const client = await site.connect('client')
    client.send(subscribe(1, ['e/#', 0]))
    await client.expect('suback')
    await begun
    client.destroy()
    go()
    await until(() => site.hub.connectedClients === 1, 'the client is gone', PATIENCE_MS) // the publisher is there
    const next = await site.connect('next')
    next.send(subscribe(1, ['e/#', 0]))
    assert.deepEqual(await read(next, 1000), expected('e', 1000))
    assert.deepEqual(
      log.lines.filter(({ level }) => level === 'error'),
      [],
    )
  })

  test('the first messages come before the last are read', async t => {
    const site = await Site.start(t, { cacheBytes: 0 })
    await site.retain('s', 2000)
    const { store } = site
    const original = store.readRetained.bind(store)
    const sizes: number[] = []
    store.readRetained = topics => {
      sizes.push(topics.length)
      return original(topics)
    }
    const client = await site.connect('client')
    client.send(subscribe(1, ['s/#', 0]))
    await read(client, 2000)
    assert.ok(sizes.length > 4, `${sizes.length} reads`)
    assert.ok(Math.max(...sizes) <= 500, `${Math.max(...sizes)} in one`)
  })

  test('large messages are read a few at a time', async t => {
    const site = await Site.start(t, { cacheBytes: 0 })
    await site.retain('l', 20, 0, 100 * KIB)
    const { store } = site
    const original = store.readRetained.bind(store)
    const sizes: number[] = []
    store.readRetained = topics => {
      sizes.push(topics.length)
      return original(topics)
    }
    const client = await site.connect('client')
    client.send(subscribe(1, ['l/#', 0]))
    assert.deepEqual(await read(client, 20), expected('l', 20, 0, 100 * KIB))
    assert.ok(Math.max(...sizes) <= 3, `${Math.max(...sizes)} in one`)
  })

  test('what can not be read is logged with its topic, and the rest comes', async t => {
    const log = new KeptLog()
    const site = await Site.start(t, { cacheBytes: 0, log })
    await site.retain('d', 500)
    const { level } = site.store.database
    await level.put(retainedKey('d/17'), Buffer.from('not what was written'))
    await level.del(retainedKey('d/400'))
    const client = await site.connect('client')
    client.send(subscribe(1, ['d/#', 0]))
    const due = expected('d', 500).filter(line => !/^d\/(17|400) /.test(line))
    assert.deepEqual(await read(client, 498), due)
    await client.quiet()
    const lines = log.lines.filter(({ event }) => event === 'retained.unreadable')
    assert.deepEqual(
      lines.map(({ fields }) => 'topic' in fields && fields.topic),
      ['d/17', 'd/400'],
    )
  })

  test('while the database is being opened anew, reading waits', async t => {
    const log = new KeptLog()
    const site = await Site.start(t, { cacheBytes: 0, log })
    await site.retain('o', 10)
    const { store } = site
    const original = store.readRetained.bind(store)
    let refusals = 2
    store.readRetained = topics => {
      store.commit.failure = refusals > 0 ? new Error('being opened') : null
      return refusals-- > 0 ? Promise.reject(new Error('database is not open')) : original(topics)
    }
    const client = await site.connect('client')
    client.send(subscribe(1, ['o/#', 0]))
    assert.deepEqual(await read(client, 10), expected('o', 10))
    assert.equal(log.count('retained.unreadable'), 0)
  })
})

suite('retained messages on disk for a client that', { timeout: 120_000 }, () => {
  test('reads nothing: a few wait in memory, and all come when it reads', async t => {
    const site = await Site.start(t, { cacheBytes: 64 * KIB })
    const count = 3000
    await site.retain('q', count, 0, 8 * KIB) // more than the kernel takes
    const client = await site.connect('deaf')
    const session = site.hub.sessions.get('deaf')
    assert.ok(session !== undefined, 'it has a session')
    client.socket.pause()
    client.send(Buffer.concat(Array.from({ length: 50 }, (_, i) => subscribe(i + 1, ['q/#', 0]))))
    const peer = site.hub.clients['deaf']
    await until(() => peer?.blocked === true, 'it does not keep up', PATIENCE_MS)
    let most = 0
    for (let i = 0; i < 200; i++) {
      await new Promise(resolve => setTimeout(resolve, 2))
      most = Math.max(most, session.memoryQueued)
    }
    assert.ok(most < 400, `${most} wait in memory`)
    client.socket.resume()
    const topics = new Set<string>()
    let subacks = 0
    while (topics.size < count || subacks < 50) {
      const packet = await client.next(PATIENCE_MS)
      if (packet.type === 'suback') subacks++
      else if (packet.type === 'publish') topics.add(packet.topic)
    }
    assert.equal(site.hub.state.counters.droppedQos0, 0)
  })

  test('acknowledges nothing: a few wait in memory, and all come when it does', async t => {
    const site = await Site.start(t, { cacheBytes: 64 * KIB })
    const count = 3000
    await site.retain('a', count, 1, 500)
    const client = await site.connect('lazy')
    const session = site.hub.sessions.get('lazy')
    assert.ok(session !== undefined, 'it has a session')
    client.send(subscribe(1, ['a/#', 1]))
    const first = (await client.everything()).flatMap(packet => (packet.type === 'publish' ? [packet] : []))
    assert.equal(first.length, 102, 'the window')
    await turns(50)
    assert.ok(session.memoryQueued < 400, `${session.memoryQueued} wait in memory`)
    const lines = first.map(({ topic, payload, qos }) => `${topic} ${payload.toString()} ${qos}`)
    for (const { packetId } of first) client.send(puback(packetId))
    lines.push(...(await read(client, count - 102)))
    assert.deepEqual(lines.sort(), expected('a', count, 1, 500))
  })

  test('asks again and again while topics come and go: gets those that are left, once', async t => {
    const site = await Site.start(t, { cacheBytes: 0 })
    const client = await site.connect('lazy')
    const count = 800
    const rounds = 6
    const { retained } = site.hub
    const unacknowledged: number[] = []
    const topics: string[] = []
    for (let round = 1; round <= rounds; round++) {
      for (let i = 0; i < count; i++) {
        retained.store(`g/${round - 1}/${i}`, Buffer.alloc(0), 0)
        retained.store(`g/${round}/${i}`, Buffer.from('state'), 1)
      }
      await site.settled()
      client.send(subscribe(round, ['g/#', 1]))
      for (const packet of await client.everything()) {
        if (packet.type !== 'publish') continue
        topics.push(packet.topic)
        unacknowledged.push(packet.packetId)
      }
    }
    for (const packetId of unacknowledged) client.send(puback(packetId))
    const isLast = (topic: string): boolean => topic.startsWith(`g/${rounds}/`)
    while (topics.filter(isLast).length < count) {
      const { topic, packetId } = await client.expect('publish', PATIENCE_MS)
      client.send(puback(packetId))
      topics.push(topic)
    }
    await client.quiet()
    assert.equal(new Set(topics).size, topics.length, 'each once')
    const before = topics.length - count
    assert.ok(before < 600, `${before} of ${(rounds - 1) * count} that are gone`)
  })

  test('unsubscribes before they came: no more come', async t => {
    const site = await Site.start(t, { cacheBytes: 0 })
    await site.retain('x', 2000, 1)
    await site.retain('y', 500, 1)
    const client = await site.connect('client')
    client.send(subscribe(1, ['x/#', 1], ['y/#', 1]))
    const before = (await client.everything()).flatMap(packet => (packet.type === 'publish' ? [packet] : []))
    client.send(unsubscribe(2, 'x/#'))
    await client.expect('unsuback')
    for (const { packetId } of before) client.send(puback(packetId))
    const topics = before.map(({ topic }) => topic)
    while (topics.filter(topic => topic.startsWith('y/')).length < 500) {
      const { topic, packetId } = await client.expect('publish', PATIENCE_MS)
      client.send(puback(packetId))
      topics.push(topic)
    }
    const stale = topics.filter(topic => topic.startsWith('x/')).length
    assert.ok(stale < 500, `${stale} of 2,000 came`)
  })

  test('has a kept session: all come, also more than its queue holds', async t => {
    const site = await Site.start(t, { cacheBytes: 64 * KIB, settings: { queueMessages: 100 } })
    await site.retain('k', 1000, 1)
    await site.retain('z', 1000, 0)
    const client = await site.connect('kept', { cleanSession: false })
    client.send(subscribe(1, ['#', 1]))
    const due = [...expected('k', 1000, 1), ...expected('z', 1000)].sort()
    assert.deepEqual(await read(client, 2000), due)
    await client.quiet()
    assert.equal(site.hub.state.counters.droppedQueued, 0)
  })

  test('has a kept session and goes: what was put into its queue comes later', async t => {
    const site = await Site.start(t, { cacheBytes: 0 })
    await site.retain('k', 400, 1)
    const client = await site.connect('kept', { cleanSession: false })
    client.send(subscribe(1, ['k/#', 1]))
    await client.everything()
    await client.disconnect()
    await site.restart()
    const again = await site.connect('kept', { cleanSession: false })
    assert.deepEqual(await read(again, 400), expected('k', 400, 1))
  })
})

test('20,000 retained messages of 1 KiB take as much memory as the cache may, and an index', async t => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const held = async (): Promise<number> => {
    // The first time only finds the buffers that nobody has any more.
    collectGarbage()
    await new Promise(resolve => setTimeout(resolve, 20))
    collectGarbage()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const site = await Site.start(t, { cacheBytes: MIB })
  const before = await held()
  await site.retain('m', 20_000, 0, KIB)
  await site.restart()
  await turns()
  const grown = (await held()) - before
  assert.equal(site.hub.retained.count, 20_000)
  assert.ok(grown < 12 * MIB, `${(grown / MIB).toFixed(1)} MiB more`) // not 20
})

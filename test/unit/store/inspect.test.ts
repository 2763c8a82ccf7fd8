import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { Database } from '../../../src/broker/store/database.ts'
import { inspectStore } from '../../../src/broker/store/index.ts'
import { silentLogger } from '../../../src/common/index.ts'
import { embedHub, until } from '../../support/embedded-hub.ts'
import { fails, openIn, scratch } from './database-files.ts'
import { CLIENTS, flipValue, keysOf, makeStore, OWN, SHARED, tamper } from './verify-stores.ts'

suite('an inspection', () => {
  test('counts what a hub has stored', async t => {
    const since = Date.now()
    const dir = await makeStore(t)
    const { summary, sessions } = await inspectStore(dir, silentLogger)
    const { bytes, oldest, messageBytes, sharedBytes, madeBy, ...exact } = summary
    assert.deepEqual(exact, {
      dir,
      format: 1,
      reserveBytes: 0,
      sessions: 4,
      connected: 1,
      subscriptions: 3,
      messages: 2 * SHARED + OWN,
      shared: SHARED,
      receipts: 1,
      retained: 2,
      retainedBytes: 'one'.length + 'two'.length,
      wills: 1,
      damaged: 0,
    })
    assert.match(madeBy, /^\d+\.\d+\.\d+/)
    assert.ok(bytes > 5000, `${bytes} bytes on disk`)
    assert.ok(oldest !== null && oldest >= since && oldest <= Date.now(), `the oldest is of ${oldest}`)
    const sizes = Array.from({ length: SHARED }, (_, i) => 2 + `shared/${i}`.length + 100).reduce((a, b) => a + b)
    const own = OWN * (2 + 'own/0'.length + 100)
    assert.equal(messageBytes, 2 * sizes + own)
    assert.ok(sharedBytes > sizes && sharedBytes < 2 * sizes, `${sharedBytes} bytes for ${sizes} of messages`)
    const found = [...sessions]
    assert.deepEqual(
      found.map(({ clientId, messages, subscriptions, receipts }) => [clientId, subscriptions, messages, receipts]),
      [
        ['kept-a', 1, SHARED, 0],
        ['kept-b', 1, SHARED, 0],
        ['kept-c', 1, OWN, 0],
        ['kept-d', 0, 0, 1],
      ],
    )
    assert.deepEqual(
      found.map(({ leftAt }) => leftAt === null),
      CLIENTS.map(clientId => clientId === 'kept-d'),
    )
    assert.equal(found[2]?.bytes, own)
    assert.equal(found[3]?.oldest, null)
  })

  test('counts what was sent and not acknowledged, and not what was', async t => {
    const dir = scratch(t)
    const { hub, connect } = await embedHub(t, { storage: { dir, sync: 'never', reserveBytes: 0 } })
    const subscriber = await connect('s', { cleanSession: false })
    await subscriber.subscribe(['t', 1])
    await subscriber.disconnect()
    const publisher = await connect('p')
    for (let i = 0; i < 10; i++) await publisher.publish({ topic: 't', payload: `${i}`, qos: 1 })
    await publisher.disconnect()
    const again = await connect('s', { cleanSession: false })
    for (let i = 0; i < 3; i++) await again.receive()
    for (let i = 3; i < 10; i++) await again.expect('publish')
    await again.quiet()
    again.destroy()
    await until(() => hub.connectedClients === 0, 'the client has gone')
    await hub.closeGently(0)
    const [session] = [...(await inspectStore(dir, silentLogger)).sessions]
    assert.equal(session?.messages, 7)
    assert.equal(session?.bytes, 7 * (2 + 1 + 1))
  })

  test('counts damaged records instead of failing', async t => {
    const dir = await makeStore(t)
    await tamper(dir, async level => {
      const [first] = await keysOf(level, 's')
      await flipValue(level, first as Buffer, 5)
      await level.put(Buffer.from('?what'), Buffer.from('is this'))
    })
    const { summary } = await inspectStore(dir, silentLogger)
    assert.equal(summary.damaged, 2)
    assert.equal(summary.sessions, 3)
  })

  test('leaves the reserve as it is', async t => {
    const dir = scratch(t)
    const database = await Database.open({ dir, log: silentLogger, reserveBytes: 300_000 })
    await database.close()
    assert.equal((await inspectStore(dir, silentLogger)).summary.reserveBytes, 300_000)
    assert.equal(statSync(join(dir, 'reserve')).size, 300_000)
    assert.ok(!existsSync(join(dir, 'owner.json')), 'nobody owns it afterwards')
  })

  test('of a directory without a database makes none', async t => {
    const dir = scratch(t)
    await assert.rejects(inspectStore(dir, silentLogger), fails('ERR_STORE_MISSING', new RegExp(dir)))
    await assert.rejects(inspectStore(join(dir, 'no'), silentLogger), fails('ERR_STORE_MISSING', /no\b/))
    assert.ok(!existsSync(join(dir, 'CURRENT')), 'it is empty still')
  })

  test('of a database that is in use is refused', async t => {
    const dir = scratch(t)
    await openIn(t, dir)
    await assert.rejects(inspectStore(dir, silentLogger), fails('ERR_STORE_LOCKED', new RegExp(`pid ${process.pid}`)))
  })
})

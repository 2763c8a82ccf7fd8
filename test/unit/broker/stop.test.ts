/** A graceful stop takes no longer than it may, and lets slow readers have what is theirs within that time. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { HubOptions } from '../../../src/broker/index.ts'
import { type EmbeddedHub, embedHub, until } from '../../support/embedded-hub.ts'
import { connect, publish, subscribe } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'

const BOUND_MS = 300
/** Far more than any machine is late. */
const LATE_MS = 2000
const WILL = { will: { topic: 'will', payload: 'x' } }

async function assertStops({ hub }: EmbeddedHub): Promise<void> {
  const since = performance.now()
  const stopped = hub.closeGently(BOUND_MS).then(() => 'stopped')
  const timer = new Promise(resolve => setTimeout(resolve, BOUND_MS + LATE_MS, 'late'))
  assert.equal(await Promise.race([stopped, timer]), 'stopped', `not within ${BOUND_MS + LATE_MS} ms`)
  assert.ok(performance.now() - since < BOUND_MS + LATE_MS, 'it took too long')
  assert.equal(hub.closed, true)
}

/** Publishes to a subscriber of `fill` that does not read, until much more waits than the kernel takes. */
async function fill({ hub }: EmbeddedHub, slow: RawClient, publisher: RawClient): Promise<void> {
  slow.socket.pause()
  for (let i = 0; i < 1000 && hub.clients['slow']?.blocked !== true; i++)
    await publisher.publish({ topic: 'fill', payload: Buffer.alloc(30_000) })
  assert.equal(hub.clients['slow']?.blocked, true)
  for (let i = 0; i < 30; i++) publisher.send(publish({ topic: 'fill', payload: Buffer.alloc(30_000) }))
  await publisher.quiet()
}

suite('closeGently(ms) ends in time', { concurrency: true }, () => {
  const hooks: Readonly<Record<string, HubOptions>> = {
    'authorizePublish never calls back for a Will': { authorizePublish: () => {} },
    'published never calls back for a Will': { published: () => {} },
  }
  for (const [name, options] of Object.entries(hooks)) {
    test(`though ${name}`, async t => {
      const embedded = await embedHub(t, options)
      const client = await embedded.connect('mortal', WILL)
      const closed = client.drain()
      await assertStops(embedded)
      await closed
    })
  }

  test('though a function that subscribed never calls back', async t => {
    const embedded = await embedHub(t)
    let calls = 0
    embedded.hub.subscribe(
      '#',
      () => void calls++,
      () => {},
    )
    const client = await embedded.connect('mortal', WILL)
    const closed = client.drain()
    await assertStops(embedded)
    await closed
    assert.ok(calls > 0, 'the function was not asked')
  })

  test('though CONNECT and SUBSCRIBE are held up by hooks', async t => {
    const asked: string[] = []
    const embedded = await embedHub(t, {
      authenticate: (client, _username, _password, done) => {
        if (client.id === 'held') asked.push('CONNECT')
        else done(null, true)
      },
      authorizeSubscribe: () => void asked.push('SUBSCRIBE'),
    })
    const subscriber = await embedded.connect('subscriber', WILL)
    subscriber.send(subscribe(1, ['t', 0]))
    const held = await embedded.open()
    held.send(connect({ clientId: 'held' }))
    await until(() => asked.length === 2, 'both hooks are asked')
    const closed = Promise.all([subscriber.drain(), held.drain()])
    await assertStops(embedded)
    await closed
  })

  test('though a client reads nothing', async t => {
    const embedded = await embedHub(t)
    const slow = await embedded.connect('slow')
    await slow.subscribe(['fill', 0])
    const publisher = await embedded.connect('publisher')
    await fill(embedded, slow, publisher)
    const closed = publisher.drain()
    await assertStops(embedded)
    await closed
    await until(() => embedded.hub.connections === 0, 'the connection is cut')
    slow.destroy()
  })
})

test('a client that reads on after 2.5 s gets all that is its own, and the stop waits no longer than for that', async t => {
  const embedded = await embedHub(t)
  const { hub } = embedded
  const slow = await embedded.connect('slow')
  await slow.subscribe(['fill', 0])
  const publisher = await embedded.connect('publisher')
  const { messagesSent } = hub.state.counters
  await fill(embedded, slow, publisher)
  const owed = hub.state.counters.messagesSent - messagesSent
  const since = performance.now()
  const stopped = hub.closeGently(20_000)
  setTimeout(() => slow.socket.resume(), 2500)
  const received = await slow.drain(10_000)
  assert.equal(received.filter(({ type }) => type === 'publish').length, owed)
  await stopped
  const took = performance.now() - since
  assert.ok(took >= 2400 && took < 2500 + 5000, `the stop took ${took} ms`)
  publisher.destroy()
})

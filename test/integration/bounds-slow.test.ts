/** Clients that do not read: what waits for them is bounded, and nobody else notices. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type net from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import { flood, type HubFigures, HubProcess, MIB, mib } from '../support/hub-process.ts'
import { connect, pingreq, publish, subscribe } from '../support/packets.ts'

/** `LONG=1` floods for a minute in every case. */
const isLong = process.env['LONG'] === '1'
const LONG_FLOOD_MS = isLong ? 60_000 : 8000
const FLOOD_MS = isLong ? 60_000 : 2500
const QUEUE_BYTES = 16 * MIB
/** On top of what is held: garbage of V8, which lets some 64 MiB of buffers lie, and what is being read. Not more with time. */
const SLACK = 112 * MIB
/** What a hub without load holds, and the overhead of ten thousand queued messages. */
const HELD = 32 * MIB
const skip = process.platform === 'linux' ? false : 'reads /proc'
/** For a whole suite. */
const options = { skip, timeout: 10 * LONG_FLOOD_MS + 60_000 }

/** Connects; CONNACK is read. */
async function client(t: TestContext, hub: HubProcess, clientId: string, cleanSession = true): Promise<net.Socket> {
  const socket = await hub.open(t)
  socket.write(connect({ clientId, cleanSession }))
  const [connack] = (await once(socket, 'data')) as [Buffer]
  assert.equal(connack[3], 0)
  return socket
}

/** Subscribes, and from then on reads nothing. */
async function deafSubscriber(t: TestContext, hub: HubProcess, filter: string, qos: number): Promise<net.Socket> {
  const socket = await client(t, hub, 'deaf')
  socket.write(subscribe(1, [filter, qos]))
  await once(socket, 'data')
  socket.pause()
  return socket
}

/** Packets that differ in the packet identifier, some 64 KiB in one piece. */
function packets(qos: number, bytes: number, topic = 'flood'): Buffer {
  const count = Math.max(1, Math.floor(65_536 / bytes))
  const all = Array.from({ length: count }, (_, i) =>
    publish({ topic, payload: Buffer.alloc(bytes, 'x'), qos, packetId: i + 1 }),
  )
  return Buffer.concat(all)
}

function report(t: TestContext, hub: HubProcess, before: number): number {
  const grown = hub.peak - before
  t.diagnostic(`${mib(before)} before, at most ${mib(grown)} more`)
  return grown
}

/** What is left when the garbage is gone. */
function assertHeld({ heapUsed, arrayBuffers }: HubFigures['memory']): void {
  assert.ok(heapUsed + arrayBuffers < HELD + QUEUE_BYTES, `${mib(heapUsed)} and ${mib(arrayBuffers)} held`)
}

suite('a subscriber that never reads while a publisher floods', options, () => {
  for (const qos of [0, 1]) {
    for (const bytes of [64, 1024, 24_000]) {
      // The small ones stress what each message costs, the large ones what each byte does.
      test(`QoS ${qos}, ${bytes} bytes: bounded, counted, and others get their messages`, async t => {
        const hub = await HubProcess.start(t, 'limits: { drain: { timeout: 0 } }')
        const deaf = await deafSubscriber(t, hub, '#', qos)
        const publisher = await client(t, hub, 'publisher')
        publisher.resume()
        hub.resetPeak()
        const before = hub.rss
        await flood(publisher, packets(qos, bytes), bytes === 1024 ? LONG_FLOOD_MS : FLOOD_MS)
        const grown = report(t, hub, before)
        const { counters, memory } = await hub.figures()
        assert.ok(grown < SLACK + QUEUE_BYTES, `${mib(grown)} more`)
        assertHeld(memory)
        assert.ok(qos === 0 ? counters.droppedQos0 > 0 : counters.droppedQueued > 0, JSON.stringify(counters))
        assert.ok(counters.messagesReceived > 1000, 'the publisher was held up')

        const neighbour = await client(t, hub, 'neighbour')
        neighbour.write(subscribe(1, ['else', 1]))
        await once(neighbour, 'data')
        neighbour.write(publish({ topic: 'else', payload: 'still there' }))
        const [message] = (await once(neighbour, 'data')) as [Buffer]
        assert.ok(message.includes('still there'))
        assert.equal(deaf.destroyed, false)
      })
    }
  }

  test('topics by turns, so that no two messages lie side by side for one of them', async t => {
    const hub = await HubProcess.start(t, 'limits: { drain: { timeout: 0 } }')
    // Ten subscribers hold on to one message in fifty each: bounded by what they hold, not by the chunks it came in.
    const deafs = Array.from({ length: 10 }, async (_, i) => {
      const socket = await client(t, hub, `deaf-${i}`)
      socket.write(subscribe(1, [`wanted/${i}`, 0]))
      await once(socket, 'data')
      socket.pause()
    })
    await Promise.all(deafs)
    const publisher = await client(t, hub, 'publisher')
    const mixed: Buffer[] = []
    for (let i = 0; i < 10; i++) {
      mixed.push(publish({ topic: `wanted/${i}`, payload: Buffer.alloc(8200) }))
      for (let k = 0; k < 7; k++) mixed.push(publish({ topic: 'nobody', payload: Buffer.alloc(8200) }))
    }
    hub.resetPeak()
    const before = hub.rss
    await flood(publisher, Buffer.concat(mixed), FLOOD_MS)
    const grown = report(t, hub, before)
    assert.ok(grown < SLACK + 10 * 2 * MIB, `${mib(grown)} more`)
    const { counters, memory } = await hub.figures()
    assertHeld(memory)
    assert.ok(counters.droppedQos0 > 0)
  })
})

suite('a kept session whose client is away while a publisher floods', options, () => {
  for (const bytes of [64, 1024, 24_000]) {
    test(`QoS 1, ${bytes} bytes: the queue is bounded, the newest are kept`, async t => {
      const hub = await HubProcess.start(t)
      const kept = await client(t, hub, 'kept', false)
      kept.write(subscribe(1, ['#', 1]))
      await once(kept, 'data')
      kept.destroy()
      await hub.until('the client is gone', ({ connections }) => connections === 0)
      const publisher = await client(t, hub, 'publisher')
      publisher.resume()
      hub.resetPeak()
      const before = hub.rss
      await flood(publisher, packets(1, bytes), FLOOD_MS)
      const grown = report(t, hub, before)
      assert.ok(grown < SLACK + QUEUE_BYTES, `${mib(grown)} more`)
      const { counters, sessions, memory } = await hub.figures()
      assertHeld(memory)
      assert.ok(counters.droppedQueued > 0)
      assert.equal(counters.messagesSent, 0)
      assert.equal(sessions, 2)
    })
  }

  test('QoS 0 is not kept at all', async t => {
    const hub = await HubProcess.start(t)
    const kept = await client(t, hub, 'kept', false)
    kept.write(subscribe(1, ['#', 1]))
    await once(kept, 'data')
    kept.destroy()
    await hub.until('the client is gone', ({ connections }) => connections === 0)
    const publisher = await client(t, hub, 'publisher')
    hub.resetPeak()
    const before = hub.rss
    await flood(publisher, packets(0, 1024), 1000)
    const grown = report(t, hub, before)
    assert.ok(grown < SLACK, `${mib(grown)} more`)
    const { counters } = await hub.figures()
    assert.deepEqual([counters.droppedQueued, counters.messagesSent], [0, 0])
  })
})

suite('a client that reads no answer', options, () => {
  const twenty = Array.from({ length: 20 }, (): [string, number] => ['a', 1])
  const cases: { name: string; chunk: Buffer }[] = [
    { name: 'PUBACKs', chunk: packets(1, 20) },
    {
      name: 'PUBRECs',
      chunk: Buffer.concat(
        Array.from({ length: 900 }, (_, i) => publish({ topic: 'f', qos: 2, packetId: i + 1, dup: true })),
      ),
    },
    { name: 'PINGRESPs', chunk: Buffer.concat(Array.from({ length: 10_000 }, () => pingreq())) },
    { name: 'SUBACKs', chunk: Buffer.concat(Array.from({ length: 500 }, (_, i) => subscribe(i + 1, ...twenty))) },
  ]
  for (const { name, chunk } of cases) {
    test(`${name}: it is not read any more, then closed`, async t => {
      const hub = await HubProcess.start(t, 'limits: { drain: { timeout: 2s } }')
      const deaf = await deafSubscriber(t, hub, 'fill', 0)
      // The buffers of the kernel are soon full of messages, so that the answers have to wait.
      const fill = publish({ topic: 'fill', payload: Buffer.alloc(24_000) })
      deaf.write(Buffer.concat(Array.from({ length: 400 }, () => fill)))
      hub.resetPeak()
      const before = hub.rss
      await flood(deaf, chunk, 4000)
      const grown = report(t, hub, before)
      assert.ok(grown < SLACK, `${mib(grown)} more`)
      await hub.until('the hub closes it', ({ connections }) => connections === 0, 10_000)
    })
  }

  test('retained messages asked for over and over are not kept ready as often', async t => {
    const hub = await HubProcess.start(t, 'limits: { drain: { timeout: 0 } }')
    const publisher = await client(t, hub, 'publisher')
    const count = 5000
    const states = Array.from({ length: count }, (_, i) => publish({ topic: `r/${i}`, payload: 'state', retain: true }))
    publisher.write(Buffer.concat(states))
    await hub.until('everything is retained', ({ retainedCount }) => retainedCount === count)
    const deaf = await client(t, hub, 'deaf')
    deaf.pause()
    hub.resetPeak()
    const before = hub.rss
    const asking = Buffer.concat(Array.from({ length: 100 }, (_, i) => subscribe(i + 1, ['#', 1])))
    // Two thousand times five thousand.
    for (let i = 0; i < 20; i++) deaf.write(asking)
    await new Promise(resolve => setTimeout(resolve, 2000))
    const grown = report(t, hub, before)
    assert.ok(grown < SLACK + QUEUE_BYTES, `${mib(grown)} more`)
  })
})

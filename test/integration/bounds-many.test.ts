/** Many of something: filters, connections, take-overs, retained messages. Each is bounded and leaves nothing behind. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type HubFigures, HubProcess, KIB, MIB, mib } from '../support/hub-process.ts'
import {
  connect,
  PacketDecoder,
  type PacketOf,
  packet,
  publish,
  type Subscription,
  subscribe,
  unsubscribe,
} from '../support/packets.ts'

const skip = process.platform === 'linux' ? false : 'reads /proc'
const options = { skip, timeout: 90_000 }

/** Connects; CONNACK is read. */
async function client(t: TestContext, hub: HubProcess, clientId: string, cleanSession = true): Promise<net.Socket> {
  const socket = await hub.open(t)
  socket.write(connect({ clientId, cleanSession }))
  const [connack] = (await once(socket, 'data')) as [Buffer]
  assert.equal(connack[3], 0)
  return socket
}

async function nextChunk(socket: net.Socket): Promise<Buffer> {
  const over = new AbortController()
  const { signal } = over
  try {
    const [chunk] = await Promise.race([once(socket, 'data', { signal }), once(socket, 'close', { signal })])
    assert.ok(Buffer.isBuffer(chunk), 'the hub closed the connection')
    return chunk
  } finally {
    over.abort()
  }
}

/** Reads packets until one is a SUBACK. */
async function nextSuback(socket: net.Socket): Promise<PacketOf<'suback'>> {
  const decoder = new PacketDecoder()
  for (;;) {
    for (const each of decoder.push(await nextChunk(socket))) if (each.type === 'suback') return each
  }
}

suite('topic filters', options, () => {
  test('10,000 of one client: the first 1,000 are granted, the others answered 0x80', async t => {
    const hub = await HubProcess.start(t)
    const socket = await client(t, hub, 'greedy')
    const before = hub.rss
    const granted: number[] = []
    for (let i = 0; i < 100; i++) {
      const filters = Array.from({ length: 100 }, (_, k): Subscription => [`${i * 100 + k}/+/some/longer/filter/#`, 1])
      socket.write(subscribe(i + 1, ...filters))
      granted.push(...(await nextSuback(socket)).returnCodes)
    }
    assert.deepEqual(granted, [...Array<number>(1000).fill(1), ...Array<number>(9000).fill(0x80)])
    // One that it has may be renewed, and one that it gives up makes room for one.
    socket.write(subscribe(1, ['0/+/some/longer/filter/#', 0], ['new', 1]))
    assert.deepEqual((await nextSuback(socket)).returnCodes, [0, 0x80])
    socket.write(unsubscribe(2, '0/+/some/longer/filter/#'))
    socket.write(subscribe(3, ['new', 1], ['newer', 1]))
    assert.deepEqual((await nextSuback(socket)).returnCodes, [1, 0x80])
    assert.ok(hub.rss - before < 24 * MIB, mib(hub.rss - before))
  })

  test('that come and go leave nothing behind', async t => {
    const hub = await HubProcess.start(t, 'message: { length: { max: 64k } }')
    const socket = await client(t, hub, 'changeable')
    const round = async (number: number): Promise<void> => {
      const names = Array.from({ length: 900 }, (_, k) => `${number}/${k}/${'x'.repeat(80)}`)
      socket.write(subscribe(1, ...names.slice(0, 450).map((name): Subscription => [name, 1])))
      await nextSuback(socket)
      socket.write(subscribe(2, ...names.slice(450).map((name): Subscription => [name, 1])))
      await nextSuback(socket)
      socket.write(unsubscribe(3, ...names.slice(0, 300)))
      socket.write(unsubscribe(4, ...names.slice(300, 600)))
      socket.write(unsubscribe(5, ...names.slice(600)))
      socket.write(subscribe(6, ['end', 1]))
      await nextSuback(socket)
    }
    for (let i = 0; i < 10; i++) await round(i)
    const before = (await hub.figures()).memory.heapUsed
    for (let i = 10; i < 110; i++) await round(i)
    // 90,000 filters of 90 bytes each would be 8 MB of text alone, and several times that in the tree.
    const grown = (await hub.figures()).memory.heapUsed - before
    assert.ok(grown < 2 * MIB, mib(grown))
  })
})

suite('connections that do not get on', options, () => {
  const lengthOf = (announced: number): Buffer =>
    Buffer.from([
      (announced % 128) | 128,
      (Math.floor(announced / 128) % 128) | 128,
      (Math.floor(announced / 16_384) % 128) | 128,
      Math.floor(announced / 2_097_152),
    ])
  const connectPacket = connect({ clientId: 'slow' })
  const cases: { name: string; bytes: Buffer; everyMs: number }[] = [
    { name: 'send nothing', bytes: Buffer.alloc(0), everyMs: 0 },
    { name: 'send a byte now and then', bytes: connectPacket, everyMs: 400 },
    {
      name: 'announce a large CONNECT and send a part',
      bytes: Buffer.concat([Buffer.from([0x10]), lengthOf(300_000)]),
      everyMs: 1,
    },
  ]
  for (const { name, bytes, everyMs } of cases) {
    test(`1,000 that ${name} are closed when connect.timeout is over`, async t => {
      const hub = await HubProcess.start(
        t,
        'limits: { connect: { timeout: 1500ms } }',
        'message: { length: { max: 255m } }',
      )
      hub.resetPeak()
      const before = hub.rss
      const started = performance.now()
      const sockets = await Promise.all(Array.from({ length: 1000 }, () => hub.open(t)))
      for (const socket of sockets) socket.resume()
      for (let at = 0; at < bytes.length && sockets.some(socket => !socket.destroyed); at++) {
        for (const socket of sockets) if (!socket.destroyed) socket.write(bytes.subarray(at, at + 1))
        await sleep(everyMs)
      }
      await hub.until('all are closed', ({ connections }) => connections === 0, 8000)
      const seconds = (performance.now() - started) / 1000
      const grown = hub.peak - before
      t.diagnostic(`closed after ${seconds.toFixed(1)} s, at most ${mib(grown)} more`)
      assert.ok(grown < 48 * MIB, mib(grown))
      assert.ok(seconds > 1.4, 'closed too early')
    })
  }

  test('1,000 that announce a CONNECT larger than any there is are closed at once', async t => {
    const hub = await HubProcess.start(t, 'message: { length: { max: 255m } }')
    const sockets = await Promise.all(Array.from({ length: 1000 }, () => hub.open(t)))
    hub.resetPeak()
    const before = hub.rss
    for (const socket of sockets) {
      socket.resume()
      socket.write(Buffer.concat([Buffer.from([0x10]), lengthOf(200 * MIB), Buffer.alloc(KIB)]))
    }
    await hub.until('all are closed', ({ connections }) => connections === 0, 5000)
    assert.ok(hub.peak - before < 48 * MIB, mib(hub.peak - before))
  })

  test('100 clients that announce 200 MiB each and send 64 KiB of it take what they sent', async t => {
    const hub = await HubProcess.start(t, 'message: { length: { max: 255m } }')
    const clients = await Promise.all(Array.from({ length: 100 }, (_, i) => client(t, hub, `c${i}`)))
    hub.resetPeak()
    const before = hub.rss
    for (const socket of clients)
      socket.write(Buffer.concat([Buffer.from([0x30]), lengthOf(200 * MIB), Buffer.alloc(64 * KIB)]))
    await sleep(1000)
    const grown = hub.peak - before
    t.diagnostic(`at most ${mib(grown)} more`)
    assert.ok(grown < 64 * MIB, mib(grown))
    assert.equal((await hub.figures()).connections, 100)
  })

  test('clients that never finish a packet are closed by their keep alive', async t => {
    const hub = await HubProcess.start(t)
    const sockets = await Promise.all(Array.from({ length: 100 }, () => hub.open(t)))
    for (const [i, socket] of sockets.entries()) {
      socket.resume()
      socket.write(connect({ clientId: `loris-${i}`, keepAlive: 1 }))
      socket.write(packet(0x30, Buffer.alloc(1000)).subarray(0, 3))
    }
    await hub.until('all are connected', ({ connectedClients }) => connectedClients === 100)
    const dripping = setInterval(() => {
      for (const socket of sockets) if (!socket.destroyed) socket.write(Buffer.from([0]))
    }, 200)
    t.after(() => clearInterval(dripping))
    // Bytes are no packet: only a whole one counts as a sign of life.
    await hub.until('all are closed', ({ connections }) => connections === 0, 8000)
  })
})

suite('take-over', options, () => {
  for (const cleanSession of [true, false]) {
    test(`600 connects with one identifier, 200 a second, clean session ${cleanSession}: one survives`, async t => {
      const hub = await HubProcess.start(t)
      const attempt = async (): Promise<net.Socket> => {
        const socket = await hub.open(t)
        socket.resume()
        socket.write(connect({ clientId: 'the-one', cleanSession, will: { topic: 'w', payload: 'x' } }))
        socket.write(subscribe(1, ['mine/#', 1]))
        return socket
      }
      const wave = async (count: number): Promise<net.Socket[]> => {
        const attempts: Promise<net.Socket>[] = []
        for (let i = 0; i < count; i++) {
          attempts.push(attempt())
          if (i % 10 === 9) await sleep(50)
        }
        return Promise.all(attempts)
      }
      await wave(100)
      const before = hub.rss
      const sockets = await wave(500)
      const { connectedClients, sessions } = await hub.until('one is left', ({ connections }) => connections === 1)
      assert.deepEqual({ connectedClients, sessions }, { connectedClients: 1, sessions: 1 })
      const open = sockets.filter(socket => !socket.destroyed)
      assert.equal(open.length, 1)
      assert.ok(hub.rss - before < 32 * MIB, mib(hub.rss - before))

      // The survivor is the one that hears.
      const publisher = await client(t, hub, 'publisher')
      const heard = once(open[0] as net.Socket, 'data')
      publisher.write(publish({ topic: 'mine/x', payload: 'for the survivor' }))
      assert.ok(((await heard) as [Buffer])[0].includes('for the survivor'))
    })
  }
})

/** What the hub holds, garbage apart: how much of that lies about is V8's to say, and differs between its versions. */
function held({ memory }: HubFigures): number {
  return memory.heapUsed + memory.arrayBuffers
}

suite('retained messages', options, () => {
  /** Publishes retained messages and waits until the hub has read them. */
  async function retain(socket: net.Socket, topics: readonly string[], payload: string | Buffer): Promise<void> {
    for (let at = 0; at < topics.length; at += 500) {
      const part = topics.slice(at, at + 500)
      if (!socket.write(Buffer.concat(part.map(topic => publish({ topic, payload, retain: true })))))
        await once(socket, 'drain')
    }
    socket.write(subscribe(1, ['nothing', 0]))
    await nextSuback(socket)
  }

  test('are kept up to the number of limits.retained.count, and a # subscriber gets them all', async t => {
    const hub = await HubProcess.start(t, 'limits: { retained: { count: 5000 } }')
    const socket = await client(t, hub, 'publisher')
    const before = await hub.figures()
    const topics = Array.from({ length: 40_000 }, (_, i) => `flood/${i}`)
    await retain(socket, topics, 'state')
    const after = await hub.figures()
    assert.equal(after.retainedCount, 5000)
    assert.equal(after.counters.droppedRetained, 35_000)
    // 5,000 are held with their places in the index, and the routes of as many topics as are remembered; not 40,000.
    assert.ok(held(after) - held(before) < 13 * MIB, mib(held(after) - held(before)))

    const reader = await client(t, hub, 'reader')
    const decoder = new PacketDecoder()
    const received: string[] = []
    const all = new Promise<void>(resolve => {
      reader.on('data', (chunk: Buffer) => {
        for (const each of decoder.push(chunk)) if (each.type === 'publish') received.push(each.topic)
        if (received.length >= 5000) resolve()
      })
    })
    reader.write(subscribe(1, ['#', 0]))
    await all
    assert.deepEqual(received.sort(), topics.slice(0, 5000).sort())
  })

  test('are kept up to the bytes of limits.retained.bytes', async t => {
    const hub = await HubProcess.start(t, 'limits: { retained: { bytes: 4m } }')
    const socket = await client(t, hub, 'publisher')
    const before = await hub.figures()
    await retain(
      socket,
      Array.from({ length: 4000 }, (_, i) => `flood/${i}`),
      Buffer.alloc(10_000),
    )
    const after = await hub.figures()
    const { retainedCount, retainedBytes } = after
    assert.ok(retainedBytes <= 4 * MIB && retainedBytes > 3.9 * MIB, mib(retainedBytes))
    assert.ok(retainedCount > 400 && retainedCount < 420, `${retainedCount} kept`)
    assert.ok(held(after) - held(before) < 12 * MIB, mib(held(after) - held(before)))
  })

  test('that were replaced and removed leave nothing behind, also when every hundredth stays', async t => {
    const hub = await HubProcess.start(t)
    const socket = await client(t, hub, 'publisher')
    // Once as a rehearsal, so that the process has grown as it has to.
    await retain(
      socket,
      Array.from({ length: 20_000 }, (_, i) => `warm/${i}`),
      'state of some fifty bytes, as sensors say it here',
    )
    await retain(
      socket,
      Array.from({ length: 20_000 }, (_, i) => `warm/${i}`),
      '',
    )
    const before = (await hub.figures()).memory
    for (let i = 0; i < 40; i++) {
      const topics = Array.from({ length: 5000 }, (_, k) => `r/${i}/${k}`)
      await retain(socket, topics, 'state of some fifty bytes, as sensors say it here')
      await retain(
        socket,
        topics.filter((_, k) => k % 100 !== 0),
        '',
      )
    }
    const { retainedCount, retainedBytes, memory } = await hub.figures()
    assert.equal(retainedCount, 2000)
    const grown = memory.arrayBuffers + memory.heapUsed - before.arrayBuffers - before.heapUsed
    t.diagnostic(`${retainedCount} messages of ${mib(retainedBytes)}: ${mib(grown)} more`)
    assert.ok(grown < 4 * MIB, mib(grown))
  })
})

suite('idle connections', options, () => {
  test('10,000 take at most 12 KiB each', async t => {
    const allowed = Number(execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim())
    const count = Number.isNaN(allowed) ? 10_000 : Math.min(10_000, allowed - 200)
    const hub = await HubProcess.start(t, 'limits: { connections: 10100 }')
    const sockets: net.Socket[] = []
    t.after(() => {
      for (const socket of sockets) socket.destroy()
    })
    const openSome = async (some: number): Promise<void> => {
      const opened = await Promise.all(
        Array.from({ length: some }, async (_, i) => {
          const socket = net.connect({ host: '127.0.0.1', port: hub.port })
          sockets.push(socket)
          await once(socket, 'connect')
          socket.write(connect({ clientId: `idle-${sockets.length}-${i}` }))
          const [connack] = (await once(socket, 'data')) as [Buffer]
          return connack[3]
        }),
      )
      assert.ok(opened.every(code => code === 0))
    }
    // The first ones make the process grow for other reasons.
    await openSome(100)
    await sleep(500)
    const before = hub.rss
    while (sockets.length < count) await openSome(Math.min(200, count - sockets.length))
    await sleep(2000)
    const each = (hub.rss - before) / (count - 100)
    t.diagnostic(`${count} connections: ${(each / KIB).toFixed(1)} KiB of RSS each`)
    assert.equal((await hub.figures()).connectedClients, count)
    assert.ok(each <= 12 * KIB, `${(each / KIB).toFixed(1)} KiB each`)
  })
})

/** Where listeners listen, and what happens when they can't. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer, Server, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { describe, test } from 'node:test'
import { createListener, createListeners, type ListenerOptions } from '../../src/broker/listeners/index.ts'
import { silentLogger } from '../../src/common/index.ts'
import {
  type Address,
  addressOf,
  closed,
  echo,
  openSocket,
  readBytes,
  startListener,
  temporaryFolder,
  untilStill,
} from './listener-harness.ts'

const LIMIT = { timeout: 20_000 }
const OPTIONS: ListenerOptions = { accept: () => {}, maxConnections: () => true, log: silentLogger }
const hasIpv6 = Object.values(networkInterfaces()).some(list => list?.some(entry => entry.address === '::1'))
const noIpv6 = hasIpv6 ? false : 'this machine has no IPv6'

async function fails(address: Address, code: string, words: RegExp): Promise<void> {
  const listener = createListener(address, OPTIONS)
  await assert.rejects(listener.start(new AbortController().signal), (failure: Error & { code: string }) => {
    assert.equal(failure.code, code, failure.message)
    assert.ok(failure.message.includes(address.url), failure.message)
    assert.match(failure.message, words)
    return true
  })
  await listener.stop()
}

async function echoes(socket: Socket, text: string): Promise<void> {
  socket.write(text)
  assert.equal((await readBytes(socket, text.length)).toString(), text)
}

describe('addresses', () => {
  test('an IPv6 address', { ...LIMIT, skip: noIpv6 }, async t => {
    for (const host of ['::1', '[::1]']) {
      const { listener, next } = await startListener(t, 'tcp', {
        address: { host, url: 'tcp://[::1]:0' },
        onAccept: echo,
      })
      assert.match(listener.url, /^tcp:\/\/\[::1\]:[1-9]\d*$/)
      await echoes(await openSocket(t, listener.url), 'six')
      assert.equal((await next()).peer.address, '::1')
    }
  })

  test('no host means all addresses, of both kinds', LIMIT, async t => {
    const { listener, next } = await startListener(t, 'tcp', { address: { host: '' }, onAccept: echo })
    const { port } = new URL(listener.url)
    assert.match(listener.url, hasIpv6 ? /^tcp:\/\/\[::\]:\d+$/ : /^tcp:\/\/0\.0\.0\.0:\d+$/)
    await echoes(await openSocket(t, `tcp://127.0.0.1:${port}`), 'four')
    assert.equal((await next()).peer.address, '127.0.0.1')
    if (!hasIpv6) return
    await echoes(await openSocket(t, `tcp://[::1]:${port}`), 'six')
    assert.equal((await next()).peer.address, '::1')
  })

  test('a host name stays in the URL', LIMIT, async t => {
    const { listener } = await startListener(t, 'tcp', { address: { host: 'localhost' } })
    assert.match(listener.url, /^tcp:\/\/localhost:[1-9]\d*$/)
  })

  test('the path of a WebSocket URL stays in it', LIMIT, async t => {
    const { listener } = await startListener(t, 'ws', { address: { path: '/mqtt' } })
    assert.match(listener.url, /^ws:\/\/127\.0\.0\.1:[1-9]\d*\/mqtt$/)
  })

  test('ones that can not be are told apart', LIMIT, async () => {
    await fails(addressOf('tcp', { host: '192.0.2.1' }), 'ERR_LISTEN_BAD_ADDRESS', /no network interface/)
    await fails(addressOf('tcp', { port: 70_000 }), 'ERR_LISTEN_BAD_ADDRESS', /0 to 65535/)
    await fails(addressOf('ws', { host: 'host.invalid' }), 'ERR_LISTEN_BAD_ADDRESS', /host name/)
  })

  test('a port that is reserved', LIMIT, async t => {
    // Which ports are, and for whom, depends on the machine.
    const isRoot = process.geteuid?.() === 0
    if (isRoot) process.seteuid?.(65_534)
    try {
      const probe = createServer()
      const outcome = await new Promise<string | undefined>(resolve => {
        probe.once('error', (failure: NodeJS.ErrnoException) => resolve(failure.code))
        probe.listen(1, '127.0.0.1', () => probe.close(() => resolve(undefined)))
      })
      if (outcome !== 'EACCES') return t.skip('nothing is reserved here')
      await fails(addressOf('tcp', { port: 1 }), 'ERR_LISTEN_PERMISSION', /CAP_NET_BIND_SERVICE/)
    } finally {
      if (isRoot) process.seteuid?.(0)
    }
  })
})

describe('a machine at its limits', () => {
  test('out of file descriptors, those who are connected go on and others may come later', LIMIT, async t => {
    const child = join(import.meta.dirname, 'listener-child.ts')
    const command = `ulimit -n 64 && exec "${process.execPath}" --import tsx "${child}"`
    const shell = spawn('/bin/sh', ['-c', command], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    const exited = once(shell, 'exit')
    t.after(async () => {
      shell.kill()
      await exited
    })
    const [url] = (await once(shell, 'message')) as [string]
    const sockets: Socket[] = []
    for (let i = 0; i < 100; i++) sockets.push(await openSocket(t, url))
    for (const socket of sockets) socket.resume()
    await untilStill(() => sockets.filter(socket => socket.closed).length)
    const open = sockets.filter(socket => !socket.closed)
    assert.ok(open.length > 10 && open.length < 64, `${open.length} are open`)
    const first = open[0]
    assert.ok(first !== undefined)
    await echoes(first, 'still here')
    for (const socket of open) socket.destroy()
    await untilStill(() => sockets.filter(socket => !socket.closed).length)
    await echoes(await openSocket(t, url), 'later')
  })

  test('failures to accept are logged once for all, and nothing else happens', LIMIT, async t => {
    const { listener, lines, next } = await startListener(t, 'tcp', { onAccept: echo })
    await openSocket(t, listener.url)
    // Not documented, but there is no other way to the server.
    const server: unknown = Reflect.get((await next()).stream, 'server')
    assert.ok(server instanceof Server)
    for (let i = 0; i < 100; i++) server.emit('error', new Error('accept ENOBUFS'))
    assert.deepEqual(
      lines.filter(line => line.level === 'error').map(({ event, fields }) => [event, fields]),
      [['listener.accept_failed', { listener: listener.url, count: 1, error: 'accept ENOBUFS' }]],
    )
    await echoes(await openSocket(t, listener.url), 'on')
  })
})

describe('unix sockets', () => {
  test('are for the owner and its group, and removed at the end', LIMIT, async t => {
    const { listener } = await startListener(t, 'unix')
    const { path } = listener.address
    assert.equal(statSync(path).mode & 0o777, 0o660)
    await listener.stop()
    assert.ok(!existsSync(path))
  })

  test('that nobody answers any more are replaced', LIMIT, async t => {
    const path = join(temporaryFolder(t), 'hub.sock')
    await leaveSocketBehind(path)
    const { listener } = await startListener(t, 'unix', { address: { path }, onAccept: echo })
    await echoes(await openSocket(t, listener.url), 'new')
  })

  test('that somebody answers are not touched', LIMIT, async t => {
    const { listener } = await startListener(t, 'unix', { onAccept: echo })
    await fails(listener.address, 'ERR_LISTEN_ADDRESS_IN_USE', /listens there already/)
    await echoes(await openSocket(t, listener.url), 'old')
  })

  test('do not replace files of another kind', LIMIT, async t => {
    const path = join(temporaryFolder(t), 'precious')
    writeFileSync(path, 'data')
    await fails(addressOf('unix', { path }), 'ERR_LISTEN_BAD_ADDRESS', /not a socket/)
    assert.equal(statSync(path).size, 4)
  })

  test('need a path that can be', LIMIT, async t => {
    const folder = temporaryFolder(t)
    await fails(addressOf('unix', { path: '' }), 'ERR_LISTEN_BAD_ADDRESS', /path/)
    await fails(addressOf('unix', { path: 'a\0b' }), 'ERR_LISTEN_BAD_ADDRESS', /path/)
    await fails(addressOf('unix', { path: join(folder, 'x'.repeat(200)) }), 'ERR_LISTEN_BAD_ADDRESS', /bytes/)
    await fails(addressOf('unix', { path: join(folder, 'no/hub.sock') }), 'ERR_LISTEN_BAD_ADDRESS', /does not exist/)
  })

  test('need a folder that may be written', LIMIT, async t => {
    if (process.geteuid?.() !== 0) {
      return fails(addressOf('unix', { path: '/hub.sock' }), 'ERR_LISTEN_PERMISSION', /writable/)
    }
    // Root may write everywhere, so the test steps down for a moment.
    const folder = temporaryFolder(t)
    chmodSync(folder, 0o755)
    process.seteuid?.(65_534)
    try {
      await fails(addressOf('unix', { path: join(folder, 'hub.sock') }), 'ERR_LISTEN_PERMISSION', /writable/)
    } finally {
      process.seteuid?.(0)
    }
  })
})

describe('several listeners', () => {
  test('start as a whole and stop as a whole', LIMIT, async t => {
    const path = join(temporaryFolder(t), 'hub.sock')
    const streams: Duplex[] = []
    const listeners = createListeners([addressOf('tcp'), addressOf('ws'), addressOf('unix', { path })], {
      ...OPTIONS,
      maxConnections: () => streams.length < 1,
      accept: stream => streams.push(stream),
    })
    t.after(() => listeners.stop())
    await listeners.start(new AbortController().signal)
    assert.equal(listeners.urls.length, 3)
    assert.match(listeners.urls[0] ?? '', /^tcp:\/\/127\.0\.0\.1:[1-9]/)
    assert.match(listeners.urls[1] ?? '', /^ws:\/\/127\.0\.0\.1:[1-9]/)
    assert.equal(listeners.urls[2], `unix://${path}`)

    const socket = await openSocket(t, listeners.urls[0] ?? '')
    for (const url of listeners.urls) await closed((await openSocket(t, url)).resume())
    assert.equal(listeners.refused, 3)

    await listeners.stop()
    for (const url of listeners.urls) await assert.rejects(openSocket(t, url))
    assert.ok(!socket.destroyed && !streams[0]?.destroyed)
    streams[0]?.destroy()
  })

  test('one that can not be opened closes the others, and who came in by them', LIMIT, async t => {
    const taken = await startListener(t, 'tcp')
    const path = join(temporaryFolder(t), 'hub.sock')
    const port = await freePort()
    const accepted: Duplex[] = []
    const early: Socket[] = []
    const addresses = [
      addressOf('tcp', { port }),
      addressOf('unix', { path }),
      addressOf('tcp', { host: 'localhost', port: Number(new URL(taken.listener.url).port) }),
    ]
    const listeners = createListeners(addresses, { ...OPTIONS, accept: stream => accepted.push(stream) })
    const starting = listeners.start(new AbortController().signal)
    // The first is open at once; while the name of the last is looked up, somebody comes in.
    early.push(
      connect(port, '127.0.0.1')
        .on('error', () => {})
        .resume(),
    )
    await assert.rejects(starting, { code: 'ERR_LISTEN_ADDRESS_IN_USE', message: new RegExp(addresses[2]?.url ?? '') })
    for (const socket of early) await closed(socket)
    for (const stream of accepted) assert.ok(stream.destroyed)
    await assert.rejects(openSocket(t, `tcp://127.0.0.1:${port}`), { code: 'ECONNREFUSED' })
    assert.ok(!existsSync(path))
  })
})

/** A socket file whose process is gone: closing a server removes its file, so this one is moved away meanwhile. */
async function leaveSocketBehind(path: string): Promise<void> {
  const server = createServer().listen(`${path}.old`)
  await once(server, 'listening')
  renameSync(`${path}.old`, path)
  server.close()
  await once(server, 'close')
  assert.ok(statSync(path).isSocket())
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  server.close()
  await once(server, 'close')
  return address.port
}

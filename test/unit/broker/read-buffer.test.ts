import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { ReadBuffer } from '../../../src/wire/index.ts'

test('the sockets of a server read into one buffer, pause and go on, and still tell their end', async t => {
  const shared = new ReadBuffer()
  const read: string[] = []
  const buffers = new Set<Buffer>()
  const sockets: Socket[] = []
  const server = createServer(socket => {
    sockets.push(socket)
    const isAttached = shared.attach(socket, (length, buffer) => {
      buffers.add(buffer)
      read.push(buffer.toString('latin1', 0, length))
      return true
    })
    assert.equal(isAttached, true, `Node.js ${process.version} has no slots for a read buffer: sockets are read slowly`)
  })
  t.after(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const clients = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
  await Promise.all(clients.map(client => once(client, 'connect')))
  for (const [i, client] of clients.entries()) {
    client.write(`from ${i}`)
    while (read.length <= i) await new Promise(resolve => setImmediate(resolve))
  }
  assert.deepEqual(read, ['from 0', 'from 1'])
  assert.equal(buffers.size, 1)

  const first = sockets[0] as Socket
  first.pause()
  clients[0]?.write('later')
  await new Promise(resolve => setTimeout(resolve, 100))
  assert.equal(read.length, 2, 'a paused socket is not read')
  first.resume()
  while (read.length < 3) await new Promise(resolve => setImmediate(resolve))
  assert.equal(read[2], 'later')

  const ended = once(first, 'end')
  clients[0]?.end()
  await ended
  for (const socket of [...sockets, ...clients]) socket.destroy()
})

test('streams that are no sockets of the kernel are read in the ordinary way', () => {
  assert.equal(
    new ReadBuffer().attach(new PassThrough(), () => true),
    false,
  )
})

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Burst } from '../../../src/broker/listeners/burst.ts'
import { Handshakes } from '../../../src/broker/listeners/handshakes.ts'

test('a burst of events is worth its first, and one more a minute', () => {
  const burst = new Burst()
  assert.equal(burst.hit(0), 1)
  for (let second = 1; second < 60; second++) assert.equal(burst.hit(second * 1000), 0)
  assert.equal(burst.hit(60_000), 60)
  assert.equal(burst.hit(61_000), 0)
})

test('after a quiet while a new burst begins', () => {
  const burst = new Burst()
  assert.equal(burst.hit(0), 1)
  assert.equal(burst.hit(1), 0)
  assert.equal(burst.hit(9000), 0)
  assert.equal(burst.hit(20_000), 3)
})

test('who is late is cut off, in order, and told of once', { timeout: 20_000 }, async t => {
  const failures: string[] = []
  const handshakes = new Handshakes(50, (address, problem) => failures.push(`${address} ${problem}`))
  t.after(() => handshakes.close())
  const [first] = await socketPair(t)
  assert.ok(handshakes.add(first))
  await new Promise(resolve => setTimeout(resolve, 25))
  const [second] = await socketPair(t)
  assert.ok(handshakes.add(second))
  assert.equal(handshakes.size, 2)
  await once(first, 'close')
  assert.equal(handshakes.size, 1)
  await once(second, 'close')
  assert.equal(handshakes.size, 0)
  assert.deepEqual(failures, ['127.0.0.1 it took too long', '127.0.0.1 it took too long'])
  assert.ok(!handshakes.take(second))
  assert.ok(!handshakes.add(second))
})

test('who was taken in time stays', { timeout: 20_000 }, async t => {
  const failures: string[] = []
  const handshakes = new Handshakes(30, (address, problem) => failures.push(`${address} ${problem}`))
  t.after(() => handshakes.close())
  const [taken] = await socketPair(t)
  const [late] = await socketPair(t)
  handshakes.add(taken)
  handshakes.add(late)
  assert.ok(handshakes.take(taken))
  assert.ok(!handshakes.take(taken))
  await once(late, 'close')
  assert.ok(!taken.destroyed)
  taken.destroy()
  await once(taken, 'close')
  assert.deepEqual(failures, ['127.0.0.1 it took too long'])
})

test('the first reason counts', { timeout: 20_000 }, async t => {
  const failures: string[] = []
  const handshakes = new Handshakes(10_000, (address, problem) => failures.push(`${address} ${problem}`))
  t.after(() => handshakes.close())
  const [socket] = await socketPair(t)
  const [left, peer] = await socketPair(t)
  handshakes.add(socket)
  handshakes.add(left)
  handshakes.report(socket, 'one')
  handshakes.report(socket, 'two')
  socket.destroy()
  await once(socket, 'close')
  peer.destroy()
  left.resume()
  await once(left, 'close')
  assert.deepEqual(failures, ['127.0.0.1 one', '127.0.0.1 the peer left'])
  assert.equal(handshakes.size, 0)
})

async function socketPair(t: TestContext): Promise<[server: Socket, client: Socket]> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const client = connect(address.port, '127.0.0.1')
  const [accepted] = (await once(server, 'connection')) as [Socket]
  server.close()
  for (const socket of [accepted, client]) {
    socket.on('error', () => {})
    t.after(() => {
      socket.destroy()
    })
  }
  return [accepted, client]
}

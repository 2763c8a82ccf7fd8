import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { test } from 'node:test'
import { createHub } from '../../../src/broker/index.ts'
import { openRawClient } from '../../support/raw-client.ts'

test('of clients that resume one session at once, while a hook takes its time, one is left', async t => {
  const hub = await createHub()
  hub.authorizeSubscribe = (_client, subscription, done) => {
    setTimeout(() => done(null, subscription), 5)
  }
  const server = net.createServer(hub.handle).listen(0, '127.0.0.1')
  t.after(async () => {
    await hub.closeGently(0)
    server.close()
  })
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const endpoint = { transport: 'tcp' as const, host: '127.0.0.1', port }
  const kept = { clientId: 'kept', cleanSession: false }

  const first = await openRawClient(t, endpoint)
  await first.connect(kept)
  await first.subscribe(['a', 1], ['b', 1], ['c', 1])
  first.destroy()
  await once(hub, 'clientDisconnect')

  const clients = await Promise.all(Array.from({ length: 5 }, () => openRawClient(t, endpoint)))
  const answers = await Promise.all(
    clients.map(async client => {
      await client.connect(kept).catch(() => {}) // may be closed for a later one before it is answered
      return client.nextOrClosed(300).catch(() => 'open' as const)
    }),
  )
  assert.equal(answers.filter(answer => answer === 'open').length, 1)
  assert.equal(hub.connections, 1)
  assert.equal(hub.connectedClients, 1)
  assert.equal(hub.sessions.size, 1)
  const survivor = clients[answers.indexOf('open')]
  assert.ok(survivor !== undefined)
  await survivor.publish({ topic: 'b', payload: 'heard', qos: 1 }).catch(() => {})
  const heard = hub.state.counters.messagesSent
  assert.equal(heard, 1)
  survivor.destroy()
})

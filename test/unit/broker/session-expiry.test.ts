import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { embedHub } from '../../support/embedded-hub.ts'
import { publish } from '../../support/packets.ts'

const EXPIRY_MS = 300
const KEPT = { cleanSession: false }

test('in memory too a session expires while its client is away, and never while it is here', async t => {
  const { hub, connect } = await embedHub(t, { settings: { sessionExpiryMs: EXPIRY_MS } })
  for (const id of ['stays', 'goes']) {
    const client = await connect(id, KEPT)
    await client.subscribe(['news', 1])
    await client.disconnect()
  }
  const stays = await connect('stays', KEPT)
  for (let i = 0; i < 100 && hub.sessions.get('goes') !== undefined; i++) await sleep(20)
  assert.equal(hub.sessions.get('goes'), undefined, 'the session of an absent client is still there')
  await sleep(EXPIRY_MS)
  const publisher = await connect('publisher')
  publisher.send(publish({ topic: 'news', qos: 1, packetId: 1, payload: 'hi' }))
  assert.equal((await stays.receive()).payload.toString(), 'hi')
})

test('a store and an emitter of its own can not be combined', async () => {
  const { default: mqemitter } = await import('mqemitter')
  const { createHub } = await import('../../../src/broker/index.ts')
  const options = { mq: mqemitter() as never, storage: { dir: '/nonexistent/never-made' } }
  await assert.rejects(createHub(options), { code: 'ERR_STORE_PERSISTENCE' })
})

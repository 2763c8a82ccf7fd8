/** Kept sessions whose clients are absent while principals change: in memory, and on disk. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { payloadsOf, until } from '../../support/embedded-hub.ts'
import type { Cleanup, RawClient } from '../../support/raw-client.ts'
import { account, as, ReloadedHub, TCP, temporaryDirectory } from './reloaded-hub.ts'

const KEPT = { cleanSession: false }
const SMALL_WINDOW = 'message: { egress: { qos1: { buffer: { size: 1 } } } }'
const BOTH = ['open/#', 'secret/#']
const MESSAGES = 10

function withReader(...reader: string[]): string {
  return [TCP, SMALL_WINDOW, 'principals:', account('writer', { pub: ['#'] }), ...reader].join('\n')
}

/** All that a client gets, acknowledged. */
async function receiveAll(running: ReloadedHub, client: RawClient, clientId: string): Promise<string[]> {
  const session = running.hub.sessions.get(clientId)
  const received: string[] = []
  await until(async () => {
    if (session?.queued === 0 && session.unacknowledged === 0) return true
    received.push((await client.receive()).payload.toString())
    return false
  }, 'everything is received')
  await client.quiet()
  return received
}

for (const place of ['memory', 'disk'] as const) {
  suite(`an absent session in ${place}`, () => {
    /** A reader has some messages in its window, more wait, and it is gone. */
    async function withWaiting(t: Cleanup): Promise<ReloadedHub> {
      const dir = place === 'disk' ? { dir: join(temporaryDirectory(t), 'data') } : {}
      const running = await ReloadedHub.start(t, withReader(account('reader', { sub: BOTH })), dir)
      const reader = await running.connect(t, 'reader', { ...as('reader'), ...KEPT })
      await reader.subscribe(['open/#', 1], ['secret/#', 1])
      const writer = await running.connect(t, 'writer', as('writer'))
      await publishBoth(writer, 0, MESSAGES / 2)
      assert.equal(payloadsOf(await reader.everything()).length, 3, 'the window is full')
      reader.destroy()
      await until(() => running.hub.clients['reader'] === undefined, 'the reader leaves')
      await publishBoth(writer, MESSAGES / 2, MESSAGES)
      if (place === 'disk')
        await until(() => running.hub.sessions.get('reader')?.log?.isParked === true, 'it is parked')
      return running
    }

    test('loses filters that are no longer permitted, and what waits or was sent under them', async t => {
      const running = await withWaiting(t)
      await running.reload(withReader(account('reader', { sub: ['open/#'] })))
      const session = running.hub.sessions.get('reader')
      assert.deepEqual([...(session?.subscriptions.keys() ?? [])], ['open/#'], 'the filter is dropped')
      const reader = await running.connect(t, 'reader', { ...as('reader'), ...KEPT })
      assert.deepEqual(await receiveAll(running, reader, 'reader'), openOnes(), 'all that is open, nothing secret')
    })

    test('loses what waited even when the permission comes back before the client', async t => {
      const running = await withWaiting(t)
      await running.reload(withReader(account('reader', { sub: ['open/#'] })))
      await running.reload(withReader(account('reader', { sub: BOTH })))
      const reader = await running.connect(t, 'reader', { ...as('reader'), ...KEPT })
      assert.deepEqual(await receiveAll(running, reader, 'reader'), openOnes(), 'nothing secret')
    })

    test('loses everything with its principal, also when that comes back', async t => {
      const running = await withWaiting(t)
      await running.reload(withReader())
      assert.equal(running.hub.sessions.get('reader')?.subscriptions.size, 0, 'no filter is left')
      await running.reload(withReader(account('reader', { sub: BOTH })))
      const reader = await running.connect(t, 'reader', { ...as('reader'), ...KEPT })
      assert.deepEqual(await receiveAll(running, reader, 'reader'), [], 'nothing is left')
    })

    test('loses nothing when other permissions change', async t => {
      const running = await withWaiting(t)
      await running.reload(withReader(account('reader', { sub: BOTH, pub: ['x'] }), account('other', {})))
      const reader = await running.connect(t, 'reader', { ...as('reader'), ...KEPT })
      assert.equal((await receiveAll(running, reader, 'reader')).length, 2 * MESSAGES, 'all messages')
    })

    test('loses nothing of a filter that was unsubscribed when other permissions change', async t => {
      const running = await withWaiting(t)
      const session = running.hub.sessions.get('reader')
      assert.ok(session !== undefined, 'there is a session')
      running.hub.sessions.unsubscribe(session, 'secret/#')
      await running.reload(withReader(account('reader', { sub: BOTH, pub: ['x'] })))
      const reader = await running.connect(t, 'reader', { ...as('reader'), ...KEPT })
      assert.equal((await receiveAll(running, reader, 'reader')).length, 2 * MESSAGES, 'all messages')
    })
  })
}

test('a session of an earlier life of the hub loses filters too', async t => {
  const dir = join(temporaryDirectory(t), 'data')
  const yaml = withReader(account('reader', { sub: BOTH }))
  const first = await ReloadedHub.start(t, yaml, { dir })
  const before = await first.connect(t, 'reader', { ...as('reader'), ...KEPT })
  await before.subscribe(['open/#', 1], ['secret/#', 1])
  await before.disconnect()
  await publishBoth(await first.connect(t, 'writer', as('writer')), 0, MESSAGES)
  await first.stop()
  const running = await ReloadedHub.start(t, yaml, { dir })
  await running.reload(withReader(account('reader', { sub: ['open/#'] })))
  const session = running.hub.sessions.get('reader')
  assert.deepEqual([...(session?.subscriptions.keys() ?? [])], ['open/#'], 'the filter is dropped')
  const reader = await running.connect(t, 'reader', { ...as('reader'), ...KEPT })
  assert.deepEqual(await receiveAll(running, reader, 'reader'), openOnes(), 'nothing secret')
})

async function publishBoth(writer: RawClient, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    await writer.publish({ topic: 'secret/x', payload: `secret ${i}`, qos: 1 })
    await writer.publish({ topic: 'open/x', payload: `open ${i}`, qos: 1 })
  }
}

function openOnes(): string[] {
  return Array.from({ length: MESSAGES }, (_, i) => `open ${i}`)
}

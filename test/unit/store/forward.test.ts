/** The hook authorizeForward and stored messages: it has its say each time one of them is sent. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { until } from '../../support/embedded-hub.ts'
import { connect } from '../../support/packets.ts'
import type { RawClient } from '../../support/raw-client.ts'
import { SlowStore } from '../../support/slow-store.ts'
import type { StoredHub } from '../../support/stored-hub.ts'

/** Nobody gets what was said; some get nothing at all. */
function redact({ hub }: StoredHub): void {
  hub.authorizeForward = (_client, packet) =>
    packet.topic === 'private' ? null : { ...packet, payload: Buffer.from('redacted') }
}

/** The payloads of so many messages that come, and of no other. */
async function heard(client: RawClient, count: number): Promise<string[]> {
  const payloads: string[] = []
  for (let i = 0; i < count; i++) payloads.push((await client.expect('publish')).payload.toString())
  assert.deepEqual(await client.everything(), [], 'nothing else comes')
  return payloads
}

async function scene(t: TestContext): Promise<{ disk: SlowStore; device: RawClient }> {
  const disk = await SlowStore.start(t)
  const { stored } = disk
  const device = await stored.kept('device', false)
  await device.subscribe(['#', 2])
  return { disk, device }
}

/** Two messages, of which the hook lets one pass. */
async function say({ stored }: SlowStore, qos: number): Promise<void> {
  const publisher = await stored.guest('publisher')
  for (const topic of ['private', 'public']) await publisher.publish({ topic, payload: 'secret', qos })
  await stored.settled()
}

for (const qos of [1, 2]) {
  suite(`a message of QoS ${qos} that authorizeForward changes`, () => {
    test('is sent again as the hook wants it, after a reconnect and after a restart', async t => {
      const { disk, device } = await scene(t)
      const { stored } = disk
      redact(stored)
      await say(disk, qos)
      assert.deepEqual(await heard(device, 1), ['redacted'], 'at first')
      await disk.cut(device, 'device')
      const back = await stored.kept('device', true)
      assert.deepEqual(await heard(back, 1), ['redacted'], 'after the reconnect')
      await disk.cut(back, 'device')
      await disk.restart()
      redact(stored)
      const later = await stored.kept('device', true)
      const { payload, dup } = await later.receive()
      assert.deepEqual([payload.toString(), dup], ['redacted', true], 'after the restart')
      assert.deepEqual(await later.everything(), [])
      assert.equal(await disk.settledKeys('qm'), 0, 'nothing is left on disk')
    })

    test('is sent as the hook wants it when it waited on disk', async t => {
      const { disk, device } = await scene(t)
      const { stored } = disk
      await stored.leave(device, 'device')
      await say(disk, qos)
      redact(stored)
      const back = await stored.kept('device', true)
      assert.equal((await back.receive()).payload.toString(), 'redacted')
      assert.deepEqual(await back.everything(), [])
      assert.equal(await disk.settledKeys('qm'), 0, 'nothing is left on disk')
    })
  })
}

test('a hook that begins to withhold what was sent already has the last word', async t => {
  const { disk, device } = await scene(t)
  const { stored } = disk
  await say(disk, 1)
  assert.deepEqual(await heard(device, 2), ['secret', 'secret'])
  await disk.cut(device, 'device')
  await stored.settled()
  redact(stored)
  const back = await stored.kept('device', true)
  assert.equal((await back.receive()).payload.toString(), 'redacted')
  assert.deepEqual(await back.everything(), [])
  assert.equal(await disk.settledKeys('qmk'), 0, 'nothing is left on disk')
})

test('a hook that fails while messages are sent again loses none of them', async t => {
  const { disk, device } = await scene(t)
  const { stored } = disk
  const publisher = await stored.guest('publisher')
  await publisher.publish({ topic: 'sent', payload: 'before', qos: 1 })
  await heard(device, 1)
  await disk.cut(device, 'device')
  for (const payload of ['first', 'second']) await publisher.publish({ topic: 'waits', payload, qos: 1 })
  await stored.settled()
  for (const failsAt of ['sent', 'waits']) {
    stored.hub.authorizeForward = (_client, packet) => {
      if (packet.topic === failsAt) throw new Error('the hook is broken')
      return packet
    }
    const broken = await stored.open()
    broken.send(connect({ clientId: 'device', cleanSession: false }))
    await broken.drain()
    await until(() => stored.hub.clients['device'] === undefined, 'the client has gone')
    await stored.settled()
  }
  stored.hub.authorizeForward = (_client, packet) => packet
  assert.deepEqual(await heard(await stored.kept('device', true), 3), ['before', 'first', 'second'])
})

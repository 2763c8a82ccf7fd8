/** publish/bytes: the bytes of payloads, counted alike in both directions. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { snapshotOf } from '../../../src/broker/report/index.ts'
import { embedHub, payloadsOf, until } from '../../support/embedded-hub.ts'
import { publish } from '../../support/packets.ts'
import { StoredHub } from '../../support/stored-hub.ts'

const SIZES = [0, 1, 5, 300, 0, 127, 128, 7, 1000, 2]
const TOTAL = SIZES.reduce((sum, size) => sum + size)

suite('bytes of payloads', { concurrency: true }, () => {
  for (const qos of [0, 1, 2] as const) {
    for (const how of ['in one run', 'one by one', 'to several topics at once', 'with a listener of publish']) {
      test(`received and sent, QoS ${qos}, ${how}`, async t => {
        const { hub, connect } = await embedHub(t)
        if (how === 'with a listener of publish') hub.on('publish', () => {})
        const filters = ['news/+', 'news/#'] as const
        const readers = [await connect('first'), await connect('second')]
        for (const [i, reader] of readers.entries()) await reader.subscribe([filters[i] as string, qos])
        const writer = await connect('writer')
        const before = snapshotOf(hub).bytes
        const packets = SIZES.map((size, i) =>
          publish({
            topic: how === 'to several topics at once' ? `news/${i % 3}` : 'news/é',
            payload: 'x'.repeat(size),
            ...(qos > 0 && { qos, packetId: i + 1 }),
          }),
        )
        if (how === 'one by one') {
          for (const packet of packets) {
            writer.send(packet)
            await writer.everything()
          }
        } else writer.send(Buffer.concat(packets))
        await writer.everything()
        for (const reader of readers) {
          const payloads: string[] = []
          await until(async () => {
            payloads.push(...payloadsOf(await reader.everything()))
            return payloads.length >= SIZES.length
          }, 'all have come')
          assert.deepEqual(
            payloads.map(({ length }) => length).sort((a, b) => a - b),
            SIZES.toSorted((a, b) => a - b),
          )
        }
        const after = snapshotOf(hub).bytes
        assert.equal(after.publishReceived - before.publishReceived, TOTAL, 'received')
        assert.equal(after.publishSent - before.publishSent, TOTAL * readers.length, 'sent')
      })
    }
  }

  for (const qos of [1, 2]) {
    test(`sent from the queue on disk, QoS ${qos}`, async t => {
      const stored = await StoredHub.start(t)
      await stored.absent('device', ['flood', 2])
      await stored.flood(await stored.guest('writer'), { count: 500, bytes: 100, qos })
      assert.equal(snapshotOf(stored.hub).bytes.publishReceived, 50_000)
      const device = await stored.kept('device', true)
      assert.equal((await stored.drain(device, 'device')).length, 500)
      assert.equal(snapshotOf(stored.hub).bytes.publishSent, 50_000)
    })
  }

  test('of what is retained, sent to who comes later', async t => {
    const { hub, connect } = await embedHub(t)
    const writer = await connect('writer')
    await writer.publish({ topic: 'kept', payload: 'x'.repeat(99), retain: true })
    const reader = await connect('reader')
    await reader.subscribe(['kept', 0])
    await reader.expect('publish')
    const { publishReceived, publishSent } = snapshotOf(hub).bytes
    assert.deepEqual([publishReceived, publishSent], [99, 99])
  })
})

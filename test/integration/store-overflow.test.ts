/** Queues that are full: what gives way is what queue.overflow says, for every kind of receiver, also across a restart. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { until } from '../support/embedded-hub.ts'
import type { RawClient } from '../support/raw-client.ts'
import { numbers, ranges, StoredHub, type StoredHubOptions } from '../support/stored-hub.ts'

const WINDOW = 10
/** Few: all of it lies in memory for a connected client. Many: only the beginning does. */
const SIZES = [
  { limit: 50, total: 300 },
  { limit: 1500, total: 4000 },
] as const
const PAYLOAD = 1000
/** Bytes of a message on topic `flood` with such a payload. */
const MESSAGE_BYTES = 2 + 'flood'.length + PAYLOAD

type Overflow = 'drop-oldest' | 'drop-newest' | 'reject-publish'
type Receiver = 'absent' | 'deaf' | 'deaf, clean'

const RECEIVERS = ['absent', 'deaf', 'deaf, clean'] as const

interface Case {
  overflow: Overflow
  receiver: Receiver
  limit: number
  total: number
}

interface Scene {
  stored: StoredHub
  receiver: Receiver
  /** Null when it is absent. */
  device: RawClient | null
  publisher: RawClient
}

/** Numbers that a receiver has when all is over. */
function expected({ overflow, receiver, limit, total }: Case): string {
  const sent = receiver === 'absent' ? 0 : WINDOW
  if (overflow === 'drop-oldest') return ranges([...numbers(0, sent), ...numbers(total - limit, total)])
  return ranges(numbers(0, sent + limit))
}

async function scene(t: TestContext, receiver: Receiver, settings: StoredHubOptions['settings']): Promise<Scene> {
  const stored = await StoredHub.start(t, { settings: { window: WINDOW, inboundQos2: 0, ...settings } })
  const publisher = await stored.guest('publisher')
  const device = receiver === 'deaf, clean' ? await stored.guest('device') : await stored.kept('device', false)
  await device.subscribe(['flood/#', 1])
  if (receiver !== 'absent') return { stored, receiver, device, publisher }
  await stored.leave(device, 'device')
  return { stored, receiver, device: null, publisher }
}

/** What the receiver gets, from before a restart or after it. */
async function drain({ stored, device }: Pick<Scene, 'stored' | 'device'>): Promise<string> {
  return ranges(await stored.drain(device ?? (await stored.kept('device', true)), 'device'))
}

/** Lets the hub drop what is too many. */
async function assertDropped({ stored }: Scene, count: number): Promise<void> {
  const { counters } = stored.hub.state
  await until(() => counters.droppedQueued >= count, `${count} messages are dropped`)
  await stored.settled()
  assert.equal(counters.droppedQueued, count, 'counters.droppedQueued')
  assert.equal(stored.log.count('queue.full'), 1, 'told once')
}

for (const overflow of ['drop-oldest', 'drop-newest'] as const) {
  for (const receiver of RECEIVERS) {
    suite(`${overflow}, a receiver that is ${receiver}`, () => {
      for (const { limit, total } of SIZES) {
        for (const single of [false, true]) {
          const wanted = expected({ overflow, receiver, limit, total })
          const lost = total - limit - (receiver === 'absent' ? 0 : WINDOW)
          const name = `${total} messages ${single ? 'one by one' : 'in runs'}, ${limit} may wait`

          test(name, async t => {
            const at = await scene(t, receiver, { overflow, queueMessages: limit })
            const acknowledged = await at.stored.flood(at.publisher, { count: total, single })
            assert.equal(acknowledged.length, total, 'all are acknowledged')
            await assertDropped(at, lost)
            assert.equal(await drain(at), wanted, 'what remains')
            assert.equal(at.stored.hub.state.counters.droppedQueued, lost, 'nothing else was dropped')
          })

          if (receiver === 'deaf, clean') continue
          test(`${name}, then a restart`, async t => {
            const { stored, publisher } = await scene(t, receiver, { overflow, queueMessages: limit })
            await stored.flood(publisher, { count: total, single })
            await stored.restart()
            assert.equal(await drain({ stored, device: null }), wanted, 'what remains')
            await stored.stop()
            assert.equal((await stored.contents()).count('qmk'), 0, 'nothing is left on disk')
          })
        }
      }

      test('bytes: as many messages as fit', async t => {
        const [limit, total] = [100, 600]
        const at = await scene(t, receiver, { overflow, queueBytes: limit * MESSAGE_BYTES })
        await at.stored.flood(at.publisher, { count: total, bytes: PAYLOAD })
        assert.equal(await drain(at), expected({ overflow, receiver, limit, total }), 'what remains')
      })

      test('a second burst, after the first was taken, is told of again', async t => {
        const at = await scene(t, receiver, { overflow, queueMessages: 50 })
        const { log } = at.stored
        await at.stored.flood(at.publisher, { count: 300, single: true })
        await until(() => log.count('queue.full') === 1, 'it is told')
        const device = at.device ?? (await at.stored.kept('device', true))
        await at.stored.drain(device, 'device')
        await at.stored.flood(at.publisher, { count: 300, single: true })
        await until(() => log.count('queue.full') === 2, 'it is told again')
        await at.stored.settled()
        assert.equal(log.count('queue.full'), 2, 'told once per burst')
      })
    })
  }
}

for (const receiver of RECEIVERS) {
  suite(`reject-publish, a receiver that is ${receiver}`, () => {
    const overflow = 'reject-publish'
    for (const { limit, total } of SIZES) {
      for (const [qos, single] of [
        [1, false],
        [1, true],
        [2, true],
      ] as const) {
        // Messages of QoS 2 are sent when they are stored, so how many are on their way already is a matter of time.
        if (qos === 2 && receiver === 'deaf') continue
        test(`${total} messages of QoS ${qos} ${single ? 'one by one' : 'in runs'}, ${limit} may wait`, async t => {
          const at = await scene(t, receiver, { overflow, queueMessages: limit })
          const { stored, publisher } = at
          const bystander = await stored.guest('bystander')
          await bystander.subscribe(['flood/#', 0])
          const wanted = expected({ overflow, receiver, limit, total })
          const acknowledged = await stored.flood(publisher, { count: total, qos, single })
          assert.equal(ranges(acknowledged), wanted, 'what is acknowledged')
          assert.equal(ranges(await stored.drain(bystander, 'bystander')), wanted, 'what others get')
          const { counters } = stored.hub.state
          assert.equal(counters.refused, total - acknowledged.length, 'counters.refused')
          assert.equal(counters.droppedQueued, 0, 'nothing is dropped')
          assert.equal(await drain(at), wanted, 'what the receiver gets')
          const more = await stored.flood(publisher, { count: 20, qos })
          assert.equal(ranges(more), '0-19', 'there is room again')
        })
      }
    }

    test('bytes: as many messages as fit', async t => {
      const [limit, total] = [100, 600]
      const at = await scene(t, receiver, { overflow, queueBytes: limit * MESSAGE_BYTES })
      const acknowledged = await at.stored.flood(at.publisher, { count: total, bytes: PAYLOAD })
      const wanted = expected({ overflow, receiver, limit, total })
      assert.equal(ranges(acknowledged), wanted, 'what is acknowledged')
      assert.equal(await drain(at), wanted, 'what the receiver gets')
    })
  })
}

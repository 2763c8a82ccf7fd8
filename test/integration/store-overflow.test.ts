/** Queues that are full: what gives way is what queue.overflow says, for every kind of receiver, also across a restart. */
import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { until } from '../support/embedded-hub.ts'
import type { RawClient } from '../support/raw-client.ts'
import { numbers, ranges, StoredHub, type StoredHubOptions } from '../support/stored-hub.ts'

const WINDOW = 10
const FILTER: [string, number] = ['flood/#', 1]
/** Few: all of it lies in memory for a connected client. Many: only the beginning does. */
const SIZES = [
  { limit: 50, total: 300 },
  { limit: 1500, total: 4000 },
] as const
const PAYLOAD = 1000
/** Bytes of a message on topic `flood/0` with such a payload. */
const MESSAGE_BYTES = 2 + 'flood/0'.length + PAYLOAD

type Overflow = 'drop-oldest' | 'drop-newest' | 'reject-publish'
type Receiver = 'absent' | 'deaf' | 'deaf, clean'

interface Case {
  overflow: Overflow
  receiver: Receiver
  limit: number
  total: number
  single: boolean
}

interface Scene {
  stored: StoredHub
  /** Null when it is absent. */
  device: RawClient | null
  publisher: RawClient
}

/** Numbers that a receiver has when all is over. */
function expected({ overflow, receiver, limit, total }: Case): number[] {
  const sent = receiver === 'absent' ? 0 : WINDOW
  if (overflow === 'drop-oldest') return [...numbers(0, sent), ...numbers(total - limit, total)]
  return numbers(0, sent + limit)
}

async function scene(t: TestContext, receiver: Receiver, options: StoredHubOptions): Promise<Scene> {
  const stored = await StoredHub.start(t, { ...options, settings: { window: WINDOW, ...options.settings } })
  const publisher = await stored.guest('publisher')
  const device = receiver === 'deaf, clean' ? await stored.guest('device') : await stored.kept('device', false)
  await device.subscribe(FILTER)
  if (receiver !== 'absent') return { stored, device, publisher }
  await stored.leave(device, 'device')
  return { stored, device: null, publisher }
}

async function drain({ stored, device }: Scene): Promise<number[]> {
  return stored.drain(device ?? (await stored.kept('device', true)), 'device')
}

function counters({ stored }: Scene): StoredHub['hub']['state']['counters'] {
  return stored.hub.state.counters
}

/** Lets the hub drop what is too many, and says how often it told of it. */
async function dropped(at: Scene, count: number): Promise<void> {
  await until(() => counters(at).droppedQueued >= count, `${count} messages are dropped`)
  await at.stored.settled()
  assert.equal(counters(at).droppedQueued, count, 'counters.droppedQueued')
  assert.equal(at.stored.log.count('queue.full'), 1, 'told once')
}

for (const overflow of ['drop-oldest', 'drop-newest'] as const) {
  for (const receiver of ['absent', 'deaf', 'deaf, clean'] as const) {
    suite(`${overflow}, a receiver that is ${receiver}`, () => {
      for (const { limit, total } of SIZES) {
        for (const single of [false, true]) {
          const what = { overflow, receiver, limit, total, single }
          const name = `${total} ${single ? 'messages one by one' : 'messages in runs'}, ${limit} may wait`
          const settings = { overflow, queueMessages: limit }

          test(name, async t => {
            const at = await scene(t, receiver, { settings })
            await at.stored.flood(at.publisher, { topic: 'flood/x', count: total, single })
            const wanted = expected(what)
            if (overflow === 'drop-newest') await dropped(at, total - wanted.length)
            assert.equal(ranges(await drain(at)), ranges(wanted), 'what remains')
            await dropped(at, total - wanted.length)

            await at.stored.flood(at.publisher, { topic: 'flood/x', count: 1 })
            assert.equal(counters(at).droppedQueued, total - wanted.length, 'there is room again')
          })

          if (receiver === 'deaf, clean') continue
          test(`${name}, then a restart`, async t => {
            const at = await scene(t, receiver, { settings })
            await at.stored.flood(at.publisher, { topic: 'flood/x', count: total, single })
            await at.stored.restart()
            assert.equal(ranges(await drain({ ...at, device: null })), ranges(expected(what)), 'what remains')
            await at.stored.stop()
            assert.equal((await at.stored.contents()).count('qmk'), 0, 'nothing is left on disk')
          })
        }
      }
    })
  }
}

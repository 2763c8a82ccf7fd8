import { setTimeout as sleep } from 'node:timers/promises'
import { type PacketSink, refusePuback, refusePublish } from '../e2e/load/client.ts'
import { ClientGroup } from '../e2e/load/client-group.ts'
import { publishPacket } from '../e2e/load/packets.ts'
import type { Chain } from './load/job.ts'

const LIMIT_MS = 20_000
const EACH_MS = 100
/** So long after the last one no further one is under way. */
const QUIET_MS = 300

/** Resolves when messages of each of these topics come through, and none is under way any more. */
export async function untilForwarding(chain: Chain, topics: readonly string[], filter: string): Promise<void> {
  const sources = new ClientGroup({ ...chain.source, pid: chain.forwarder })
  const sinks = new ClientGroup({ ...chain.sink, pid: chain.forwarder })
  const missing = new Set(topics)
  let lastAt = performance.now()
  const sink: PacketSink = {
    publish(_first, bytes, view, at) {
      missing.delete(bytes.toString('utf8', at + 2, at + 2 + view.getUint16(at)))
      lastAt = performance.now()
    },
    puback: refusePuback,
  }
  try {
    const subscriber = sinks.make('bench-probe-sub')
    subscriber.sink = sink
    await subscriber.connect()
    await subscriber.subscribe(filter, 0)
    const publisher = sources.make('bench-probe-pub')
    publisher.sink = { publish: refusePublish, puback: refusePuback }
    await publisher.connect()
    const deadline = performance.now() + LIMIT_MS
    while (missing.size > 0) {
      if (performance.now() > deadline) {
        throw new Error(`after ${LIMIT_MS / 1000} s nothing has come through of ${[...missing].slice(0, 3).join(', ')}`)
      }
      publisher.writeAll([...missing].map(probePacket))
      await sinks.unlessOneFails(sources.unlessOneFails(sleep(EACH_MS)))
    }
    while (performance.now() - lastAt < QUIET_MS) await sleep(QUIET_MS / 3)
  } finally {
    await Promise.all([sources.endAll(), sinks.endAll()])
  }
}

function probePacket(topic: string): Buffer {
  return publishPacket({ topic, payload: Buffer.from('probe'), qos: 0, retain: false, packetId: 0 })
}

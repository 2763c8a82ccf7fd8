import { setTimeout as sleep } from 'node:timers/promises'
import { ClientGroup } from '../e2e/load/client-group.ts'
import type { Target } from '../e2e/load/job.ts'
import { publishPacket } from '../e2e/load/packets.ts'

const LIMIT_MS = 5000
/** How long after the last one that is expected more, which would be too many, may come. */
const AFTERMATH_MS = 50

/** Publishes one message and resolves with the topics under `copy/#` that it comes back as, sorted. */
export async function copiesOf(target: Target, topic: string, expected: number): Promise<string[]> {
  const clients = new ClientGroup(target)
  const topics: string[] = []
  try {
    const client = clients.make('bench-witness')
    await client.connect()
    await clients.unlessOneFails(client.subscribe('copy/#', 1))
    const done = new Promise<void>(resolve => {
      client.sink = {
        publish(_first, bytes, view, at) {
          const from = at + 2
          topics.push(bytes.toString('utf8', from, from + view.getUint16(at)))
          if (topics.length >= expected) resolve()
        },
        puback() {},
      }
    })
    client.write(publishPacket({ topic, payload: Buffer.from('witness'), qos: 1, retain: false, packetId: 99 }))
    const late = new AbortController()
    await clients.unlessOneFails(Promise.race([done, sleep(LIMIT_MS, undefined, { signal: late.signal })]))
    late.abort()
    await sleep(AFTERMATH_MS)
    return topics.sort()
  } finally {
    await clients.endAll()
  }
}

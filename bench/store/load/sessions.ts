import { setTimeout as sleep } from 'node:timers/promises'
import { ClientGroup } from '../../e2e/load/client-group.ts'
import type { Target } from '../../e2e/load/job.ts'

/** How long a broker may take to notice what its clients did last. */
export const SETTLE_MS = 200

export function randomRun(): number {
  return Math.floor(Math.random() * 2 ** 32)
}

/** Makes a session with a QoS 1 subscription that stays behind when its client has gone. */
export async function subscribeAndLeave(
  target: Target,
  { clientId, filter }: { clientId: string; filter: string },
): Promise<void> {
  const clients = new ClientGroup(target)
  try {
    const client = clients.make(clientId, { keepSession: true })
    await client.connect()
    await client.subscribe(filter, 1)
  } finally {
    await clients.endAll()
  }
  await sleep(SETTLE_MS)
}

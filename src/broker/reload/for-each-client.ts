import type { Client } from '../client.ts'
import type { Hub } from '../hub.ts'

/** Does something to every connection. Where it throws, because of a hook or a listener, that connection ends. */
export function forEachClient(hub: Hub, work: (client: Client) => void): void {
  for (const client of hub.connectionSet) {
    if (client.closed) continue
    try {
      work(client)
    } catch (error) {
      client.crashed(error)
    }
  }
}

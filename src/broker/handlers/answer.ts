import type { Client } from '../client.ts'

/** Answers SUBSCRIBE or UNSUBSCRIBE; of a stored session behind what could not be stored yet, while nothing can be. */
export function answer(client: Client, packet: Buffer): void {
  const { store } = client.hub.state
  if (client.log !== null && store !== null && store.commit.failure !== null) {
    store.commit.hold(client).append(packet)
    return
  }
  client.output.control(packet)
  client.markDirty()
}

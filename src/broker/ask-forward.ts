import type { AedesPublishPacket } from 'aedes'
import { messageOf, packetOf } from './aedes-packets.ts'
import type { Client } from './client.ts'
import type { Message } from './message.ts'

/** What the authorizeForward hook makes of a message for this client; null keeps it away. */
export function askForward(client: Client, message: Message): Message | null {
  const { hub } = client
  const packet = packetOf(message, hub)
  const { topic, payload } = packet
  try {
    const answer = hub.authorizeForward(client.face, packet) as AedesPublishPacket | null | undefined
    if (answer === null || answer === undefined) return null
    if (answer.topic === topic && answer.payload === payload) return message
    return messageOf(answer, message.retain)
  } catch (error) {
    // In the middle of a delivery: the other receivers must not miss the message because of this one.
    try {
      client.fail(error instanceof Error ? error : new Error(String(error)))
    } catch (again) {
      client.crashed(again)
    }
    return null
  }
}

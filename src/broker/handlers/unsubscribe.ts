import { topicFilterProblem } from '../../common/index.ts'
import type { Client } from '../client.ts'
import { ProtocolError } from '../protocol-error.ts'
import { answer } from './answer.ts'

/** An UNSUBSCRIBE packet, or what a program asks for with `client.unsubscribe`: then without a messageId. */
export interface UnsubscribeRequest {
  messageId?: number
  unsubscriptions: string[]
}

/** Ends the subscriptions with exactly these filters [MQTT-3.10.4-1]; a filter that is not held is no error. */
export async function applyUnsubscribe(client: Client, request: UnsubscribeRequest): Promise<void> {
  const session = client.session
  if (session === null) return
  const hub = client.hub
  const { topic: limits, closeOnInvalidFilter } = hub.state.settings
  for (const filter of closeOnInvalidFilter ? request.unsubscriptions : []) {
    const problem = topicFilterProblem(filter, limits)
    if (problem !== null) throw new ProtocolError(`unsubscribe topic (${filter}) invalid: it ${problem}`)
  }
  if (!session.clean && hub.link !== null) await hub.link.unsubscribed(client, request.unsubscriptions)
  if (client.closed) return
  for (const filter of request.unsubscriptions) hub.sessions.unsubscribe(session, filter)
  if (session.log !== null) await hub.state.store?.commit.settled()
  if (client.closed) return
  const packetId = request.messageId
  if (packetId !== undefined) {
    // Sent even when nothing was held [MQTT-3.10.4-4] [MQTT-3.10.4-5].
    answer(client, Buffer.from([0xb0, 2, packetId >> 8, packetId & 255]))
  }
  hub.announceUnsubscribe(client, request.unsubscriptions)
}

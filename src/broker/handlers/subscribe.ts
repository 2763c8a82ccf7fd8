import type { Subscription } from 'aedes'
import { topicFilterProblem } from '../../common/index.ts'
import { filterMatches } from '../../router/index.ts'
import { messageOf, numbered } from '../aedes-packets.ts'
import type { Client } from '../client.ts'
import { ask } from '../hooks.ts'
import { ProtocolError } from '../protocol-error.ts'
import type { Session } from '../session.ts'
import { answer } from './answer.ts'

/** A SUBSCRIBE packet, or what a program asks for with `client.subscribe`: then without a messageId. */
export interface SubscribeRequest {
  messageId?: number
  subscriptions: Subscription[]
}

/** The SUBACK return code of a refused filter, section 3.9.3. */
const FAILURE = 128
const MANY_RETAINED = 1000

/** Checks, registers and answers each filter in its place, then sends the retained messages. */
export async function applySubscribe(client: Client, request: SubscribeRequest): Promise<void> {
  const session = client.session
  if (session === null) return
  const { hub, principal } = client
  const granted: (Subscription | null)[] = []
  const filters = new Set(session.subscriptions.keys())
  for (const asked of request.subscriptions) {
    const each = await grant(client, filters, asked)
    if (client.closed) return
    granted.push(each)
    if (each !== null) filters.add(each.topic)
  }
  // Permissions may have been taken away while the hooks were asked.
  if (client.principal !== principal)
    for (const [i, { topic }] of request.subscriptions.entries())
      if (!client.principal.maySubscribe(topic)) granted[i] = null
  const accepted = granted.filter(each => each !== null)
  if (!session.clean && accepted.length > 0 && hub.link !== null)
    await hub.link.subscribed(client, lastOfEach(accepted))
  if (client.closed) return
  for (const { topic, qos } of accepted) hub.sessions.subscribe(session, topic, qos)
  // SUBACK promises it. While nothing can be stored SUBACK waits, but the client is read on: it has acknowledgements.
  if (session.log !== null && accepted.length > 0) await hub.state.store?.commit.settled()
  if (client.closed) return
  const codes = granted.map(each => each?.qos ?? FAILURE)
  if (request.messageId !== undefined) sendSuback(client, request.messageId, codes)
  const result = lastOfEach(
    request.subscriptions.map((asked, i) => ({ ...asked, qos: codes[i] as Subscription['qos'] })),
  )
  hub.announceSubscribe(client, result)
  // What was taken away again meanwhile is not heard.
  const held = lastOfEach(accepted).filter(({ topic }) => session.subscriptions.has(topic))
  await sendRetained(client, session, held)
}

/** The subscription as granted, or null. What the hook throws or calls back with ends the connection. */
async function grant(client: Client, held: ReadonlySet<string>, asked: Subscription): Promise<Subscription | null> {
  const hub = client.hub
  const refused = refusal(client, held, asked.topic)
  if (refused !== null) {
    hub.clientLog.debug(client, 'subscribe.refused', { filter: asked.topic, reason: refused })
    return null
  }
  const answer = await ask<Subscription | null>(done => hub.authorizeSubscribe(client.face, { ...asked }, done))
  if (answer === null || answer === undefined || typeof answer !== 'object') return null
  if (answer.topic !== asked.topic && topicFilterProblem(answer.topic, hub.state.settings.topic) !== null) return null
  return { ...answer, qos: Math.min(answer.qos, 2) as Subscription['qos'] }
}

function refusal(client: Client, held: ReadonlySet<string>, filter: string): string | null {
  const { topic: limits, closeOnInvalidFilter, filters } = client.hub.state.settings
  const problem = topicFilterProblem(filter, limits)
  if (problem !== null) {
    const text = `subscribe topic (${filter}) invalid: it ${problem}`
    if (closeOnInvalidFilter) throw new ProtocolError(text)
    return text
  }
  if (!client.principal.maySubscribe(filter)) return `subscribe topic (${filter}) not permitted`
  if (held.size >= filters && !held.has(filter)) return `more than ${filters} filters of one client (limits.filters)`
  return null
}

/** One return code for each filter asked for, in their order [MQTT-3.9.3-1]. */
function sendSuback(client: Client, packetId: number, codes: number[]): void {
  const remaining = 2 + codes.length
  const head = remaining < 128 ? [remaining] : remaining < 16_384 ? [(remaining & 127) | 128, remaining >> 7] : null
  const length = head ?? [(remaining & 127) | 128, ((remaining >> 7) & 127) | 128, remaining >> 14]
  const packet = Buffer.from([0x90, ...length, packetId >> 8, packetId & 255, ...codes])
  answer(client, packet)
}

/**
 * Sends what is retained for the filters just accepted, never for refused ones: each message once, at the highest QoS
 * of the filters that match it [MQTT-3.3.1-6] [MQTT-3.8.4-3].
 */
async function sendRetained(client: Client, session: Session, accepted: Subscription[]): Promise<void> {
  if (accepted.length === 0) return
  const hub = client.hub
  if (hub.link !== null) {
    for await (const packet of hub.link.retained(accepted.map(each => each.topic))) {
      if (client.closed) return
      const granted = accepted.reduce(
        (qos, each) => (filterMatches(each.topic, packet.topic) ? Math.max(qos, each.qos) : qos),
        -1,
      )
      if (granted < 0) continue // the store may not know that wildcards keep off $ [MQTT-4.7.2-1]
      const qos = Math.min(packet.qos, granted) as 0 | 1 | 2
      const { brokerId: _id, brokerCounter: _counter, ...plain } = packet
      const copy = numbered({ ...plain, qos, retain: true }, hub) // its own number: it waits for this client alone
      if (qos > 0 && !session.clean) await hub.link.enqueueFor(client, copy)
      if (client.closed) return
      session.deliverRetained(messageOf(copy, true), qos)
    }
    return
  }
  // A bridge would carry to its remote what it took from there: by now that may be something older.
  const { messages, stored } = hub.retained.find(accepted, session.isBridge ? session.clientId : '')
  for (const [message, { qos }] of messages) session.deliverRetained(message, Math.min(message.qos, qos))
  const { store } = hub.state
  if (store !== null && stored.size > 0) await hub.retained.feed(client, session, store, stored)
  // The next SUBSCRIBE of a client that asks for everything again and again lets others go first.
  if (messages.size > MANY_RETAINED) await new Promise(resolve => setImmediate(resolve))
}

/** Of several entries with one filter the last counts [MQTT-3.8.4-3]. */
function lastOfEach(subscriptions: Subscription[]): Subscription[] {
  const byFilter = new Map<string, Subscription>()
  for (const each of subscriptions) byFilter.set(each.topic, each)
  return [...byFilter.values()]
}

/** After a session was resumed: what the client may no longer hear is taken away, waiting messages included. */
export async function recheckSubscriptions(client: Client, session: Session): Promise<void> {
  const hub = client.hub
  const revoked: string[] = []
  for (const [filter, qos] of Array.from(session.subscriptions)) {
    const allowed = await stillAllowed(client, filter, qos)
    if (client.closed) break
    // Asked for once more: permissions may have been taken away while the hook was asked.
    if (allowed !== null && client.principal.maySubscribe(filter) && session.subscriptions.has(filter)) {
      hub.sessions.subscribe(session, filter, allowed)
      continue
    }
    revoked.push(filter)
    hub.sessions.unsubscribe(session, filter)
    if (hub.link !== null) await hub.link.unsubscribed(client, [filter])
  }
  if (revoked.length > 0)
    hub.log.info({ clientId: client.id, filters: revoked.length, filter: revoked[0] }, 'subscription.revoked')
  if (revoked.length > 0 || (!client.closed && isAnother(client, session))) session.keepHeard()
}

/** What waited for one principal is not another's. */
function isAnother(client: Client, { principal, log }: Session): boolean {
  if (principal !== null) return principal !== client.principal
  return log !== null && log.principal !== client.principal.name
}

/** The QoS that is still granted, or null. */
async function stillAllowed(client: Client, filter: string, qos: number): Promise<number | null> {
  if (!client.principal.maySubscribe(filter)) return null
  const asked = { topic: filter, qos: qos as Subscription['qos'] }
  const answer = await ask<Subscription | null>(done => client.hub.authorizeSubscribe(client.face, asked, done))
  return answer?.topic === filter ? Math.min(answer.qos, qos) : null
}

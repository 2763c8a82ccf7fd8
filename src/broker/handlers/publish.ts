import { isUtf8 } from 'node:buffer'
import type { PublishPacket } from 'aedes'
import { topicNameProblem } from '../../common/index.ts'
import { PUBACK_BYTE, PUBREC_BYTE } from '../../wire/index.ts'
import { numbered } from '../aedes-packets.ts'
import { isBridgeState } from '../bridge-state.ts'
import type { Client } from '../client.ts'
import { acknowledge } from '../dispatch.ts'
import { ask } from '../hooks.ts'
import { ProtocolError } from '../protocol-error.ts'
import type { Session } from '../session.ts'
import { isNotStored } from '../store/index.ts'

/**
 * PUBLISH when somebody else has a say in it: a hook, a listener of 'publish', a function that subscribed, a plugged
 * persistence or emitter. One message of a connection after the other, acknowledged when all have called back.
 */
export function handleHookedPublish(client: Client, chunk: Buffer, start: number, body: number, end: number): boolean {
  const packet = readPublish(chunk, start, body, end)
  if (typeof packet === 'string') {
    client.fail(new ProtocolError(packet))
    return false
  }
  const counters = client.hub.state.counters
  counters.messagesReceived++
  client.received++
  counters.publishBytesReceived += packet.payload.length
  return client.wait(publish(client, packet))
}

async function publish(client: Client, packet: PublishPacket): Promise<void> {
  const hub = client.hub
  const { topic: limits, dollarTopics } = hub.state.settings
  let problem = topicNameProblem(packet.topic, limits)
  if (problem === null && client.isBridge && isBridgeState(packet.topic) && packet.qos !== 2) {
    if (client.principal.mayPublish(packet.topic))
      await hub.forwardPublish(numbered({ ...packet, qos: 0 }, hub), client)
    if (client.closed) return
    if (packet.qos === 1) acknowledge(client, PUBACK_BYTE, packet.messageId as number, null)
    return
  }
  if (problem === null && !dollarTopics && packet.topic.startsWith('$')) problem = 'starts with $'
  if (problem !== null) throw new ProtocolError(`publish topic (${packet.topic}) invalid: it ${problem}`)
  if (!client.principal.mayPublish(packet.topic))
    throw new ProtocolError(`publish topic (${packet.topic}) not permitted`)
  await ask(done => hub.authorizePublish(client.face, packet, done))
  if (client.closed) return
  try {
    if (packet.qos !== 2) await hub.forwardPublish(numbered(packet, hub), client)
    else await publishOnce(client, client.session as Session, packet)
  } catch (error) {
    if (!isNotStored(error)) throw error
    client.unstored(1)
    return
  }
  if (client.closed || packet.qos === 0) return
  acknowledge(client, packet.qos === 1 ? PUBACK_BYTE : PUBREC_BYTE, packet.messageId as number, null)
}

/** QoS 2: a packet identifier that waits for PUBREL is not published again [MQTT-4.3.3-2]. */
async function publishOnce(client: Client, session: Session, packet: PublishPacket): Promise<void> {
  const hub = client.hub
  const packetId = packet.messageId as number
  const link = hub.link
  if (link !== null && (await link.hasIncoming(client, packetId))) return
  if (!client.receive(packetId)) return hub.state.store?.commit.committed() // of the first copy
  try {
    // Stored before it is published, so that a copy sent after a failure is recognised.
    if (link !== null) await link.storeIncoming(client, packet)
    await hub.forwardPublish(numbered(packet, hub), client, { receiptId: packetId })
  } catch (error) {
    // What was taken on before a hook failed is not taken on again: its receipt is stored with it.
    if (session.log === null || isNotStored(error)) session.receipts.release(packetId)
    throw error
  }
}

/** The packet as an object, or what is wrong with it. */
function readPublish(chunk: Buffer, start: number, body: number, end: number): PublishPacket | string {
  const first = chunk[start] as number
  const qos = (first >> 1) & 3
  if (qos === 3) return 'PUBLISH with QoS 3 [MQTT-3.3.1-4]'
  if (qos === 0 && (first & 8) !== 0) return 'PUBLISH with QoS 0 and DUP [MQTT-3.3.1-2]'
  if (body + 2 > end) return 'PUBLISH is too short [MQTT-3.3.2-1]'
  const topicEnd = body + 2 + chunk.readUInt16BE(body)
  const payloadAt = qos > 0 ? topicEnd + 2 : topicEnd
  if (payloadAt > end) return 'PUBLISH is too short [MQTT-3.3.2-1]'
  const topic = chunk.subarray(body + 2, topicEnd)
  if (!isUtf8(topic)) return 'publish topic is no well-formed UTF-8 [MQTT-1.5.3-1]'
  const packet: PublishPacket = {
    cmd: 'publish',
    retain: (first & 1) !== 0,
    qos: qos as 0 | 1 | 2,
    dup: (first & 8) !== 0,
    length: end - body,
    topic: topic.toString('utf8'),
    payload: Buffer.from(chunk.subarray(payloadAt, end)),
  }
  if (qos > 0) {
    packet.messageId = chunk.readUInt16BE(topicEnd)
    if (packet.messageId === 0) return 'packet identifier is 0 [MQTT-2.3.1-1]'
  }
  return packet
}

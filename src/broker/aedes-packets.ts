import type { AedesPublishPacket, PublishPacket } from 'aedes'
import type { ForwardedCopy } from './forwarding.ts'
import { Message } from './message.ts'

/** What numbers the messages of a broker. */
export interface Numbering {
  readonly id: string
  counter: number
}

const NOTHING = Buffer.alloc(0)

/** A message as hooks, events and plug-ins of aedes see it. */
export function packetOf(message: Message, broker: Numbering): AedesPublishPacket {
  return {
    ...(message.clientId !== '' && { clientId: message.clientId }),
    cmd: 'publish',
    brokerId: message.brokerId === '' ? broker.id : message.brokerId,
    brokerCounter: message.brokerCounter === 0 ? ++broker.counter : message.brokerCounter,
    topic: message.topic,
    payload: message.payload,
    qos: message.qos as 0 | 1 | 2,
    retain: message.retain,
    dup: false,
  }
}

/** A packet that somebody gave to publish(), completed as aedes does: numbered, with all fields. */
export function numbered(packet: PublishPacket, broker: Numbering): AedesPublishPacket {
  const given = packet as Partial<AedesPublishPacket>
  return {
    ...packet,
    cmd: 'publish',
    brokerId: given.brokerId ?? broker.id,
    brokerCounter: given.brokerCounter || ++broker.counter,
    payload: packet.payload ?? NOTHING,
    qos: packet.qos ?? 0,
    retain: packet.retain ?? false,
    dup: packet.dup ?? false,
  }
}

/** What a rule makes of a packet: a packet of its own. */
export function copyOf(
  packet: AedesPublishPacket,
  { topic, qos, retain }: ForwardedCopy,
  broker: Numbering,
): AedesPublishPacket {
  const copy: PublishPacket = {
    cmd: 'publish',
    topic,
    payload: packet.payload,
    qos: qos as 0 | 1 | 2,
    retain,
    dup: false,
  }
  return numbered(copy, broker)
}

/** The message a packet carries, delivered with this RETAIN flag. */
export function messageOf(packet: PublishPacket, retain: boolean): Message {
  const message = Message.of(packet.topic, payloadOf(packet), packet.qos ?? 0, retain)
  const { brokerId, brokerCounter, clientId } = packet as Partial<AedesPublishPacket> & { clientId?: string }
  message.brokerId = brokerId ?? ''
  message.brokerCounter = brokerCounter ?? 0
  message.clientId = clientId ?? ''
  return message
}

export function payloadOf(packet: PublishPacket): Buffer {
  const payload = packet.payload as string | Buffer | undefined
  if (payload === undefined) return NOTHING
  return typeof payload === 'string' ? Buffer.from(payload) : payload
}

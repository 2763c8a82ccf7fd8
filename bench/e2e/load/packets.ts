/** The few MQTT 3.1.1 packets that a load generator sends, as whole byte strings. */

export interface Credentials {
  username: string
  password: string
}

export interface ConnectFields {
  clientId: string
  credentials: Credentials | null
  cleanSession: boolean
}

/** A CONNECT with a keep alive of ten minutes: no measurement is silent for so long. */
export function connectPacket({ clientId, credentials, cleanSession }: ConnectFields): Buffer {
  const flags = (credentials === null ? 0 : 0xc0) | (cleanSession ? 0x02 : 0)
  const fields = [text('MQTT'), Buffer.from([4, flags, 0x02, 0x58]), text(clientId)]
  if (credentials !== null) fields.push(text(credentials.username), text(credentials.password))
  return packet(0x10, fields)
}

export function subscribePacket(packetId: number, filter: string, qos: number): Buffer {
  return packet(0x82, [uint16(packetId), text(filter), Buffer.from([qos])])
}

export function unsubscribePacket(packetId: number, filter: string): Buffer {
  return packet(0xa2, [uint16(packetId), text(filter)])
}

export const DISCONNECT: Buffer = Buffer.from([0xe0, 0])

export interface PublishFields {
  topic: string
  payload: Buffer
  qos: number
  retain: boolean
  /** Left out of the packet at QoS 0. */
  packetId: number
}

export function publishPacket({ topic, payload, qos, retain, packetId }: PublishFields): Buffer {
  const first = 0x30 | (qos << 1) | (retain ? 1 : 0)
  return packet(first, qos === 0 ? [text(topic), payload] : [text(topic), uint16(packetId), payload])
}

/** A topic as a PUBLISH has it: with its length in front. */
export function topicField(topic: string): Buffer {
  return text(topic)
}

function packet(first: number, fields: Buffer[]): Buffer {
  const body = Buffer.concat(fields)
  const head = [first]
  let rest = body.length
  while (rest > 127) {
    head.push((rest & 127) | 128)
    rest >>>= 7
  }
  head.push(rest)
  return Buffer.concat([Buffer.from(head), body])
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([uint16(bytes.length), bytes])
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255])
}

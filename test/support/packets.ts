/**
 * MQTT 3.1.1 packets as bytes, written apart from the code under test so that a mistake there is not repeated here.
 * The encoders put on the wire whatever they are told, valid or not; the decoder accepts only what a server may send.
 */

export type Qos = 0 | 1 | 2

/** The four high bits of a packet's first byte. 0 and 15 are reserved. */
const TYPE = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
} as const

export type Packet =
  | { type: 'connack'; sessionPresent: boolean; returnCode: number }
  | { type: 'publish'; topic: string; payload: Buffer; qos: Qos; dup: boolean; retain: boolean; packetId: number }
  | { type: 'puback'; packetId: number }
  | { type: 'pubrec'; packetId: number }
  | { type: 'pubrel'; packetId: number }
  | { type: 'pubcomp'; packetId: number }
  | { type: 'suback'; packetId: number; returnCodes: number[] }
  | { type: 'unsuback'; packetId: number }
  | { type: 'pingresp' }

export type PacketOf<T extends Packet['type']> = Extract<Packet, { type: T }>

// --- Encoding ---------------------------------------------------------------------------------------------------------

export function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff])
}

/** A length and as many bytes. Bytes are taken as they are, text becomes UTF-8. */
export function field(content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content as string)
  return Buffer.concat([u16(bytes.length), bytes])
}

function remainingLength(length: number): Buffer {
  const bytes: number[] = []
  let rest = length
  do {
    bytes.push((rest % 128) + (rest >= 128 ? 128 : 0))
    rest = Math.floor(rest / 128)
  } while (rest > 0)
  return Buffer.from(bytes)
}

/** A whole packet: first byte, the true remaining length, then `parts`. */
export function packet(firstByte: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([firstByte]), remainingLength(body.length), body])
}

interface WillOptions {
  topic: string | Uint8Array
  payload?: string | Uint8Array
  qos?: number
  retain?: boolean
}

export interface ConnectOptions {
  protocolName?: string | Uint8Array
  protocolLevel?: number
  clientId?: string | Uint8Array
  cleanSession?: boolean
  /** Seconds. */
  keepAlive?: number
  will?: WillOptions
  username?: string | Uint8Array
  password?: string | Uint8Array
  /** Replaces the flags that follow from the other fields. */
  flags?: number
  /** Replaces the fields of the payload. */
  payload?: Uint8Array[]
}

export function connect(options: ConnectOptions = {}): Buffer {
  const { will, username, password } = options
  const flags =
    (options.cleanSession === false ? 0 : 0x02) |
    (will === undefined ? 0 : 0x04 | ((will.qos ?? 0) << 3) | (will.retain === true ? 0x20 : 0)) |
    (password === undefined ? 0 : 0x40) |
    (username === undefined ? 0 : 0x80)
  const payload = [field(options.clientId ?? '')]
  if (will !== undefined) payload.push(field(will.topic), field(will.payload ?? ''))
  if (username !== undefined) payload.push(field(username))
  if (password !== undefined) payload.push(field(password))
  return packet(
    TYPE.connect << 4,
    field(options.protocolName ?? 'MQTT'),
    Buffer.from([options.protocolLevel ?? 4, options.flags ?? flags]),
    u16(options.keepAlive ?? 0),
    ...(options.payload ?? payload),
  )
}

export interface PublishOptions {
  topic: string | Uint8Array
  payload?: string | Uint8Array
  qos?: number
  dup?: boolean
  retain?: boolean
  /** Left out of the packet at QoS 0. Default 1. */
  packetId?: number
}

export function publish(options: PublishOptions): Buffer {
  const qos = options.qos ?? 0
  const flags = (options.dup === true ? 8 : 0) | (qos << 1) | (options.retain === true ? 1 : 0)
  return packet(
    (TYPE.publish << 4) | flags,
    field(options.topic),
    qos === 0 ? Buffer.alloc(0) : u16(options.packetId ?? 1),
    Buffer.from((options.payload ?? '') as string),
  )
}

export const puback = (packetId: number): Buffer => packet(TYPE.puback << 4, u16(packetId))
export const pubrec = (packetId: number): Buffer => packet(TYPE.pubrec << 4, u16(packetId))
export const pubrel = (packetId: number): Buffer => packet((TYPE.pubrel << 4) | 2, u16(packetId))
export const pubcomp = (packetId: number): Buffer => packet(TYPE.pubcomp << 4, u16(packetId))

export type Subscription = [filter: string | Uint8Array, options: number]

export function subscribe(packetId: number, ...subscriptions: Subscription[]): Buffer {
  const parts = subscriptions.map(([filter, options]) => Buffer.concat([field(filter), Buffer.from([options])]))
  return packet((TYPE.subscribe << 4) | 2, u16(packetId), ...parts)
}

export function unsubscribe(packetId: number, ...filters: (string | Uint8Array)[]): Buffer {
  return packet((TYPE.unsubscribe << 4) | 2, u16(packetId), ...filters.map(field))
}

export const pingreq = (): Buffer => packet(TYPE.pingreq << 4)
export const disconnect = (): Buffer => packet(TYPE.disconnect << 4)

// --- Decoding ---------------------------------------------------------------------------------------------------------

/** Cuts a stream of bytes into packets. Throws for anything a server must not send. */
export class PacketDecoder {
  #rest: Buffer = Buffer.alloc(0)

  /** Bytes of an unfinished packet. */
  get pending(): number {
    return this.#rest.length
  }

  push(chunk: Uint8Array): Packet[] {
    this.#rest = Buffer.concat([this.#rest, chunk])
    const packets: Packet[] = []
    for (let size = sizeOfFirst(this.#rest); size !== null; size = sizeOfFirst(this.#rest)) {
      packets.push(decode(this.#rest.subarray(0, size)))
      this.#rest = this.#rest.subarray(size)
    }
    return packets
  }
}

function sizeOfFirst(bytes: Buffer): number | null {
  let length = 0
  for (let i = 1; i <= 4; i++) {
    const byte = bytes[i]
    if (byte === undefined) return null
    length += (byte & 0x7f) * 128 ** (i - 1)
    if (byte < 0x80) return bytes.length < 1 + i + length ? null : 1 + i + length
  }
  throw new Error('the server sent a remaining length of more than four bytes')
}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  u8(): number {
    return this.take(1)[0] as number
  }

  u16(): number {
    return this.take(2).readUInt16BE(0)
  }

  packetId(): number {
    const id = this.u16()
    if (id === 0) throw new Error('the server sent packet identifier 0')
    return id
  }

  take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new Error('the server sent a truncated packet')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  rest(): Buffer {
    return this.take(this.#bytes.length - this.#at)
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new Error('the server sent bytes behind the end of a packet')
  }
}

function decode(bytes: Buffer): Packet {
  const first = bytes[0] as number
  let header = 1
  while ((bytes[header] as number) >= 0x80) header++
  const body = new Reader(bytes.subarray(header + 1))
  const decoded = decodeBody(first >> 4, first & 0x0f, body)
  body.end()
  return decoded
}

function decodeBody(type: number, flags: number, body: Reader): Packet {
  if (type === TYPE.publish) return decodePublish(flags, body)
  const expectedFlags = type === TYPE.pubrel ? 2 : 0
  if (flags !== expectedFlags) throw new Error(`the server sent flags ${flags} in a packet of type ${type}`)
  switch (type) {
    case TYPE.connack: {
      const acknowledge = body.u8()
      if (acknowledge > 1) throw new Error(`the server sent CONNACK flags ${acknowledge}`)
      return { type: 'connack', sessionPresent: acknowledge === 1, returnCode: body.u8() }
    }
    case TYPE.puback:
      return { type: 'puback', packetId: body.packetId() }
    case TYPE.pubrec:
      return { type: 'pubrec', packetId: body.packetId() }
    case TYPE.pubrel:
      return { type: 'pubrel', packetId: body.packetId() }
    case TYPE.pubcomp:
      return { type: 'pubcomp', packetId: body.packetId() }
    case TYPE.suback:
      return { type: 'suback', packetId: body.packetId(), returnCodes: [...body.rest()] }
    case TYPE.unsuback:
      return { type: 'unsuback', packetId: body.packetId() }
    case TYPE.pingresp:
      return { type: 'pingresp' }
    default:
      throw new Error(`the server sent a packet of type ${type}`)
  }
}

function decodePublish(flags: number, body: Reader): Packet {
  const qos = (flags >> 1) & 3
  if (qos === 3) throw new Error('the server sent a PUBLISH of QoS 3')
  const dup = (flags & 8) !== 0
  if (dup && qos === 0) throw new Error('the server sent a PUBLISH of QoS 0 with DUP')
  const topic = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body.take(body.u16()))
  if (topic === '' || /[+#\0]/.test(topic)) throw new Error(`the server sent the topic ${JSON.stringify(topic)}`)
  const packetId = qos === 0 ? 0 : body.packetId()
  return { type: 'publish', topic, payload: body.rest(), qos: qos as Qos, dup, retain: (flags & 1) !== 0, packetId }
}

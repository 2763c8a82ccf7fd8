/** What a client sends, taken apart by what the standard says of it and apart from the code under test. */
import assert from 'node:assert/strict'
import type { Qos } from './packets.ts'

export interface SentConnect {
  readonly type: 'connect'
  readonly protocolName: string
  /** With the bit that bridges set. */
  readonly protocolLevel: number
  readonly flags: number
  readonly cleanSession: boolean
  /** Seconds. */
  readonly keepAlive: number
  readonly clientId: string
  readonly will: {
    readonly topic: string
    readonly payload: string
    readonly qos: number
    readonly retain: boolean
  } | null
  readonly username: string | null
  readonly password: string | null
}

export interface SentPublish {
  readonly type: 'publish'
  readonly topic: string
  readonly payload: Buffer
  readonly qos: Qos
  readonly dup: boolean
  readonly retain: boolean
  /** 0 at QoS 0. */
  readonly packetId: number
}

export type Sent =
  | SentConnect
  | SentPublish
  | { readonly type: 'puback'; readonly packetId: number }
  | { readonly type: 'pubrec'; readonly packetId: number }
  | { readonly type: 'pubrel'; readonly packetId: number }
  | { readonly type: 'pubcomp'; readonly packetId: number }
  | { readonly type: 'subscribe'; readonly packetId: number; readonly subscriptions: readonly [string, number][] }
  | { readonly type: 'unsubscribe'; readonly packetId: number; readonly filters: readonly string[] }
  | { readonly type: 'pingreq' }
  | { readonly type: 'disconnect' }

export type SentOf<T extends Sent['type']> = Extract<Sent, { readonly type: T }>

const ACKNOWLEDGEMENTS = new Map([
  [4, 'puback'],
  [5, 'pubrec'],
  [6, 'pubrel'],
  [7, 'pubcomp'],
] as const)

/** Cuts what a client sends into packets. Throws for what a client must not send. */
export class SentDecoder {
  #rest: Buffer = Buffer.alloc(0)

  push(chunk: Uint8Array): Sent[] {
    this.#rest = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk])
    const packets: Sent[] = []
    let at = 0
    for (;;) {
      const size = sizeAt(this.#rest, at)
      if (size === null) break
      packets.push(decode(this.#rest.subarray(at, at + size)))
      at += size
    }
    this.#rest = this.#rest.subarray(at)
    return packets
  }
}

/** The size of the packet that begins here; null: it is not all here. */
export function sizeAt(bytes: Buffer, at: number): number | null {
  let length = 0
  for (let i = 1; i <= 4; i++) {
    const byte = bytes[at + i]
    if (byte === undefined) return null
    length += (byte & 0x7f) * 128 ** (i - 1)
    if (byte < 0x80) return bytes.length < at + 1 + i + length ? null : 1 + i + length
  }
  throw new Error('the client sent a remaining length of more than four bytes')
}

class Reader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length
  }

  take(length: number): Buffer {
    assert.ok(this.#at + length <= this.#bytes.length, 'the client sent a truncated packet')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  u8(): number {
    return this.take(1)[0] as number
  }

  u16(): number {
    return this.take(2).readUInt16BE(0)
  }

  packetId(): number {
    const id = this.u16()
    assert.notEqual(id, 0, 'the client sent packet identifier 0')
    return id
  }

  text(): string {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.take(this.u16()))
  }

  rest(): Buffer {
    return this.take(this.#bytes.length - this.#at)
  }
}

function decode(bytes: Buffer): Sent {
  const first = bytes[0] as number
  let header = 1
  while ((bytes[header] as number) >= 0x80) header++
  const body = new Reader(bytes.subarray(header + 1))
  const sent = decodeBody(first >> 4, first & 0x0f, body)
  assert.ok(body.isAtEnd, `the client sent bytes behind the end of ${sent.type}`)
  return sent
}

function decodeBody(type: number, flags: number, body: Reader): Sent {
  if (type === 3) return decodePublish(flags, body)
  const wanted = type === 6 || type === 8 || type === 10 ? 2 : 0
  assert.equal(flags, wanted, `the client sent flags ${flags} in a packet of type ${type}`)
  const acknowledgement = ACKNOWLEDGEMENTS.get(type as 4)
  if (acknowledgement !== undefined) return { type: acknowledgement, packetId: body.packetId() }
  switch (type) {
    case 1:
      return decodeConnect(body)
    case 8: {
      const packetId = body.packetId()
      const subscriptions: [string, number][] = []
      while (!body.isAtEnd) subscriptions.push([body.text(), body.u8()])
      assert.ok(subscriptions.length > 0, 'the client sent SUBSCRIBE without a filter')
      return { type: 'subscribe', packetId, subscriptions }
    }
    case 10: {
      const packetId = body.packetId()
      const filters: string[] = []
      while (!body.isAtEnd) filters.push(body.text())
      assert.ok(filters.length > 0, 'the client sent UNSUBSCRIBE without a filter')
      return { type: 'unsubscribe', packetId, filters }
    }
    case 12:
      return { type: 'pingreq' }
    case 14:
      return { type: 'disconnect' }
    default:
      throw new Error(`the client sent a packet of type ${type}`)
  }
}

function decodeConnect(body: Reader): SentConnect {
  const protocolName = body.text()
  const protocolLevel = body.u8()
  const flags = body.u8()
  const keepAlive = body.u16()
  const clientId = body.text()
  const hasWill = (flags & 4) !== 0
  const will = hasWill
    ? { topic: body.text(), payload: body.text(), qos: (flags >> 3) & 3, retain: (flags & 0x20) !== 0 }
    : null
  const username = (flags & 0x80) === 0 ? null : body.text()
  const password = (flags & 0x40) === 0 ? null : body.text()
  const cleanSession = (flags & 2) !== 0
  return {
    type: 'connect',
    protocolName,
    protocolLevel,
    flags,
    cleanSession,
    keepAlive,
    clientId,
    will,
    username,
    password,
  }
}

function decodePublish(flags: number, body: Reader): SentPublish {
  const qos = (flags >> 1) & 3
  assert.notEqual(qos, 3, 'the client sent a PUBLISH of QoS 3')
  const dup = (flags & 8) !== 0
  assert.ok(!dup || qos > 0, 'the client sent a PUBLISH of QoS 0 with DUP')
  const topic = body.text()
  assert.ok(topic !== '' && !/[+#\0]/.test(topic), `the client published to ${JSON.stringify(topic)}`)
  const packetId = qos === 0 ? 0 : body.packetId()
  return { type: 'publish', topic, payload: body.rest(), qos: qos as Qos, dup, retain: (flags & 1) !== 0, packetId }
}

/** Messages among some packets, each as `topic qos payload`, with what else is set. */
export function sentLines(packets: readonly Sent[]): string[] {
  return packets.flatMap(sent => (sent.type === 'publish' ? [lineOf(sent)] : []))
}

export function lineOf({ topic, qos, payload, dup, retain }: Omit<SentPublish, 'type' | 'packetId'>): string {
  return `${topic} ${qos} ${payload.toString()}${dup ? ' DUP' : ''}${retain ? ' RETAIN' : ''}`
}

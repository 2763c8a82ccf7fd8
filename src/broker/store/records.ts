import { crc32 } from 'node:zlib'
import { FREE } from '../inflight.ts'
import { Message, OF_RUN } from '../message.ts'
import { nameOf } from './keys.ts'

/**
 * The values of the database. Each ends with a CRC-32 over its key and the rest of it: LevelDB does not check its own
 * sums when it reads, and a flipped bit must not become somebody's message.
 */
const SUM_BYTES = 4

/** Bytes of a queue entry before its packets. */
const ENTRY_HEAD = 14
const REFERENCE = 1

/** Something stored that can't be what was written. */
export class DamagedRecord extends Error {
  readonly key: Buffer

  constructor(key: Buffer, what: string) {
    super(`${what} of record ${describeKey(key)}`)
    this.key = key
  }
}

/** A key as text for people. */
function describeKey(key: Buffer): string {
  const kind = String.fromCharCode(key[0] as number)
  if (kind === 'r' || kind === 'w' || kind === 'M') return `${kind}:${nameOf(key, 1)}`
  if (kind === 'f' && key.length > 5) return `f:${key.readUInt32BE(1)}:${nameOf(key, 5)}`
  return `${kind}:${key.toString('hex', 1)}`
}

/** A value with room for its sum at the end. */
function withRoom(bytes: number): Buffer {
  return Buffer.allocUnsafe(bytes + SUM_BYTES)
}

function seal(key: Buffer, value: Buffer): Buffer {
  const end = value.length - SUM_BYTES
  value.writeUInt32BE(crc32(value.subarray(0, end), crc32(key)), end)
  return value
}

/** The value without its sum. Throws DamagedRecord when the sum is wrong. */
export function unseal(key: Buffer, value: Buffer): Buffer {
  const end = value.length - SUM_BYTES
  if (end < 0 || value.readUInt32BE(end) !== crc32(value.subarray(0, end), crc32(key)))
    throw new DamagedRecord(key, 'wrong checksum')
  return value.subarray(0, end)
}

/** What a queue entry says of the run of messages it stands for. */
export interface EntryHead {
  /** The packets lie in a record of their own, because other sessions wait for them too. */
  readonly isReference: boolean
  /** The QoS this session gets them with. */
  readonly qos: number
  /** So many messages from the start of the run. */
  readonly count: number
  /** Bytes of their topics and payloads. */
  readonly size: number
  /** When they were published; milliseconds since 1970. */
  readonly time: number
}

/** A queue entry; `packets` null refers to the record of the same number. */
export function encodeEntry(key: Buffer, head: Omit<EntryHead, 'isReference'>, packets: Buffer | null): Buffer {
  const value = withRoom(ENTRY_HEAD + (packets?.length ?? 0))
  value[0] = packets === null ? REFERENCE : 0
  value[1] = head.qos
  value.writeUInt16BE(head.count, 2)
  value.writeUInt32BE(head.size, 4)
  value.writeUIntBE(head.time, 8, 6)
  packets?.copy(value, ENTRY_HEAD)
  return seal(key, value)
}

/** The head of an unsealed queue entry. */
export function entryHead(key: Buffer, value: Buffer): EntryHead {
  if (value.length < ENTRY_HEAD) throw new DamagedRecord(key, 'wrong length')
  return {
    isReference: value[0] === REFERENCE,
    qos: value[1] as number,
    count: value.readUInt16BE(2),
    size: value.readUInt32BE(4),
    time: value.readUIntBE(8, 6),
  }
}

/** The packets that lie in an unsealed queue entry. */
export function entryPackets(value: Buffer): Buffer {
  return value.subarray(ENTRY_HEAD)
}

/** A run of messages that these sessions wait for. */
export function encodeRecord(key: Buffer, holders: readonly number[], packets: Buffer): Buffer {
  const value = withRoom(4 + holders.length * 4 + packets.length)
  value.writeUInt32BE(holders.length, 0)
  for (let i = 0; i < holders.length; i++) value.writeUInt32BE(holders[i] as number, 4 + i * 4)
  packets.copy(value, 4 + holders.length * 4)
  return seal(key, value)
}

/** Sessions and packets of an unsealed record. */
export function decodeRecord(key: Buffer, value: Buffer): { holders: number[]; packets: Buffer } {
  const count = value.length < 4 ? 0 : value.readUInt32BE(0)
  const at = 4 + count * 4
  if (count === 0 || at > value.length) throw new DamagedRecord(key, 'wrong length')
  const holders = Array.from({ length: count }, (_, i) => value.readUInt32BE(4 + i * 4))
  return { holders, packets: value.subarray(at) }
}

/** Numbers and packets of a message as they are kept: a PUBLISH packet. */
export function packetOfMessage(message: Message): Buffer {
  const packet = Buffer.allocUnsafe(message.packetLength(message.qos))
  message.writeTo(packet, 0, message.qos, false, 0)
  return packet
}

/** The first `count` messages of PUBLISH packets that lie one behind the other, numbered from `seq`. */
export function messagesOf(key: Buffer, packets: Buffer, count: number, seq: number): Message[] {
  const messages: Message[] = []
  let at = 0
  for (let i = 0; i < count; i++) {
    if (at + 2 > packets.length) throw new DamagedRecord(key, 'wrong length')
    const first = packets[at] as number
    let remaining = 0
    let shift = 0
    let next = at + 1
    for (;;) {
      const byte = packets[next++]
      if (byte === undefined || shift > 21) throw new DamagedRecord(key, 'wrong length')
      remaining += (byte & 127) << shift
      if (byte < 128) break
      shift += 7
    }
    const end = next + remaining
    const qos = (first >> 1) & 3
    const topicLength = end > packets.length || remaining < 2 ? remaining : packets.readUInt16BE(next)
    const payloadAt = next + 2 + topicLength + (qos > 0 ? 2 : 0)
    if (end > packets.length || payloadAt > end) throw new DamagedRecord(key, 'wrong length')
    const message = new Message(packets, next, payloadAt, end, qos, (first & 1) !== 0, OF_RUN)
    message.seq = seq + i
    messages.push(message)
    at = end
  }
  return messages
}

/** A message that was sent and not acknowledged, as it is kept: `seq` 0 when only PUBCOMP is missing. */
export interface Sent {
  readonly packetId: number
  readonly state: number
  readonly seq: number
}

/** How far a client is. */
export interface Cursor {
  /** Messages from this number on have not been sent. */
  readonly next: number
  /** In the order of sending. */
  readonly sent: readonly Sent[]
}

const STATE_BITS = 3
/** The packet identifier is the one after the last. */
const NEXT_ID = 4
/** The message number is the one after the last. */
const NEXT_SEQ = 8
const NO_SEQ = 16

/** The window as few bytes: one for a message that follows the one before in both of its numbers. */
export function encodeCursor(key: Buffer, { next, sent }: Cursor): Buffer {
  const bytes = Buffer.allocUnsafe(8 + sent.length * 9 + SUM_BYTES)
  bytes.writeUIntBE(next, 0, 6)
  bytes.writeUInt16BE(sent.length, 6)
  let at = 8
  let id = 0
  let seq = 0
  for (const each of sent) {
    let flags = each.state
    if (each.packetId === id + 1) flags |= NEXT_ID
    if (each.seq === 0) flags |= NO_SEQ
    else if (each.seq === seq + 1) flags |= NEXT_SEQ
    bytes[at++] = flags
    if ((flags & NEXT_ID) === 0) at = bytes.writeUInt16BE(each.packetId, at)
    if ((flags & (NO_SEQ | NEXT_SEQ)) === 0) at = bytes.writeUIntBE(each.seq, at, 6)
    id = each.packetId
    if (each.seq > 0) seq = each.seq
  }
  return seal(key, bytes.subarray(0, at + SUM_BYTES))
}

/** The window of an unsealed value. */
export function decodeCursor(key: Buffer, value: Buffer): Cursor {
  try {
    const count = value.readUInt16BE(6)
    const sent: Sent[] = []
    let at = 8
    let packetId = 0
    let last = 0
    for (let i = 0; i < count; i++) {
      const flags = value.readUInt8(at++)
      if ((flags & NEXT_ID) !== 0) packetId++
      else {
        packetId = value.readUInt16BE(at)
        at += 2
      }
      let seq = 0
      if ((flags & NEXT_SEQ) !== 0) seq = last + 1
      else if ((flags & NO_SEQ) === 0) {
        seq = value.readUIntBE(at, 6)
        at += 6
      }
      if (seq > 0) last = seq
      const state = flags & STATE_BITS
      if (state === FREE || packetId === 0) throw new DamagedRecord(key, 'wrong state')
      sent.push({ packetId, state, seq })
    }
    return { next: value.readUIntBE(0, 6), sent }
  } catch (error) {
    if (error instanceof DamagedRecord) throw error
    throw new DamagedRecord(key, 'wrong length')
  }
}

/** Who a kept session is of. */
export interface SessionHead {
  readonly clientId: string
  /** The principal that had it last; what waited for one is not another's. */
  readonly principal: string
  /** When its client went away, milliseconds since 1970; 0: it is connected. */
  readonly leftAt: number
  /** Messages before this number go only where today's subscriptions match: they were revoked, or it was another's. */
  readonly guardedTo: number
  /** Its client is a bridge. */
  readonly isBridge: boolean
}

export function encodeSession(key: Buffer, { isBridge, ...head }: SessionHead): Buffer {
  const text = JSON.stringify(isBridge ? { ...head, isBridge } : head)
  const value = withRoom(Buffer.byteLength(text))
  value.write(text)
  return seal(key, value)
}

export function decodeSession(key: Buffer, value: Buffer): SessionHead {
  try {
    const head = JSON.parse(value.toString()) as Record<string, unknown>
    const { clientId, principal, leftAt, guardedTo, isBridge } = head
    if (typeof clientId !== 'string' || typeof principal !== 'string') throw new DamagedRecord(key, 'wrong content')
    return { clientId, principal, leftAt: Number(leftAt), guardedTo: Number(guardedTo), isBridge: isBridge === true }
  } catch {
    throw new DamagedRecord(key, 'wrong content')
  }
}

/** A value of one byte. */
export function encodeByte(key: Buffer, byte: number): Buffer {
  const value = withRoom(1)
  value[0] = byte
  return seal(key, value)
}

/** Beside the QoS of a retained message: the client id of a bridge follows. */
const OF_BRIDGE = 0x80

export interface StoredRetained {
  readonly qos: number
  /** Client id of the bridge that published it; '': it was none. */
  readonly bridge: string
  readonly payload: Buffer
}

/** A retained message: its QoS, the bridge that published it, if one did, and its payload. */
export function encodeRetained(key: Buffer, qos: number, payload: Uint8Array, bridge: string): Buffer {
  const bridgeBytes = bridge === '' ? 0 : 2 + Buffer.byteLength(bridge)
  const value = withRoom(1 + bridgeBytes + payload.length)
  value[0] = qos
  if (bridgeBytes > 0) {
    value[0] |= OF_BRIDGE
    value.writeUInt16BE(bridgeBytes - 2, 1)
    value.write(bridge, 3)
  }
  value.set(payload, 1 + bridgeBytes)
  return seal(key, value)
}

/** The retained message of an unsealed value. */
export function decodeRetained(key: Buffer, value: Buffer): StoredRetained {
  const [first] = value
  if (first === undefined) throw new DamagedRecord(key, 'wrong length')
  if ((first & OF_BRIDGE) === 0) return { qos: first, bridge: '', payload: value.subarray(1) }
  const end = value.length < 3 ? value.length + 1 : 3 + value.readUInt16BE(1)
  if (end > value.length) throw new DamagedRecord(key, 'wrong length')
  return { qos: first & ~OF_BRIDGE, bridge: value.toString('utf8', 3, end), payload: value.subarray(end) }
}

/** Whose Will it is: the principal of the client, and what rules take for its username. */
export interface WillOwner {
  readonly principal: string
  readonly username: string
}

/** A Will: its PUBLISH packet, and behind it whose it is. */
export function encodeWill(key: Buffer, will: Message, { principal, username }: WillOwner): Buffer {
  return encodeBytes(key, Buffer.concat([packetOfMessage(will), Buffer.from(`${principal}\0${username}`)]))
}

/** Older versions stored no owner: then nobody is known. */
export function decodeWill(key: Buffer, body: Buffer): { will: Message; whose: WillOwner } {
  const [will] = messagesOf(key, body, 1, 0) as [Message]
  const [principal = '', username = ''] = body.toString('utf8', will.end).split('\0')
  return { will, whose: { principal, username } }
}

/** Bytes as they are, sealed. */
export function encodeBytes(key: Buffer, bytes: Uint8Array): Buffer {
  const value = withRoom(bytes.length)
  value.set(bytes)
  return seal(key, value)
}

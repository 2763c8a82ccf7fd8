/**
 * The keys of the database. The first byte is the kind; numbers are big-endian, so that they sort as they count.
 *
 *     M<name>                     what the database is
 *     s<session>                  a session: who it is of
 *     f<session><filter>          a subscription of it
 *     k<session>                  how far its client is: the window, and where waiting begins
 *     i<session><packet id>       a receipt: QoS 2 message whose PUBREL has not come
 *     q<session><message number>  a run of messages that this session waits for
 *     m<message number>           a run of messages that several sessions wait for
 *     r<topic>                    a retained message
 *     w<client id>                the Will of a connected client
 */
export const META = 0x4d
export const SESSION = 0x73
export const FILTER = 0x66
export const CURSOR = 0x6b
export const RECEIPT = 0x69
export const QUEUE = 0x71
export const RECORD = 0x6d
export const RETAINED = 0x72
export const WILL = 0x77

/** Message numbers have six bytes. */
export const LAST_SEQ = 2 ** 48 - 1

export function queueKey(session: number, seq: number): Buffer {
  const key = Buffer.allocUnsafe(11)
  key[0] = QUEUE
  key.writeUInt32BE(session, 1)
  key.writeUIntBE(seq, 5, 6)
  return key
}

export function recordKey(seq: number): Buffer {
  const key = Buffer.allocUnsafe(7)
  key[0] = RECORD
  key.writeUIntBE(seq, 1, 6)
  return key
}

export function sessionKey(session: number): Buffer {
  return numbered(SESSION, session, 5)
}

export function cursorKey(session: number): Buffer {
  return numbered(CURSOR, session, 5)
}

export function receiptKey(session: number, packetId: number): Buffer {
  const key = numbered(RECEIPT, session, 7)
  key.writeUInt16BE(packetId, 5)
  return key
}

export function filterKey(session: number, filter: string): Buffer {
  const key = numbered(FILTER, session, 5 + Buffer.byteLength(filter))
  key.write(filter, 5)
  return key
}

export function retainedKey(topic: string): Buffer {
  return named(RETAINED, topic)
}

export function willKey(clientId: string): Buffer {
  return named(WILL, clientId)
}

/** All keys of one kind: from here to before the next kind. */
export function kindRange(kind: number): { gte: Buffer; lt: Buffer } {
  return { gte: Buffer.from([kind]), lt: Buffer.from([kind + 1]) }
}

/** The session number of a key that has one. */
export function sessionOf(key: Buffer): number {
  return key.readUInt32BE(1)
}

/** The message number of a queue or record key: its last six bytes. */
export function seqOf(key: Buffer): number {
  return key.readUIntBE(key.length - 6, 6)
}

/** The text at the end of a key. */
export function nameOf(key: Buffer, from: number): string {
  return key.toString('utf8', from)
}

function numbered(kind: number, session: number, length: number): Buffer {
  const key = Buffer.allocUnsafe(length)
  key[0] = kind
  key.writeUInt32BE(session, 1)
  return key
}

function named(kind: number, name: string): Buffer {
  const key = Buffer.allocUnsafe(1 + Buffer.byteLength(name))
  key[0] = kind
  key.write(name, 1)
  return key
}

import {
  CURSOR,
  FILTER,
  META,
  nameOf,
  QUEUE,
  RECEIPT,
  RECORD,
  RETAINED,
  SESSION,
  seqOf,
  sessionOf,
  WILL,
} from './keys.ts'

/** Bytes of a key that has no name in it. */
const LENGTHS: ReadonlyMap<number, number> = new Map([
  [SESSION, 5],
  [CURSOR, 5],
  [RECEIPT, 7],
  [QUEUE, 11],
  [RECORD, 7],
])
/** Bytes before the name of a key that has one. */
const NAMES_FROM: ReadonlyMap<number, number> = new Map([
  [FILTER, 5],
  [RETAINED, 1],
  [WILL, 1],
  [META, 1],
])
const SHOWN_BYTES = 24

/** Whether the hub could have made such a key. */
export function isKnownKey(key: Buffer): boolean {
  const kind = key[0] ?? 0
  const length = LENGTHS.get(kind)
  if (length !== undefined) return key.length === length
  const from = NAMES_FROM.get(kind)
  return from !== undefined && key.length > from
}

/** Whether a record of this kind belongs to a session. */
export function isOfSession(kind: number): boolean {
  return kind === FILTER || kind === CURSOR || kind === RECEIPT || kind === QUEUE
}

/** A key as people may understand it. */
export function nameOfKey(key: Buffer): string {
  if (!isKnownKey(key)) {
    const more = key.length > SHOWN_BYTES ? '...' : ''
    return `record of unknown kind ${key.toString('hex', 0, SHOWN_BYTES)}${more}`
  }
  const name = (from: number): string => JSON.stringify(nameOf(key, from))
  switch (key[0] as number) {
    case SESSION:
      return `session ${sessionOf(key)}`
    case FILTER:
      return `subscription ${name(5)} of session ${sessionOf(key)}`
    case CURSOR:
      return `delivery state of session ${sessionOf(key)}`
    case RECEIPT:
      return `receipt of packet ${key.readUInt16BE(5)} of session ${sessionOf(key)}`
    case QUEUE:
      return `queue entry ${seqOf(key)} of session ${sessionOf(key)}`
    case RECORD:
      return `message record ${seqOf(key)}`
    case RETAINED:
      return `retained message ${name(1)}`
    case WILL:
      return `Will of ${name(1)}`
    default:
      return `mark ${name(1)}`
  }
}

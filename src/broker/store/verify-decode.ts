import { CURSOR, FILTER, META, QUEUE, RECEIPT, RECORD, RETAINED, SESSION, WILL } from './keys.ts'
import {
  DamagedRecord,
  decodeCursor,
  decodeRecord,
  decodeRetained,
  decodeSession,
  decodeWill,
  type EntryHead,
  entryHead,
  entryPackets,
  messagesOf,
  unseal,
} from './records.ts'

const MAX_QOS = 2

/** What a record says of itself. */
export interface Decoded {
  /** Of a queue entry. */
  readonly entry: EntryHead | null
  /** Messages of the run in a record; 1 for a retained message or a Will. */
  readonly messages: number
  /** Of a session. */
  readonly clientId: string
}

const NOTHING: Decoded = { entry: null, messages: 0, clientId: '' }

/** Takes a stored value apart as far as the hub ever will. Throws DamagedRecord. */
export function decodeFully(key: Buffer, value: Buffer): Decoded {
  if (key[0] === META) return NOTHING // it has no sum, and was looked at when the database was opened
  const body = unseal(key, value)
  switch (key[0] as number) {
    case SESSION:
      return { ...NOTHING, clientId: decodeSession(key, body).clientId }
    case CURSOR:
      decodeCursor(key, body)
      return NOTHING
    case FILTER:
      if (body.length !== 1) throw new DamagedRecord(key, 'wrong length')
      checkQos(key, body[0])
      return NOTHING
    case RECEIPT:
      if (body.length !== 0) throw new DamagedRecord(key, 'wrong length')
      return NOTHING
    case RECORD:
      return { ...NOTHING, messages: countMessages(key, decodeRecord(key, body).packets) }
    case QUEUE: {
      const entry = entryHead(key, body)
      checkQos(key, entry.qos)
      if (entry.count === 0) throw new DamagedRecord(key, 'wrong content')
      if (!entry.isReference) messagesOf(key, entryPackets(body), entry.count, 0)
      return { ...NOTHING, entry, messages: entry.count }
    }
    case RETAINED:
      checkQos(key, decodeRetained(key, body).qos)
      return { ...NOTHING, messages: 1 }
    case WILL:
      decodeWill(key, body)
      return { ...NOTHING, messages: 1 }
    default:
      throw new DamagedRecord(key, 'unknown kind')
  }
}

/** The messages of a run, one behind the other to its end. */
function countMessages(key: Buffer, packets: Buffer): number {
  let count = 0
  for (let at = 0; at < packets.length; count++)
    at += messagesOf(key, packets.subarray(at), 1, 0)[0]?.end ?? packets.length
  return count
}

function checkQos(key: Buffer, qos: number | undefined): void {
  if (qos === undefined || qos > MAX_QOS) throw new DamagedRecord(key, 'wrong content')
}

/** What is wrong with a record, without its name. */
export function wrongWith(error: DamagedRecord): string {
  const end = error.message.indexOf(' of record ')
  return end === -1 ? error.message : error.message.slice(0, end)
}

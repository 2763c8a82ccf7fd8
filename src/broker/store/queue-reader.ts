import type { Message } from '../message.ts'
import type { Database } from './database.ts'
import { queueKey, recordKey, seqOf } from './keys.ts'
import { DamagedRecord, decodeRecord, type EntryHead, entryHead, entryPackets, messagesOf, unseal } from './records.ts'

const STEP = 32

/** A queue entry as it was read. */
export interface StoredEntry extends EntryHead {
  readonly key: Buffer
  readonly seq: number
  /** All sessions that share the record; null: it is this session's alone. */
  readonly holders: readonly number[] | null
  readonly packets: Buffer
}

/** Reads queues. Rejects with DamagedRecord where what is stored can't be what was written. */
export class QueueReader {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Entries from the message number `from` on, below `before`: until they hold `limit` messages or `bytes`. */
  async read(session: number, from: number, before: number, limit: number, bytes: number): Promise<StoredEntry[]> {
    const range = { gte: queueKey(session, from), lt: queueKey(session, before) }
    const iterator = this.#database.level.iterator(range)
    const found: [Buffer, Buffer][] = []
    try {
      let messages = 0
      let size = 0
      while (messages < limit && size < bytes) {
        const step = await iterator.nextv(STEP)
        if (step.length === 0) break
        for (const pair of step) {
          found.push(pair)
          messages += pair[1].readUInt16BE(2)
          size += pair[1].length
        }
      }
    } finally {
      await iterator.close()
    }
    return this.#resolve(found)
  }

  /** One entry; null when it is not there. */
  async one(session: number, seq: number): Promise<StoredEntry | null> {
    const key = queueKey(session, seq)
    const value = (await this.#database.level.get(key)) as Buffer | undefined
    if (value === undefined) return null
    const [entry] = await this.#resolve([[key, value]])
    return entry ?? null
  }

  /** The messages of an entry, numbered. */
  messages(entry: StoredEntry): Message[] {
    return messagesOf(entry.key, entry.packets, entry.count, entry.seq)
  }

  async #resolve(found: [Buffer, Buffer][]): Promise<StoredEntry[]> {
    const heads = found.map(([key, value]) => {
      const body = unseal(key, value)
      return { key, body, seq: seqOf(key), head: entryHead(key, body) }
    })
    const wanted = heads.filter(({ head }) => head.isReference).map(({ seq }) => recordKey(seq))
    const records = wanted.length === 0 ? [] : await this.#database.level.getMany(wanted)
    let next = 0
    return heads.map(({ key, body, seq, head }) => {
      if (!head.isReference) return { ...head, key, seq, holders: null, packets: entryPackets(body) }
      const recordAt = wanted[next] as Buffer
      const value = records[next++] as Buffer | undefined
      if (value === undefined) throw new DamagedRecord(recordAt, 'absence')
      return { ...head, key, seq, ...decodeRecord(recordAt, unseal(recordAt, value)) }
    })
  }
}

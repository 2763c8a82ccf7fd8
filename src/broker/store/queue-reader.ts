import type { Message } from '../message.ts'
import type { Database } from './database.ts'
import { queueKey, recordKey, seqOf } from './keys.ts'
import { DamagedRecord, decodeRecord, type EntryHead, entryHead, entryPackets, messagesOf, unseal } from './records.ts'

const STEP = 32
const SCAN_BYTES = 1_048_576
const HOLDERS_KEPT = 256

/** A queue entry as it was read. */
export interface StoredEntry extends EntryHead {
  readonly key: Buffer
  readonly seq: number
  /** All sessions that share the record; null: it is this session's alone. */
  readonly holders: readonly number[] | null
  /** Null when only its head was asked for. */
  readonly packets: Buffer | null
}

/** Reads queues. Rejects with DamagedRecord where what is stored can't be what was written. */
export class QueueReader {
  readonly #database: Database
  /** Who shares a record that many throw away one after the other. */
  readonly #holders = new Map<number, readonly number[]>()

  constructor(database: Database) {
    this.#database = database
  }

  /** Entries from the message number `from` on, below `before`: until they hold `limit` messages or `bytes`. */
  async read(session: number, from: number, before: number, limit: number, bytes: number): Promise<StoredEntry[]> {
    return this.#resolve(await this.#scan(session, from, before, limit, bytes))
  }

  /**
   * As read(), without packets: for entries that are to be thrown away. One whose record is gone has no holders; of a
   * record that many sessions share it reads the holders once.
   */
  async heads(session: number, from: number, before: number, limit: number): Promise<StoredEntry[]> {
    const found = await this.#scan(session, from, before, limit, SCAN_BYTES)
    const entries: StoredEntry[] = []
    for (const [key, value] of found) {
      const head = entryHead(key, unseal(key, value))
      const seq = seqOf(key)
      const holders = head.isReference ? await this.#holdersOf(seq) : null
      entries.push({ ...head, key, seq, holders, packets: null })
    }
    return entries
  }

  async #scan(session: number, from: number, before: number, limit: number, most: number): Promise<[Buffer, Buffer][]> {
    const range = { gte: queueKey(session, from), lt: queueKey(session, before) }
    const iterator = this.#database.level.iterator(range)
    const found: [Buffer, Buffer][] = []
    let messages = 0
    let size = 0
    try {
      while (messages < limit && size < most) {
        const step = await iterator.nextv(Math.min(STEP, limit - messages))
        if (step.length === 0) return found
        for (const pair of step) {
          found.push(pair)
          messages += pair[1].readUInt16BE(2)
          size += pair[1].length
        }
      }
      // What an iterator has read last lies outside the heap until it is garbage, unless it has read nothing last.
      iterator.seek(range.lt)
      await iterator.nextv(1)
    } finally {
      await iterator.close()
    }
    return found
  }

  async #holdersOf(seq: number): Promise<readonly number[]> {
    const known = this.#holders.get(seq)
    if (known !== undefined) return known
    const key = recordKey(seq)
    const value = (await this.#database.level.get(key)) as Buffer | undefined
    const holders = value === undefined ? [] : decodeRecord(key, unseal(key, value)).holders
    if (this.#holders.size >= HOLDERS_KEPT) this.#holders.clear()
    this.#holders.set(seq, holders)
    return holders
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
    return entry.packets === null ? [] : messagesOf(entry.key, entry.packets, entry.count, entry.seq)
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

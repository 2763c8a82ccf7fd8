import type { LogReport } from './wal-check.ts'
import { scanLog } from './wal-check.ts'

/** What LevelDB's MANIFEST says of a database: which files belong to it. */
export interface Manifest {
  readonly comparator: string
  /** Write-ahead logs from this number on are recovered from; 0: all there are. */
  readonly logNumber: number
  /** The first batch in these logs has at most this sequence number; null: nothing is known of it. */
  readonly firstAtMost: number | null
  /** Sizes of the tables by their numbers. */
  readonly tables: ReadonlyMap<number, number>
  readonly report: LogReport
}

const COMPARATOR = 1
const LOG_NUMBER = 2
const NEXT_FILE = 3
const LAST_SEQUENCE = 4
const COMPACT_POINTER = 5
const DELETED_FILE = 6
const NEW_FILE = 7
const PREVIOUS_LOG = 9

/** Thrown for a record that is no change of a version. */
export class BadManifest extends Error {}

/** Reads MANIFEST, and a changed one up to its damage. Throws {@link BadManifest} for content that can't be understood. */
export async function readManifest(dir: string, file: string): Promise<Manifest> {
  let comparator = ''
  let logNumber = 0
  let lastSequence = 0
  let firstAtMost: number | null = null
  const tables = new Map<number, number>()
  const record = (bytes: Buffer, offset: number): void => {
    const edit = new Fields(bytes, offset)
    // A change takes files away before it adds some: the same number may go from one level to another.
    const added: [number, number][] = []
    const logBefore = logNumber
    while (!edit.isAtEnd) {
      const tag = edit.number()
      if (tag === COMPARATOR) comparator = edit.text()
      else if (tag === LOG_NUMBER) logNumber = edit.number()
      else if (tag === LAST_SEQUENCE) lastSequence = edit.number()
      else if (tag === NEXT_FILE || tag === PREVIOUS_LOG) edit.number()
      else if (tag === COMPACT_POINTER) {
        edit.number()
        edit.text()
      } else if (tag === DELETED_FILE) {
        edit.number()
        tables.delete(edit.number())
      } else if (tag === NEW_FILE) {
        edit.number()
        added.push([edit.number(), edit.number()])
        edit.text()
        edit.text()
      } else throw new BadManifest(`unknown field ${tag} in the record at byte ${offset}`)
    }
    for (const [number, size] of added) tables.set(number, size)
    // All before that log is in tables by now, and some of it may have been written already.
    if (logNumber !== logBefore) firstAtMost = lastSequence + 1
  }
  const report = await scanLog(dir, file, { isWal: false, record })
  return { comparator, logNumber, firstAtMost, tables, report }
}

/** The fields of a record: numbers in groups of seven bits, and bytes behind their length. */
class Fields {
  readonly #bytes: Buffer
  readonly #offset: number
  #at = 0

  constructor(bytes: Buffer, offset: number) {
    this.#bytes = bytes
    this.#offset = offset
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  number(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined || scale > 2 ** 63) throw this.#bad()
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }

  text(): string {
    const end = this.number() + this.#at
    if (end > this.#bytes.length) throw this.#bad()
    const text = this.#bytes.toString('latin1', this.#at, end)
    this.#at = end
    return text
  }

  #bad(): BadManifest {
    return new BadManifest(`the record at byte ${this.#offset} is cut off`)
  }
}

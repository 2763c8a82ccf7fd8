import {
  areInOrder,
  type BlockHandle,
  compareKeys,
  DELETION,
  entriesOf,
  hasRightSum,
  typeOf,
  userKey,
  Varints,
} from './verify-block.ts'
import { nameOfKey } from './verify-keys.ts'

/**
 * The end of a table says where two blocks are: one that names the filter, and the index, which has an entry for each
 * block with data: a key not below any in the block and below all that follow, and where it lies.
 */
export const FOOTER_BYTES = 48
export const MAGIC = Buffer.from('57fb808b247547db', 'hex')

/** A block with data, as the index has it. */
export interface DataBlock extends BlockHandle {
  /** Of the index. */
  readonly key: Buffer
}

export interface TableProblem {
  /** In the file. */
  readonly offset: number
  readonly what: string
}

export interface TableReport {
  readonly problems: readonly TableProblem[]
  /** Blocks that LevelDB can read, those included in which single records are damaged; null: the index can't be read. */
  readonly usable: readonly DataBlock[] | null
  /** LevelDB would miss, or stumble over, more than single records. */
  readonly needsCut: boolean
}

/** Checks every block of a table against its sum. */
export function checkTable(table: Buffer): TableReport {
  const found = indexOf(table)
  if (typeof found === 'string') {
    return {
      problems: [{ offset: Math.max(table.length - FOOTER_BYTES, 0), what: found }],
      usable: null,
      needsCut: true,
    }
  }
  const problems: TableProblem[] = []
  const usable: DataBlock[] = []
  let needsCut = false
  let before: Buffer | null = null
  for (const block of found.blocks) {
    if (hasRightSum(table, block)) usable.push(block)
    else {
      const marked = readDamaged(table, block, before)
      if (marked === null) needsCut = true
      else usable.push(block)
      problems.push({ offset: block.offset, what: wordsFor(block, before, marked) })
    }
    before = block.key
  }
  const filter = filterProblem(table, found.meta)
  if (filter !== null) problems.push(filter)
  return { problems, usable, needsCut: needsCut || filter !== null }
}

/** Blocks with their keys from the index, and where the filter is named; or what is wrong with these. */
function indexOf(table: Buffer): { blocks: DataBlock[]; meta: BlockHandle } | string {
  const footer = table.subarray(Math.max(table.length - FOOTER_BYTES, 0))
  if (footer.length < FOOTER_BYTES || !footer.subarray(-MAGIC.length).equals(MAGIC))
    return 'it has not the end of a table'
  const fields = new Varints(footer)
  const meta = { offset: fields.next(), size: fields.next() }
  const index = { offset: fields.next(), size: fields.next() }
  if (fields.isBroken || !hasRightSum(table, index)) return 'its index is damaged'
  const blocks: DataBlock[] = []
  for (const { key, value } of entriesOf(table, index) ?? []) {
    const place = new Varints(value)
    blocks.push({ key, offset: place.next(), size: place.next() })
    if (place.isBroken) return 'its index is damaged'
  }
  return { blocks, meta }
}

/**
 * Whether the entries of a block with a wrong sum can all the same be told apart: then their own sums tell which of them
 * are damaged. Returns the keys of those that count as deleted and were not; null when the block can't be read.
 */
function readDamaged(table: Buffer, block: DataBlock, before: Buffer | null): Buffer[] | null {
  const entries = entriesOf(table, block)
  if (entries === null || !areInOrder(entries, before)) return null
  const last = entries.at(-1)
  if (last === undefined || compareKeys(last.key, block.key) > 0) return null
  return entries.filter(({ key, value }) => typeOf(key) === DELETION && value.length > 0).map(({ key }) => userKey(key))
}

function wordsFor(block: DataBlock, before: Buffer | null, marked: readonly Buffer[] | null): string {
  const from = before === null ? 'its first record' : nameOfKey(userKey(before))
  const range = `${from} .. ${nameOfKey(userKey(block.key))}`
  if (marked === null) return `a block of ${block.size} bytes can not be read (${range})`
  const deleted = marked.length === 0 ? '' : `; it has lost ${marked.map(nameOfKey).join(', ')}`
  return `a block of ${block.size} bytes has a wrong checksum (${range})${deleted}`
}

/** With a damaged filter LevelDB does not find what is there. */
function filterProblem(table: Buffer, meta: BlockHandle): TableProblem | null {
  if (!hasRightSum(table, meta)) return { offset: meta.offset, what: 'the block that names its filter is damaged' }
  for (const { value } of entriesOf(table, meta) ?? []) {
    const place = new Varints(value)
    const filter = { offset: place.next(), size: place.next() }
    if (place.isBroken || !hasRightSum(table, filter)) return { offset: filter.offset, what: 'its filter is damaged' }
  }
  return null
}

import { areInOrder, BLOCK_TRAILER, type BlockHandle, entriesOf, varint } from './verify-block.ts'
import { type DataBlock, FOOTER_BYTES, MAGIC, type TableReport } from './verify-table.ts'
import { crc32c, maskCrc32c } from './wal-crc32c.ts'

export interface CutTable {
  readonly table: Buffer
  /** Blocks with data that are in it. */
  readonly kept: number
}

/**
 * A table with the blocks of a damaged one that can be read: where they were, with a new index and without a filter. It
 * has the size that MANIFEST knows, so that nothing else has to be changed; where the new index needs more room it is larger.
 */
export function cutTable(damaged: Buffer, { usable }: Pick<TableReport, 'usable'>, size: number): CutTable {
  const blocks = usable ?? findBlocks(damaged)
  const dataEnd = blocks.reduce((end, block) => Math.max(end, block.offset + block.size + BLOCK_TRAILER), 0)
  const meta = sealBlock(blockOf([]))
  const index = sealBlock(blockOf(blocks))
  const metaAt = { offset: dataEnd, size: meta.length - BLOCK_TRAILER }
  const indexAt = { offset: dataEnd + meta.length, size: index.length - BLOCK_TRAILER }
  const end = indexAt.offset + index.length
  const padding = Buffer.alloc(Math.max(size - end - FOOTER_BYTES, 0))
  const table = Buffer.concat([damaged.subarray(0, dataEnd), meta, index, padding, footerOf(metaAt, indexAt)])
  return { table, kept: blocks.length }
}

/** Blocks from the beginning of a table that has lost its index, up to the first that is damaged. */
function findBlocks(table: Buffer): DataBlock[] {
  const blocks: DataBlock[] = []
  for (let at = 0; at < table.length; ) {
    const end = endOfBlock(table, at)
    if (end === -1) break
    const handle = { offset: at, size: end - at }
    const entries = entriesOf(table, handle)
    const last = entries?.at(-1)
    // Behind the data lie filter and index, which are no such blocks.
    if (entries === null || last === undefined || !areInOrder(entries, blocks.at(-1)?.key ?? null)) break
    blocks.push({ ...handle, key: last.key })
    at = end + BLOCK_TRAILER
  }
  return blocks
}

const STEPS = Int32Array.from({ length: 256 }, (_, i) => ~crc32c(Uint8Array.of(255 ^ i), 0, 1) ^ 0xffffff)

/** Where the block ends that begins at `from`: where its sum lies behind it. -1 when that is nowhere. */
function endOfBlock(table: Buffer, from: number): number {
  let crc = -1
  for (let at = from; at + BLOCK_TRAILER <= table.length; at++) {
    const byte = table[at] as number
    crc = (crc >>> 8) ^ (STEPS[(crc ^ byte) & 255] as number)
    if (byte <= 1 && table.readInt32LE(at + 1) === maskCrc32c(~crc)) return at
  }
  return -1
}

/** The entries of an index, each key as what it has not in common with the one before. */
function blockOf(blocks: readonly DataBlock[]): Buffer {
  const pieces: Buffer[] = []
  let last = Buffer.alloc(0)
  for (const { key, offset, size } of blocks) {
    let shared = 0
    while (shared < last.length && shared < key.length && last[shared] === key[shared]) shared++
    const value = [...varint(offset), ...varint(size)]
    pieces.push(Buffer.from([...varint(shared), ...varint(key.length - shared), value.length]))
    pieces.push(key.subarray(shared), Buffer.from(value))
    last = Buffer.from(key)
  }
  // One entry, the first, that shares nothing with another.
  return Buffer.concat([...pieces, Buffer.from([0, 0, 0, 0, 1, 0, 0, 0])])
}

/** A block with its trailer, not packed. */
function sealBlock(block: Buffer): Buffer {
  const sealed = Buffer.concat([block, Buffer.alloc(BLOCK_TRAILER)])
  sealed.writeInt32LE(maskCrc32c(crc32c(sealed, 0, block.length + 1)), block.length + 1)
  return sealed
}

function footerOf(meta: BlockHandle, index: BlockHandle): Buffer {
  const footer = Buffer.alloc(FOOTER_BYTES)
  footer.set([meta.offset, meta.size, index.offset, index.size].flatMap(varint))
  footer.set(MAGIC, FOOTER_BYTES - MAGIC.length)
  return footer
}

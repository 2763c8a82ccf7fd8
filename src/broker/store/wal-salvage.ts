import { crc32c, endWithCrc32c, maskCrc32c } from './wal-crc32c.ts'
import {
  BATCH_HEAD,
  BLOCK_BYTES,
  endOf,
  FIRST,
  FULL,
  HEADER_BYTES,
  isWhole,
  LAST,
  MIDDLE,
  sequenceOf,
  storedCrc,
} from './wal-fragment.ts'

export interface Salvage {
  /** A log with the batches that are whole, and nothing else. */
  readonly log: Buffer
  /** How many. */
  readonly kept: number
  /** Bytes of the damaged log that are not in it. */
  readonly droppedBytes: number
}

/** Takes from a damaged write-ahead log all that is whole, in its order. */
export function salvageLog(bytes: Buffer): Salvage {
  const batches: Buffer[] = []
  let parts: Buffer[] | null = null
  let sequence = -1
  const take = (batch: Buffer): void => {
    if (batch.length < BATCH_HEAD || sequenceOf(batch, 0) < sequence) return
    sequence = sequenceOf(batch, 0)
    batches.push(batch)
  }
  for (const { type, data } of fragmentsOf(bytes)) {
    if (type === FULL) {
      take(data)
      parts = null
    } else if (type === FIRST) parts = [data]
    else if (type === 0) parts = null
    else parts?.push(data)
    if (type === LAST && parts !== null) {
      take(Buffer.concat(parts))
      parts = null
    }
  }
  const log = writeLog(batches)
  return { log, kept: batches.length, droppedBytes: Math.max(0, bytes.length - log.length) }
}

interface Fragment {
  /** 0 where there is damage. */
  readonly type: number
  readonly data: Buffer
}

function* fragmentsOf(bytes: Buffer): Generator<Fragment> {
  for (let base = 0; base < bytes.length; base += BLOCK_BYTES) {
    const block = bytes.subarray(base, base + BLOCK_BYTES)
    for (let at = 0; block.length - at >= HEADER_BYTES; ) {
      const type = block[at + 6] as number
      const end = isWhole(block, at) ? endOf(block, at) : trueEnd(block, at)
      if (end > 0) yield { type, data: block.subarray(at + HEADER_BYTES, end) }
      else yield { type: 0, data: block.subarray(at, at) }
      // Behind a damaged fragment the next one may lie where it should; else the rest of the block means nothing.
      const next = end > 0 ? end : endOf(block, at)
      if (end <= 0 && (block.length - next < HEADER_BYTES || !isWhole(block, next))) break
      at = next
    }
  }
}

/** The end of a fragment of which only the length is wrong; 0 when there is more wrong. */
function trueEnd(block: Buffer, at: number): number {
  const type = block[at + 6] as number
  if (type < FULL || type > LAST) return 0
  const end = endWithCrc32c(block, at + 6, block.length, storedCrc(block, at))
  return end > at + HEADER_BYTES ? end : 0
}

/** The batches as LevelDB would write them. */
export function writeLog(batches: readonly Buffer[]): Buffer {
  const pieces: Buffer[] = []
  let inBlock = 0
  for (const batch of batches) {
    let at = 0
    do {
      const room = BLOCK_BYTES - inBlock
      if (room < HEADER_BYTES) {
        pieces.push(Buffer.alloc(room))
        inBlock = 0
      }
      const length = Math.min(batch.length - at, BLOCK_BYTES - inBlock - HEADER_BYTES)
      const isEnd = at + length === batch.length
      const type = at === 0 ? (isEnd ? FULL : FIRST) : isEnd ? LAST : MIDDLE
      const piece = Buffer.allocUnsafe(HEADER_BYTES + length)
      piece.writeUInt16LE(length, 4)
      piece[6] = type
      batch.copy(piece, HEADER_BYTES, at, at + length)
      piece.writeInt32LE(maskCrc32c(crc32c(piece, 6, piece.length)), 0)
      pieces.push(piece)
      inBlock += piece.length
      at += length
    } while (at < batch.length)
  }
  return Buffer.concat(pieces)
}

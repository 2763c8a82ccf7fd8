import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { BLOCK_BYTES } from './wal-fragment.ts'
import { type LogFindings, LogScan, type LogScanOptions } from './wal-scan.ts'

/** What one log of a database is like. */
export interface LogReport extends LogFindings {
  /** Its name in the directory. */
  readonly file: string
  readonly bytes: number
}

/** Read at once: memory stays small whatever the log is. */
const CHUNK_BYTES = 32 * BLOCK_BYTES

/** Nothing of such a log counts. */
const AFTER_EMPTY = {
  records: 0,
  wholeBytes: 0,
  damage: { offset: 0, reason: 'the log before it is empty', isTail: false },
}

/** Reads a log of LevelDB from its file; changes nothing. */
export async function scanLog(dir: string, file: string, options: Omit<LogScanOptions, 'size'>): Promise<LogReport> {
  const handle = await open(join(dir, file), 'r')
  try {
    const { size } = await handle.stat()
    const scan = new LogScan({ ...options, size })
    const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size))
    for (let position = 0; position < size; ) {
      const bytes = await fill(handle, chunk, position, size)
      for (let at = 0; at < bytes; at += BLOCK_BYTES) scan.block(chunk.subarray(at, Math.min(at + BLOCK_BYTES, bytes)))
      position += bytes
      // The file is shorter than it was: somebody else is at it.
      if (bytes < chunk.length && position < size) break
    }
    return { file, bytes: size, ...scan.end() }
  } finally {
    await handle.close()
  }
}

/**
 * Reads the write-ahead logs that LevelDB will recover from, in this order. Their batches must be numbered without a gap,
 * and only the last one that holds anything may have an unfinished end. `firstAtMost`: as MANIFEST has it.
 *
 * `mayLack`: the power may have taken what a log held. LevelDB begins another when one is full; so one that is empty has
 * lost all of it, even where the numbers behind it do not tell.
 */
export async function checkWal(
  dir: string,
  files: readonly string[],
  firstAtMost: number | null = null,
  mayLack = false,
): Promise<LogReport[]> {
  const reports: LogReport[] = []
  let nextSequence: number | null = null
  for (const file of files) {
    const report = await scanLog(dir, file, { isWal: true, nextSequence, firstAtMost })
    nextSequence = report.nextSequence
    const isBehindEmpty = mayLack && report.records > 0 && reports.some(before => before.records === 0)
    reports.push(isBehindEmpty ? { ...report, ...AFTER_EMPTY } : report)
  }
  return reports.map((report, index) => {
    const { damage } = report
    const isFollowed = reports.slice(index + 1).some(later => later.records > 0 || later.damage?.isTail === false)
    if (damage === null || !isFollowed) return report
    return { ...report, damage: { ...damage, isTail: false } }
  })
}

async function fill(handle: FileHandle, into: Buffer, position: number, size: number): Promise<number> {
  const wanted = Math.min(into.length, size - position)
  let filled = 0
  while (filled < wanted) {
    const { bytesRead } = await handle.read(into, filled, wanted - filled, position + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return filled
}

import { ClassicLevel } from 'classic-level'
import type { Level } from './database-format.ts'

const MIB = 1 << 20
const MAX_WRITE_BUFFER = 4 * MIB
const MIN_WRITE_BUFFER = MIB

/**
 * How much LevelDB gathers in memory, and in a log, before it makes a table of it: a quarter of the reserve, for a full
 * disk could never be left again if the room that the reserve gives up were too small for what LevelDB has to do:
 *
 * - opening makes tables of the logs, of two when the disk was full as the first was to become a table;
 * - its first compaction takes four such tables, and ten MiB of others, before it deletes any.
 *
 * Larger buffers gain little: 16 MiB take a fifth more messages a second, for half as much memory again.
 */
function writeBufferFor(reserveBytes: number): number {
  if (reserveBytes === 0) return MAX_WRITE_BUFFER
  return Math.max(MIN_WRITE_BUFFER, Math.min(MAX_WRITE_BUFFER, Math.floor(reserveBytes / 4)))
}

/**
 * LevelDB as the store wants it. Opens itself, and not as it should, unless {@link openLevel} follows in the same turn.
 *
 * Its memory is bounded by two write buffers, the block cache, and the tables it has open: those are mapped, so what was
 * read of them counts as resident until the kernel wants it back.
 */
export function makeLevel(dir: string, reserveBytes = 0): Level {
  return new ClassicLevel<Buffer, Buffer>(dir, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    // Messages of machines are text and repeat themselves; snappy costs less than the bytes it saves the flash.
    compression: true,
    cacheSize: 8 * MIB,
    writeBufferSize: writeBufferFor(reserveBytes),
    // LevelDB takes 74 at least: 64 tables and ten other files. Each lies in memory as far as it was read.
    maxOpenFiles: 74,
    // 64 open tables are then at most 128 MiB. Halving it doubles the number of tables and halves what is written a second.
    maxFileSize: 2 * MIB,
  })
}

/** Bytes of the tables that hold data; those that a compaction is writing, or is about to delete, are not among them. */
export function liveTableBytes(level: Level): number {
  const listed = level.getProperty('leveldb.sstables')
  let bytes = 0
  // A line is a number, the size, and the first and last key, escaped.
  for (const [, size] of listed.matchAll(/^ \d+:(\d+)\[/gm)) bytes += Number(size)
  return bytes
}

/** Opens it. `isNew` true: there is no database yet and there must be none; false: there must be one. */
export async function openLevel(level: Level, isNew: boolean): Promise<void> {
  await level.open({ createIfMissing: isNew, errorIfExists: isNew })
}

/**
 * Whether somebody has the database open: asks LevelDB to make a new one, which it refuses in any case, but not before
 * it has tried the lock.
 */
export async function isInUse(dir: string): Promise<boolean> {
  const probe = new ClassicLevel<Buffer, Buffer>(dir)
  try {
    await probe.open({ createIfMissing: false, errorIfExists: true })
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined
    return cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_LOCKED'
  }
  await probe.close()
  return false
}

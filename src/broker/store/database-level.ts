import { ClassicLevel } from 'classic-level'
import type { Level } from './database-format.ts'

const MIB = 1 << 20

/**
 * LevelDB as the store wants it. Opens itself, and not as it should, unless {@link openLevel} follows in the same turn.
 *
 * Its memory is bounded by: two write buffers, the block cache, and the tables it has open. Tables are mapped into
 * memory, so what was read of an open one counts as resident until the kernel wants it back.
 */
export function makeLevel(dir: string): Level {
  return new ClassicLevel<Buffer, Buffer>(dir, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    // Messages of machines are text and repeat themselves; snappy costs less than the bytes it saves the flash.
    compression: true,
    cacheSize: 8 * MIB,
    // Most messages are delivered and deleted before a buffer is full: then they never become a table. More would mean
    // longer recovery and larger tables at level 0.
    writeBufferSize: 16 * MIB,
    // LevelDB takes 74 at least: 64 tables and ten other files.
    maxOpenFiles: 74,
    // 64 open tables are then at most 128 MiB of mapped memory, and a compaction rewrites little at a time.
    maxFileSize: 2 * MIB,
  })
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

import { type FileHandle, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCodeOf } from '../../common/index.ts'
import { walFiles } from './database-check.ts'

/**
 * Waits until all write-ahead logs are on the disk as they are now, older ones first: a later one is of no use where the
 * end of an earlier one is missing. Returns the number of the newest; 0 when there is none.
 */
export async function syncWal(dir: string): Promise<number> {
  const files = walFiles(await readdir(dir), 0)
  for (const file of files) {
    const handle = await openToSync(join(dir, file))
    try {
      await handle?.datasync()
    } finally {
      await handle?.close()
    }
  }
  return Number.parseInt(files.at(-1) ?? '0', 10)
}

/** Null for a log that is gone: what it held is in a table, which LevelDB synced before it removed the log. */
async function openToSync(path: string): Promise<FileHandle | null> {
  try {
    // Some systems sync only what may be written.
    return await open(path, 'r+')
  } catch (cause) {
    if (systemCodeOf(cause) === 'ENOENT') return null
    throw cause
  }
}

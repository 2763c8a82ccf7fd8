import type { Logger } from '../../common/index.ts'
import type { Database } from './database.ts'
import { corrupt, fromLevel } from './database-errors.ts'
import { checkStoreFiles, stoppedStore, withDatabase } from './verify.ts'

export interface CompactReport {
  /** Absolute. */
  readonly dir: string
  /** Bytes of all files but the reserve. */
  readonly before: number
  readonly after: number
}

/**
 * Writes all tables anew without what was deleted. Damaged ones are not touched: a block that is written again has a
 * right checksum, whatever is in it.
 *
 * Throws GatewayError as Database.open does.
 */
export async function compactStore(path: string, log: Logger): Promise<CompactReport> {
  const dir = await stoppedStore(path)
  let damage = ''
  await checkStoreFiles(dir, ({ isProblem, where, what }) => {
    if (isProblem && damage === '') damage = `${where}: ${what}`
  })
  if (damage !== '') throw corrupt(dir, damage)
  return withDatabase(dir, log, async database => {
    const before = await database.usedBytes()
    await compactDatabase(database)
    return { dir, before, after: await database.usedBytes() }
  })
}

/** Compacts. Rejects when LevelDB could not: it does not say so, but takes no writes from then on. */
export async function compactDatabase(database: Database): Promise<void> {
  await database.compact()
  try {
    await database.level.del(Buffer.from('Mnothing'), { sync: true })
  } catch (failure) {
    throw fromLevel(database.dir, failure)
  }
}

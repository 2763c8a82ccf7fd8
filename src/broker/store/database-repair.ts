import { copyFile, mkdir, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { GatewayError } from '../../common/index.ts'
import { checkTables, walFiles } from './database-check.ts'
import { isLocked, levelErrorOf } from './database-errors.ts'
import { restoreFormat, settleFormat } from './database-format.ts'
import { isInUse, makeLevel, openLevel } from './database-level.ts'
import { hasLooseFiles, holdsDatabaseFiles, LOST_DIR, missing, surveyDirectory } from './directory.ts'
import { syncDirectory, writeSynced } from './directory-files.ts'
import { gatherLost } from './directory-lost.ts'
import { lockedBy, readOwner } from './directory-owner.ts'
import { scanLog } from './wal-check.ts'
import { salvageLog } from './wal-salvage.ts'

/** A write-ahead log that was damaged. */
export interface RepairedLog {
  readonly file: string
  /** Batches that are kept. */
  readonly kept: number
  readonly droppedBytes: number
}

/** What a repair did. */
export interface RepairReport {
  readonly logs: readonly RepairedLog[]
  /** True: LevelDB made its list of tables anew, from the tables. What had been deleted lately may be back. */
  readonly isRebuilt: boolean
  /** Where the files are that were replaced; null when none was. */
  readonly originals: string | null
}

/**
 * Makes a damaged database one that opens. Damaged logs keep the batches that are whole; where that is not enough
 * LevelDB makes its list of tables anew. What is replaced goes to the directory `lost`,
 * in the end to one of its own there.
 *
 * LevelDB's own repair takes no lock. So CURRENT is away meanwhile, without which no hub opens a database; a repair that
 * is broken off can be repeated.
 */
export async function repairDatabase(dir: string): Promise<RepairReport> {
  const names = await readdir(dir)
  const hasCurrent = names.includes('CURRENT')
  if (!hasCurrent && !holdsDatabaseFiles(names) && !(await hasLooseFiles(dir))) {
    await surveyDirectory(dir)
    throw missing(dir)
  }
  const lost = join(dir, LOST_DIR)
  try {
    await refuseOthers(dir)
    await mkdir(lost, { recursive: true })
    if (hasCurrent) await takeCurrent(dir)
    const logs = await salvageLogs(dir, lost)
    const isRebuilt = !(hasCurrent && (await opensWithCurrent(dir)))
    if (isRebuilt) {
      await ClassicLevel.repair(dir)
      await tryOpen(dir)
    }
    await syncDirectory(dir)
    const hasOriginals = await hasLooseFiles(dir)
    if (!hasOriginals) await rmdir(lost).catch(() => {})
    return { logs, isRebuilt, originals: hasOriginals ? await gatherLost(dir) : null }
  } catch (failure) {
    if (failure instanceof GatewayError) throw failure
    const cause = levelErrorOf(failure)
    throw new GatewayError(
      'ERR_STORE_IO',
      `the database in ${dir} can not be repaired: ${cause.words}. Replaced files are in ${lost}; the repair can be repeated`,
      { cause: cause.error },
    )
  }
}

async function refuseOthers(dir: string): Promise<void> {
  if (await isInUse(dir)) throw lockedBy(dir, await readOwner(dir))
}

/** Moves CURRENT away, for good only when nobody opened the database at the last moment. */
async function takeCurrent(dir: string): Promise<void> {
  const away = join(dir, LOST_DIR, 'CURRENT')
  await rename(join(dir, 'CURRENT'), away)
  try {
    await refuseOthers(dir)
  } catch (failure) {
    await rename(away, join(dir, 'CURRENT'))
    throw failure
  }
  await syncDirectory(dir)
}

async function salvageLogs(dir: string, lost: string): Promise<RepairedLog[]> {
  const repaired: RepairedLog[] = []
  for (const file of walFiles(await readdir(dir), 0)) {
    if ((await scanLog(dir, file, { isWal: true })).damage === null) continue
    const path = join(dir, file)
    // LevelDB moves logs to the same place under their own names.
    await copyFile(path, join(lost, `${file}.damaged`))
    const { log, kept, droppedBytes } = salvageLog(await readFile(path))
    await writeSynced(`${path}.tmp`, log)
    await rename(`${path}.tmp`, path)
    repaired.push({ file, kept, droppedBytes })
  }
  return repaired
}

/** Puts CURRENT back and tries whether the rest is sound; else takes it away again. */
async function opensWithCurrent(dir: string): Promise<boolean> {
  const away = join(dir, LOST_DIR, 'CURRENT')
  await copyFile(away, join(dir, 'CURRENT'))
  try {
    // The logs are whole by now. Numbers may be missing where batches were dropped, which LevelDB does not mind.
    await checkTables(dir, await readdir(dir))
    await tryOpen(dir)
    await rm(away)
    return true
  } catch (failure) {
    const isDamage = failure instanceof GatewayError ? failure.code === 'ERR_STORE_CORRUPT' : !isLocked(failure)
    if (!isDamage) throw failure
    await takeCurrent(dir)
    return false
  }
}

/** Opens and closes it; LevelDB then has its logs in tables. */
async function tryOpen(dir: string): Promise<void> {
  const level = makeLevel(dir)
  await openLevel(level, false)
  try {
    await restoreFormat(level)
    await settleFormat(dir, level)
  } finally {
    await level.close()
  }
}

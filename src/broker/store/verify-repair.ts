import { readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { GatewayError, type Logger } from '../../common/index.ts'
import { Database, type Level } from './database.ts'
import { checkDatabase } from './database-check.ts'
import { corrupt, foreign } from './database-errors.ts'
import { makeLevel, openLevel } from './database-level.ts'
import type { RepairReport } from './database-repair.ts'
import { syncDirectory, writeSynced } from './directory-files.ts'
import { keepLost, makeLost, syncLost } from './directory-lost.ts'
import { readOwner } from './directory-owner.ts'
import { META } from './keys.ts'
import { unseal } from './records.ts'
import { checkStoreFiles, type StoreFinding, stoppedStore, verifyStore, withDatabase } from './verify.ts'
import { compactDatabase } from './verify-compact.ts'
import { cutTable } from './verify-cut.ts'
import type { FileReport } from './verify-files.ts'
import { LossCount, type Losses } from './verify-losses.ts'
import { scanRecords } from './verify-records.ts'

export interface StoreRepair {
  /** Absolute. */
  readonly dir: string
  /** What was wrong with the files. */
  readonly findings: readonly StoreFinding[]
  /** Tables of which only a part could be kept. */
  readonly cut: readonly { readonly file: string; readonly kept: number }[]
  readonly logs: RepairReport['logs']
  /** LevelDB made its list of tables anew: what had been deleted lately may be back. */
  readonly isRebuilt: boolean
  /** Records that were removed then. */
  readonly losses: Losses
  /** Directories with the files that were replaced, as they were. */
  readonly originals: readonly string[]
}

const BATCH = 1000

/**
 * Makes a damaged database one that a hub starts with: keeps what is whole of damaged files, then removes the records
 * that are damaged or refer to such.
 *
 * Throws GatewayError as {@link Database.open} does; ERR_STORE_CORRUPT when something is damaged even then.
 */
export async function repairStore(path: string, log: Logger): Promise<StoreRepair> {
  const dir = await stoppedStore(path)
  const findings: StoreFinding[] = []
  const tables = await checkStoreFiles(dir, finding => findings.push(finding))
  const { cut, originals: kept } = await cutTables(dir, tables)
  const isCertain = await isOurs(dir, log)
  const { logs, isRebuilt, originals } = await Database.repair(dir)
  const losses = await withDatabase(dir, log, async database => {
    const removed = await removeDamaged(database, isCertain)
    // A table with a damaged block is written anew, so that no sum is wrong any more.
    if (removed.records > 0 || findings.length > 0) await compactDatabase(database)
    return removed
  })
  const left: string[] = []
  await verifyStore(dir, ({ isProblem, where, what }) => {
    if (isProblem) left.push(`${where}: ${what}`)
  })
  if (left.length > 0) throw corrupt(dir, `${left[0]}, even after the repair`)
  return {
    dir,
    findings,
    cut,
    logs,
    isRebuilt,
    losses,
    originals: [kept, originals].filter(each => each !== null),
  }
}

/** Replaces tables by what can be read of them. Each step leaves a database that is no worse than before. */
async function cutTables(
  dir: string,
  { damaged, badTables }: FileReport,
): Promise<Pick<StoreRepair, 'cut'> & { originals: string | null }> {
  if (damaged.length + badTables.length === 0) return { cut: [], originals: null }
  const originals = await makeLost(dir)
  for (const file of damaged) await keepLost(dir, file, originals)
  await syncLost(dir, originals)
  const cut: { file: string; kept: number }[] = []
  for (const { file, size, isMissing, report } of badTables) {
    const path = join(dir, file)
    const { table, kept } = cutTable(isMissing ? Buffer.alloc(0) : await readFile(path), report, size)
    await writeSynced(`${path}.tmp`, table)
    await rename(`${path}.tmp`, path)
    cut.push({ file, kept })
  }
  await syncDirectory(dir)
  return { cut, originals }
}

/**
 * Whether it is a database of this hub; false when it is too damaged to tell. A mark of the format that can't be read is
 * removed, where records have our sums: the repair marks the database again.
 *
 * Throws ERR_STORE_FOREIGN for one of something else, before anything is lost that `lost` does not keep.
 */
async function isOurs(dir: string, log: Logger): Promise<boolean> {
  // What a hub would do by itself after a loss of power is done as it does it.
  const sync = (await readOwner(dir))?.sync ?? 'always'
  try {
    if (sync === 'always') await checkDatabase(dir)
    if (await removeBadMark(dir)) return true
    await withDatabase(dir, log, async () => {}, sync)
    return true
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'ERR_STORE_CORRUPT') return false
    throw error
  }
}

async function removeBadMark(dir: string): Promise<boolean> {
  const isSound = await checkDatabase(dir).then(
    () => true,
    () => false,
  )
  if (!isSound) return false // opening it as a hub does says what is wrong
  const level = makeLevel(dir)
  try {
    await openLevel(level, false)
    const key = Buffer.from('Mformat')
    const value = await level.get(key)
    if ((value !== undefined && isMark(value)) || !(await hasOurs(level))) return false
    if (value !== undefined) await level.del(key, { sync: true })
    return true
  } catch {
    return false
  } finally {
    await level.close()
  }
}

function isMark(value: Buffer): boolean {
  try {
    const mark = JSON.parse(value.toString()) as { product?: unknown; format?: unknown } | null
    return mark?.product === 'openedge-hub' && Number.isSafeInteger(mark.format)
  } catch {
    return false
  }
}

async function hasOurs(level: Level): Promise<boolean> {
  for await (const [key, value] of level.iterator({ limit: BATCH })) {
    if (key[0] === META) continue
    try {
      unseal(key, value)
      return true
    } catch {
      // Another one may be whole.
    }
  }
  return false
}

async function removeDamaged({ dir, level }: Database, isCertain: boolean): Promise<Losses> {
  const count = new LossCount()
  const keys: Buffer[] = []
  // Entries of a record or a session that is removed are found together with it: one pass is enough.
  const { records } = await scanRecords(level, finding => {
    if (finding.isLeftover) return // the hub does it
    keys.push(finding.key)
    count.add(finding)
  })
  const hasMark = 1
  if (!isCertain && keys.length > 0 && keys.length + hasMark >= records) {
    throw foreign(
      `nothing in ${dir} is known to be of this hub, so nothing was removed. Restore a copy of the directory`,
    )
  }
  await count.name(level)
  for (let at = 0; at < keys.length; at += BATCH) {
    const step = keys.slice(at, at + BATCH).map(key => ({ type: 'del' as const, key }))
    await level.batch(step, { sync: true })
  }
  return count.losses
}

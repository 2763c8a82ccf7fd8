import { readdir } from 'node:fs/promises'
import { GatewayError, type Logger, silentLogger } from '../../common/index.ts'
import { Database } from './database.ts'
import { fromLevel, ioError, levelErrorOf } from './database-errors.ts'
import { isInUse } from './database-level.ts'
import { hasLooseFiles, holdsDatabaseFiles, missing, prepareDirectory, surveyDirectory } from './directory.ts'
import { lockedBy, readOwner, refuseThisProcess, type SyncMode } from './directory-owner.ts'
import { reserveSize } from './directory-reserve.ts'
import { sessionOf } from './keys.ts'
import { checkFiles, type FileReport } from './verify-files.ts'
import { nameOfKey } from './verify-keys.ts'
import { type RecordScan, scanRecords } from './verify-records.ts'

/** Something that a check found. */
export interface StoreFinding {
  /** A file in the directory and the byte in it, or a record. */
  readonly where: string
  readonly what: string
  /** What `repair` does about it; '' for what is no problem. */
  readonly remedy: string
  /** False: what a hub that was killed leaves behind, and the next one puts in order by itself. */
  readonly isProblem: boolean
}

export interface VerifyReport {
  /** Absolute. */
  readonly dir: string
  readonly problems: number
  readonly files: number
  /** Records that were read; null: the files are too damaged to be opened. */
  readonly records: number | null
}

/**
 * Checks all that is stored in a directory and tells of everything that is wrong. Changes nothing but what LevelDB does
 * whenever it is opened: it makes tables of its log.
 *
 * Throws GatewayError as {@link Database.open} does, but for damage.
 */
export async function verifyStore(path: string, tell: (finding: StoreFinding) => void): Promise<VerifyReport> {
  const dir = await stoppedStore(path)
  let problems = 0
  const count = (finding: StoreFinding): void => {
    if (finding.isProblem) problems++
    tell(finding)
  }
  const { files } = await checkStoreFiles(dir, count)
  try {
    const scan = await withDatabase(dir, silentLogger, database => checkRecords(database, count))
    if (scan.unread !== null && problems === 0) {
      count({ where: 'LevelDB', what: scan.unread, remedy: 'repair keeps what can be read', isProblem: true })
    }
    return { dir, problems, files, records: scan.records }
  } catch (error) {
    if (!isDamage(error, problems)) throw error
    const isTold = problems > 0 && error.code === 'ERR_STORE_CORRUPT'
    if (!isTold) count({ where: dir, what: error.message, remedy: 'repair tries to keep the rest', isProblem: true })
    return { dir, problems, files, records: null }
  }
}

/** A mark that is damaged looks like that of something else. */
function isDamage(error: unknown, problems: number): error is GatewayError {
  if (!(error instanceof GatewayError)) return false
  return error.code === 'ERR_STORE_CORRUPT' || (error.code === 'ERR_STORE_FOREIGN' && problems > 0)
}

/** The true path of a directory that has a database, or what is left of one, and that nobody has open. */
export async function stoppedStore(path: string): Promise<string> {
  const dir = await prepareDirectory(path, true)
  await refuseThisProcess(dir)
  const names = await readdir(dir)
  if (!names.includes('CURRENT') && !holdsDatabaseFiles(names) && !(await hasLooseFiles(dir))) {
    await surveyDirectory(dir)
    throw missing(dir)
  }
  await refuseOwner(dir)
  return dir
}

async function refuseOwner(dir: string): Promise<void> {
  if (await isInUse(dir)) throw lockedBy(dir, await readOwner(dir))
}

/** Checks the files. What looks damaged because somebody is writing is no damage, but ERR_STORE_LOCKED. */
export async function checkStoreFiles(dir: string, tell: (finding: StoreFinding) => void): Promise<FileReport> {
  const findings: StoreFinding[] = []
  try {
    const report = await checkFiles(dir, ({ file, offset, what, isProblem }) => {
      const where = offset === null ? file : `${file} at byte ${offset}`
      findings.push({ where, what, isProblem, remedy: isProblem ? 'repair keeps what is whole' : '' })
    })
    if (findings.length > 0) await refuseOwner(dir)
    for (const finding of findings) tell(finding)
    return report
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause
    await refuseOwner(dir)
    throw ioError(`the database in ${dir} can not be read`, cause)
  }
}

async function checkRecords(database: Database, tell: (finding: StoreFinding) => void): Promise<RecordScan> {
  const leftovers = new Map<number, number>()
  const scan = await scanRecords(database.level, ({ key, what, isLeftover }) => {
    if (isLeftover) leftovers.set(sessionOf(key), (leftovers.get(sessionOf(key)) ?? 0) + 1)
    else tell({ where: nameOfKey(key), what, remedy: 'repair removes it', isProblem: true })
  })
  for (const [session, entries] of leftovers) {
    const what = `${entries} queue entries are left, though the session has ended; the hub removes them`
    tell({ where: `session ${session}`, what, remedy: '', isProblem: false })
  }
  return scan
}

/**
 * Opens the database of a stopped hub with the reserve that is there, and closes it again. `sync`: as the hub that had it
 * last, so that what a loss of power took is given up as that hub would; else that is damage.
 */
export async function withDatabase<T>(
  path: string,
  log: Logger,
  work: (database: Database) => Promise<T>,
  sync?: SyncMode,
): Promise<T> {
  const dir = await prepareDirectory(path, true)
  const reserveBytes = (await reserveSize(dir)) ?? 0
  const database = await Database.open({ dir, log, reserveBytes, mustExist: true, ...(sync !== undefined && { sync }) })
  try {
    return await work(database)
  } catch (failure) {
    throw levelErrorOf(failure).code.startsWith('LEVEL_') ? fromLevel(dir, failure) : failure
  } finally {
    await database.close()
  }
}

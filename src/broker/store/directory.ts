import { access, constants, lstat, mkdir, readdir, realpath, stat, statfs } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { GatewayError, messageOf, systemCodeOf } from '../../common/index.ts'
import { corrupt, directoryError, foreign } from './database-errors.ts'
import { syncDirectory } from './directory-files.ts'
import { OWNER_FILE } from './directory-owner.ts'
import { RESERVE_FILE } from './directory-reserve.ts'

/** Where repairs put what they replace: a running one in it, finished ones in directories below it. */
export const LOST_DIR = 'lost'

/** The stores of OpenEdge 0.1.5 in the same place. */
const OLD_STORES: ReadonlySet<string> = new Set(['msgqos1.db', 'offset.db', 'session.db'])
const BESIDE: ReadonlySet<string> = new Set([OWNER_FILE, RESERVE_FILE, LOST_DIR, 'lost+found', ...OLD_STORES])
/** What LevelDB writes before a new database exists. */
const UNFINISHED = /^(?:LOCK|LOG|LOG\.old|MANIFEST-000001|\d+\.dbtmp)$/
const DATA = /^(?:MANIFEST-\d+|\d+\.(?:log|ldb|sst))$/

/** What lies in a directory. */
export interface Contents {
  readonly hasDatabase: boolean
  /** Stores of OpenEdge 0.1.5. */
  readonly oldStores: readonly string[]
}

/**
 * Makes the directory where there is none, and finds its one true path: LevelDB knows its databases by path.
 *
 * Throws ERR_STORE_DIRECTORY when it can't be used; ERR_STORE_MISSING when `mustExist` and there is none.
 */
export async function prepareDirectory(path: string, mustExist: boolean): Promise<string> {
  const dir = resolve(path)
  try {
    if (!mustExist) {
      const made = await mkdir(dir, { recursive: true, mode: 0o755 })
      // The names of new directories are theirs to keep over a power cut like all that goes in.
      if (made !== undefined)
        for (let at = dir; at.length >= made.length; at = dirname(at)) await syncDirectory(dirname(at))
    }
    const real = await realpath(dir)
    if (!(await stat(real)).isDirectory()) throw directoryError(dir, 'it is no directory')
    await access(real, constants.R_OK | constants.W_OK | constants.X_OK)
    return real
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause
    const code = systemCodeOf(cause)
    if (mustExist && code === 'ENOENT') throw missing(dir)
    if (code === 'EEXIST' || code === 'ENOTDIR')
      throw directoryError(dir, 'it, or what it lies in, is no directory', cause)
    throw directoryError(dir, messageOf(cause), cause)
  }
}

/**
 * Looks at what lies in a directory, by name only.
 *
 * Throws ERR_STORE_FOREIGN for files of somebody else, and ERR_STORE_CORRUPT for the remains of a database: LevelDB
 * would make a new one of either, and delete what looks like its own.
 */
export async function surveyDirectory(dir: string): Promise<Contents> {
  const names = await readdir(dir)
  const oldStores = names.filter(name => OLD_STORES.has(name))
  if (names.includes('CURRENT')) return { hasDatabase: true, oldStores }
  const others = names.filter(name => !BESIDE.has(name) && !UNFINISHED.test(name))
  const remains = others.filter(name => DATA.test(name))
  if (remains.length > 0) throw corrupt(dir, `CURRENT is missing beside ${shortList(remains)}`)
  if (await hasLooseFiles(dir)) throw corrupt(dir, `a repair was not finished; the files are in ${join(dir, LOST_DIR)}`)
  if (others.length > 0) {
    throw foreign(
      `${dir} is not empty and holds no database of this hub: there is ${shortList(others)}. ` +
        'Set storage.dir to a directory of its own',
    )
  }
  return { hasDatabase: false, oldStores }
}

/** Whether there are files as LevelDB names them, besides those of a database that was never finished. */
export function holdsDatabaseFiles(names: readonly string[]): boolean {
  return names.some(name => DATA.test(name) && !UNFINISHED.test(name))
}

/** Whether files lie in `lost` itself: of a repair that runs, or was broken off. */
export async function hasLooseFiles(dir: string): Promise<boolean> {
  try {
    return (await readdir(join(dir, LOST_DIR), { withFileTypes: true })).some(entry => entry.isFile())
  } catch (cause) {
    if (systemCodeOf(cause) === 'ENOENT') return false
    throw cause
  }
}

export function missing(dir: string): GatewayError {
  return new GatewayError('ERR_STORE_MISSING', `there is no database in ${dir}. Is it the storage.dir of a hub?`)
}

/**
 * Bytes of the files in a directory, without the reserve. What repairs put aside does not count either: a store that is
 * full could do nothing about it, and refuse messages for it. There is little of it, from the latest repairs only.
 */
export async function bytesOfFiles(dir: string, counts = (_name: string): boolean => true): Promise<number> {
  let bytes = 0
  for (const name of await readdir(dir)) {
    if (name === RESERVE_FILE || !counts(name)) continue
    try {
      const found = await lstat(join(dir, name))
      if (found.isFile()) bytes += found.size
    } catch (cause) {
      // LevelDB deletes tables whenever it likes.
      if (systemCodeOf(cause) !== 'ENOENT') throw cause
    }
  }
  return bytes
}

/** Bytes that this user can still write to the disk of a directory. */
export async function bytesFree(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir)
  return bavail * bsize
}

function shortList(names: readonly string[]): string {
  const shown = names.slice(0, 3).join(', ')
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown
}

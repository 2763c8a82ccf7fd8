import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { GatewayError } from '../../common/index.ts'
import { syncDirectory, writeSynced } from './directory-files.ts'

export const OWNER_FILE = 'owner.json'

/** When a write counts as stored: after fsync, or when the system has it and fsync follows from time to time, or never. */
export type SyncMode = 'always' | 'interval' | 'never'

/** The process that has a database open. */
export interface Owner {
  readonly pid: number
  /** When it started; milliseconds since 1970, with a fraction: with the pid it tells processes apart. */
  readonly started: number
  /** How it writes. What does not say so is taken for `always`, with which nothing may be missing. */
  readonly sync: SyncMode
}

/** This process. The same for all of its threads. */
function thisProcess(): Omit<Owner, 'sync'> {
  return { pid: process.pid, started: performance.timeOrigin }
}

/** Who had the database in `dir` open last; null when nobody said so. It may be gone: LevelDB's lock decides. */
export async function readOwner(dir: string): Promise<Owner | null> {
  try {
    const parsed: unknown = JSON.parse(await readFile(join(dir, OWNER_FILE), 'utf8'))
    if (typeof parsed !== 'object' || parsed === null || !('pid' in parsed) || !('started' in parsed)) return null
    const { pid, started } = parsed
    if (typeof pid !== 'number' || typeof started !== 'number') return null
    const sync = 'sync' in parsed ? parsed.sync : 'always'
    return { pid, started, sync: sync === 'interval' || sync === 'never' ? sync : 'always' }
  } catch {
    return null
  }
}

/** Says that this process has the database open. Lasts before it returns, for it tells what a loss of power may take. */
export async function writeOwner(dir: string, sync: SyncMode): Promise<void> {
  await write(dir, { ...thisProcess(), sync })
}

/** Says that the database is nobody's and did not end well. */
export async function leaveOwner(dir: string, sync: SyncMode): Promise<void> {
  if (isThisProcess(await readOwner(dir))) await write(dir, { pid: process.pid, started: 0, sync })
}

async function write(dir: string, owner: Owner): Promise<void> {
  await writeSynced(join(dir, OWNER_FILE), `${JSON.stringify(owner)}\n`)
  await syncDirectory(dir)
}

/** Removes the file if it is ours. */
export async function removeOwner(dir: string): Promise<void> {
  if (isThisProcess(await readOwner(dir))) await rm(join(dir, OWNER_FILE), { force: true })
}

/**
 * Refuses a directory that this process has open already. LevelDB must not be asked: the lock it takes is the process's,
 * and trying it a second time, under this or another path, gives it up for both.
 */
export async function refuseThisProcess(dir: string): Promise<void> {
  const owner = await readOwner(dir)
  if (isThisProcess(owner)) throw lockedBy(dir, owner)
}

export function lockedBy(dir: string, owner: Owner | null): GatewayError {
  let who = 'another process'
  if (isThisProcess(owner)) who = `this process (pid ${process.pid})`
  else if (owner !== null) who = `the process with pid ${owner.pid}`
  return new GatewayError(
    'ERR_STORE_LOCKED',
    `the database in ${dir} is in use by ${who}. Stop it first, or give this one another storage.dir`,
    { retryable: true },
  )
}

function isThisProcess(owner: Owner | null): boolean {
  const self = thisProcess()
  return owner !== null && owner.pid === self.pid && owner.started === self.started
}

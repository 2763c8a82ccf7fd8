import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GatewayError } from '../../common/index.ts'

export const OWNER_FILE = 'owner.json'

/** The process that has a database open. */
export interface Owner {
  readonly pid: number
  /** When it started; milliseconds since 1970, with a fraction: with the pid it tells processes apart. */
  readonly started: number
}

/** This process. The same for all of its threads. */
function thisProcess(): Owner {
  return { pid: process.pid, started: performance.timeOrigin }
}

/** Who had the database in `dir` open last; null when nobody said so. It may be gone: LevelDB's lock decides. */
export async function readOwner(dir: string): Promise<Owner | null> {
  try {
    const parsed: unknown = JSON.parse(await readFile(join(dir, OWNER_FILE), 'utf8'))
    if (typeof parsed !== 'object' || parsed === null || !('pid' in parsed) || !('started' in parsed)) return null
    const { pid, started } = parsed
    return typeof pid === 'number' && typeof started === 'number' ? { pid, started } : null
  } catch {
    return null
  }
}

export async function writeOwner(dir: string): Promise<void> {
  await writeFile(join(dir, OWNER_FILE), `${JSON.stringify(thisProcess())}\n`)
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

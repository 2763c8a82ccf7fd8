import { randomBytes } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { GatewayError, messageOf, systemCodeOf } from '../common/index.ts'
import { exists } from './plan.ts'

/** A file to be made. */
export interface NewFile {
  readonly name: string
  readonly content: string
  /** True for keys: readable by their owner only. */
  readonly isSecret: boolean
}

/** The names in `dir`; none when it does not exist. */
export async function listFiles(dir: string): Promise<Set<string>> {
  try {
    return new Set(await readdir(dir))
  } catch (cause) {
    if (systemCodeOf(cause) === 'ENOENT') return new Set()
    throw new GatewayError('ERR_CERTS_UNREADABLE', `${dir} can't be read: ${messageOf(cause)}`, { cause })
  }
}

export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new GatewayError('ERR_CERTS_UNREADABLE', `${path} can't be read: ${messageOf(cause)}`, { cause })
  }
}

/**
 * Writes all files or, as far as the disk allows, none. With `force` each file that is there is replaced as a whole, so
 * that a new key never gets the wider permissions of an old one. Returns the paths.
 */
export async function writeFiles(dir: string, files: readonly NewFile[], force: boolean): Promise<string[]> {
  await orUnwritable(dir, mkdir(dir, { recursive: true }))
  const created: string[] = []
  try {
    const moves: [from: string, to: string][] = []
    for (const { name, content, isSecret } of files) {
      const path = join(dir, name)
      const target = force ? `${path}.${randomBytes(6).toString('hex')}.tmp` : path
      const handle = await create(dir, name, target, isSecret ? 0o600 : 0o644)
      created.push(target)
      await orUnwritable(target, writeAndClose(handle, content))
      if (force) moves.push([target, path])
    }
    for (const [from, to] of moves) await orUnwritable(to, rename(from, to))
  } catch (failure) {
    await Promise.all(created.map(path => rm(path, { force: true })))
    throw failure
  }
  return files.map(({ name }) => join(dir, name))
}

/** Opens a file that is not there yet: 'wx' neither replaces one nor follows a link. */
async function create(dir: string, name: string, path: string, mode: number): Promise<FileHandle> {
  try {
    return await open(path, 'wx', mode)
  } catch (cause) {
    throw systemCodeOf(cause) === 'EEXIST' ? exists(dir, [name]) : unwritable(path, cause)
  }
}

async function writeAndClose(handle: FileHandle, content: string): Promise<void> {
  try {
    await handle.writeFile(content)
  } finally {
    await handle.close()
  }
}

async function orUnwritable<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    throw unwritable(path, cause)
  }
}

function unwritable(path: string, cause: unknown): GatewayError {
  return new GatewayError('ERR_CERTS_UNWRITABLE', `${path} can't be written: ${messageOf(cause)}`, { cause })
}

import { copyFile, link, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCodeOf } from '../../common/index.ts'
import { LOST_DIR } from './directory.ts'
import { syncDirectory } from './directory-files.ts'

/** So many repairs keep what they replaced; what older ones kept is removed. */
const REPAIRS = 3

/**
 * Makes the directory for what the next repair replaces, `lost/1`, `lost/2` and so on: a clock may be wrong after a loss
 * of power. Only the latest few stay, so that a device whose power fails often does not fill its disk with them.
 */
export async function makeLost(dir: string): Promise<string> {
  const lost = join(dir, LOST_DIR)
  await mkdir(lost, { recursive: true })
  const numbers = (await readdir(lost))
    .filter(name => /^[1-9]\d{0,14}$/.test(name))
    .map(Number)
    .sort((one, other) => other - one)
  for (const number of numbers.slice(REPAIRS - 1)) await rm(join(lost, String(number)), { recursive: true })
  const made = join(lost, String((numbers[0] ?? 0) + 1))
  await mkdir(made)
  return made
}

/** Puts what a repair left in `lost` itself into a directory of its own; its path. */
export async function gatherLost(dir: string): Promise<string> {
  const lost = join(dir, LOST_DIR)
  const entries = await readdir(lost, { withFileTypes: true })
  const made = await makeLost(dir)
  for (const entry of entries) if (entry.isFile()) await rename(join(lost, entry.name), join(made, entry.name))
  await syncLost(dir, made)
  return made
}

/** Keeps a file in a directory of {@link makeLost} too. It takes no room where the file system knows links. */
export async function keepLost(dir: string, file: string, made: string): Promise<void> {
  const from = join(dir, file)
  const to = join(made, file)
  try {
    await link(from, to)
  } catch (cause) {
    if (systemCodeOf(cause) === 'ENOENT') throw cause
    await copyFile(from, to)
    const handle = await open(to, 'r+')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }
}

/** Makes the names last that were given in a directory of {@link makeLost}. */
export async function syncLost(dir: string, made: string): Promise<void> {
  for (const each of [made, join(dir, LOST_DIR), dir]) await syncDirectory(each)
}

import { open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

export const RESERVE_FILE = 'reserve'

const CHUNK_BYTES = 1 << 20

/** Bytes of the reserve file; null when there is none. */
export async function reserveSize(dir: string): Promise<number | null> {
  const found = await stat(join(dir, RESERVE_FILE)).catch(() => null)
  return found?.isFile() === true ? found.size : null
}

/** Writes it whole: a file with holes would keep no room. Leaves nothing when it fails. */
export async function writeReserve(dir: string, bytes: number): Promise<void> {
  const path = join(dir, RESERVE_FILE)
  try {
    const handle = await open(path, 'w')
    try {
      const zeros = Buffer.alloc(Math.min(CHUNK_BYTES, bytes))
      for (let left = bytes; left > 0; left -= zeros.length)
        await handle.writeFile(zeros.subarray(0, Math.min(left, zeros.length)))
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (failure) {
    await rm(path, { force: true }).catch(() => {})
    throw failure
  }
}

export async function removeReserve(dir: string): Promise<void> {
  await rm(join(dir, RESERVE_FILE), { force: true })
}

import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Bytes that the files below a directory take on disk. Files that come and go meanwhile may be missed. */
export function diskUsage(directory: string): number {
  let bytes = 0
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const entry = lstatSync(join(directory, name), { throwIfNoEntry: false })
    if (entry?.isFile()) bytes += entry.blocks * 512
  }
  return bytes
}

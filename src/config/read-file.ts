import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { messageOf, systemCodeOf } from '../common/index.ts'

/** Ten thousand rules need two; certificates and keys are small. */
export const MAX_FILE_BYTES = 4 * 1024 * 1024
const CHUNK_BYTES = 64 * 1024

export interface SmallFile {
  readonly bytes: Buffer
  /** As in `fs.Stats`. */
  readonly mode: number
}

/** The file, or why it can't be had. Reads little more than is allowed: it may be a pipe or a device without end. */
export function readSmallFile(file: string): SmallFile | string {
  let descriptor: number | undefined
  try {
    descriptor = openSync(file, 'r')
    const { mode } = fstatSync(descriptor)
    const chunks: Buffer[] = []
    let length = 0
    for (;;) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
      const count = readSync(descriptor, chunk)
      if (count === 0) return { bytes: Buffer.concat(chunks, length), mode }
      chunks.push(chunk.subarray(0, count))
      length += count
      if (length > MAX_FILE_BYTES) return TOO_LARGE
    }
  } catch (error) {
    return reasonOf(error)
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

export const TOO_LARGE = 'has more than 4 MiB'

const REASONS: ReadonlyMap<string | undefined, string> = new Map([
  ['ENOENT', 'does not exist'],
  ['ENOTDIR', 'does not exist'],
  ['EACCES', 'may not be read by this user'],
  ['EPERM', 'may not be read by this user'],
  ['EISDIR', 'is a folder'],
])

function reasonOf(error: unknown): string {
  return REASONS.get(systemCodeOf(error)) ?? `can't be read: ${messageOf(error)}`
}

import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { GatewayError, messageOf, systemCodeOf } from '../../common/index.ts'

const REASONS = new Map([
  ['ENOENT', 'there is no such file'],
  ['EACCES', 'the user of this program may not read it'],
])

/**
 * The beginning of a file, at most `maxBytes`. Not by the threads of Node.js: look-ups of names may keep these busy.
 *
 * @throws GatewayError `ERR_BRIDGE_CREDENTIALS_FILE` that names the file
 */
export function readStart(field: string, path: string, maxBytes: number): Buffer {
  try {
    // Opening a pipe would wait for its writer.
    if (!statSync(path).isFile()) throw new Error('it is not a file')
    const file = openSync(path, 'r')
    try {
      const bytes = Buffer.alloc(maxBytes)
      let length = 0
      while (length < maxBytes) {
        const count = readSync(file, bytes, length, maxBytes - length, null)
        if (count === 0) break
        length += count
      }
      return Buffer.from(bytes.subarray(0, length))
    } finally {
      closeSync(file)
    }
  } catch (cause) {
    throw unusable(`can't read ${field} ${path}: ${REASONS.get(systemCodeOf(cause) ?? '') ?? messageOf(cause)}`, cause)
  }
}

export function unusable(message: string, cause?: unknown): GatewayError {
  return new GatewayError('ERR_BRIDGE_CREDENTIALS_FILE', message, { cause })
}

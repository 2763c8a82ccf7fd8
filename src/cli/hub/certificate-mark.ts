import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { HubConfig } from '../../config/index.ts'

/** Changes with the content of the files that `certificate` names, whose names may stay what they are. */
export function certificateMark({ certificate }: Pick<HubConfig, 'certificate'>, baseDir: string): string {
  const hash = createHash('sha256')
  for (const file of [certificate.ca, certificate.cert, certificate.key]) {
    const bytes = file === '' ? null : contentOf(resolve(baseDir, file))
    hash.update(`${bytes?.length ?? 'none'}:`).update(bytes ?? '')
  }
  return hash.digest('base64')
}

/** Null when it can't be read, which who uses the file says better. */
function contentOf(file: string): Buffer | null {
  try {
    return readFileSync(file)
  } catch {
    return null
  }
}

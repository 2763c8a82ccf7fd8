import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const CC = '/usr/bin/cc'
const SOURCE = join(import.meta.dirname, 'slow-fsync.c')

/** Why no fsync can be drawn out here, null when it can. */
export function slowFsyncMissing(): string | null {
  return existsSync(CC) ? null : `${CC} is not there; install a C compiler`
}

/** Makes the library that draws out every fsync and returns the environment of a process that is to use it. */
export function slowFsyncEnvironment(directory: string, fsyncMs: number): Record<string, string> {
  const library = join(directory, 'slow-fsync.so')
  const made = spawnSync(CC, ['-O2', '-shared', '-fPIC', '-o', library, SOURCE, '-ldl'], { encoding: 'utf8' })
  if (made.status !== 0) throw new Error(`${CC} cannot compile ${SOURCE}: ${made.error?.message ?? made.stderr}`)
  return { LD_PRELOAD: library, FSYNC_US: String(fsyncMs * 1000) }
}

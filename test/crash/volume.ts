import { execFileSync } from 'node:child_process'
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const STEPS = [1 << 20, 1 << 12]

/** A small disk: a file system in memory with a size of its own, mounted in a folder. */
export class Volume {
  readonly dir: string
  readonly #filler: string
  readonly #onExit = (): void => this.unmount()
  #isMounted = true

  private constructor(dir: string) {
    this.dir = dir
    this.#filler = join(dir, 'filler')
    process.on('exit', this.#onExit)
  }

  /** Returns the reason when mounting is not permitted. */
  static mount(dir: string, megabytes: number): Volume | string {
    mkdirSync(dir, { recursive: true })
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0700`, 'openedge-crash', dir], {
        stdio: 'pipe',
      })
    } catch (thrown) {
      return `mounting a small file system is not permitted: ${(thrown as Error).message.trim().slice(0, 300)}`
    }
    return new Volume(dir)
  }

  /** Takes all the space that is left. */
  fill(): void {
    const file = openSync(this.#filler, 'a')
    try {
      for (const step of STEPS) {
        const bytes = Buffer.alloc(step)
        while (hasSpaceFor(file, bytes));
      }
    } finally {
      closeSync(file)
    }
  }

  /** Gives all of it back. */
  free(): void {
    const file = openSync(this.#filler, 'a')
    ftruncateSync(file, 0)
    closeSync(file)
    rmSync(this.#filler)
  }

  unmount(): void {
    if (!this.#isMounted) return
    this.#isMounted = false
    process.off('exit', this.#onExit)
    execFileSync('umount', ['-l', this.dir], { stdio: 'pipe' })
  }
}

function hasSpaceFor(file: number, bytes: Buffer): boolean {
  try {
    return writeSync(file, bytes) === bytes.length
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOSPC') return false
    throw thrown
  }
}

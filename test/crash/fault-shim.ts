import { execFileSync } from 'node:child_process'
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'

/** `sync`: fsync and fdatasync fail. `write`: every write fails too. */
export type FaultMode = 'sync' | 'write'

const SOURCE = join(import.meta.dirname, 'fault-shim.c')

/** A library that sits between a process and its disk, compiled for this machine. */
export class FaultShim {
  /** For the process. */
  readonly env: Readonly<Record<string, string>>
  readonly #control: string
  readonly #synced: string

  private constructor(library: string, dir: string, folder: string, remembers: boolean) {
    this.#control = join(dir, 'fault')
    this.#synced = join(dir, 'synced')
    this.env = {
      LD_PRELOAD: library,
      CRASH_DIR: folder,
      CRASH_CONTROL: this.#control,
      ...(remembers ? { CRASH_SYNCED: this.#synced } : {}),
    }
  }

  /**
   * `dir`: for its own files. `folder`: where the disk fails. `remembers`: whether it notes what was synced. Returns the
   * reason when it can't be compiled here.
   */
  static make(dir: string, folder: string, remembers: boolean): FaultShim | string {
    if (process.platform !== 'linux') return 'the library that makes the disk fail is for Linux'
    const library = join(dir, 'fault-shim.so')
    try {
      execFileSync('cc', ['-shared', '-fPIC', '-O2', '-o', library, SOURCE, '-ldl'], { stdio: 'pipe' })
    } catch (thrown) {
      return `cc can not compile fault-shim.c: ${(thrown as Error).message.slice(0, 300)}`
    }
    return new FaultShim(library, dir, folder, remembers)
  }

  /** From now on the disk fails. */
  arm(mode: FaultMode, errno: 'EIO' | 'ENOSPC'): void {
    const draft = `${this.#control}.new`
    writeFileSync(draft, `${mode === 'sync' ? 's' : 'w'} ${constants.errno[errno]}`)
    renameSync(draft, this.#control)
  }

  disarm(): void {
    rmSync(this.#control, { force: true })
  }

  /** Path -> how many bytes of it were surely on the disk, of all that was synced since the last call. */
  takeSynced(): Map<string, number> {
    const sizes = new Map<string, number>()
    let text = ''
    try {
      text = readFileSync(this.#synced, 'utf8')
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown
    }
    for (const [, size, path] of text.matchAll(/^(\d+) (.+)$/gm)) sizes.set(path as string, Number(size))
    rmSync(this.#synced, { force: true })
    return sizes
  }
}

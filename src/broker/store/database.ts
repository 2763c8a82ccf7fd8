import { GatewayError, type Logger, messageOf } from '../../common/index.ts'
import { checkDatabase, type TornTail } from './database-check.ts'
import { existsAlready, fromLevel, ioError, isDiskFull, isLocked } from './database-errors.ts'
import { type Level, settleFormat } from './database-format.ts'
import { isInUse, liveTableBytes, makeLevel, openLevel } from './database-level.ts'
import { type RepairReport, repairDatabase } from './database-repair.ts'
import { type Settlement, settleLogs } from './database-settle.ts'
import { bytesFree, bytesOfFiles, missing, prepareDirectory, surveyDirectory } from './directory.ts'
import { syncDirectory } from './directory-files.ts'
import {
  leaveOwner,
  lockedBy,
  readOwner,
  refuseThisProcess,
  removeOwner,
  type SyncMode,
  writeOwner,
} from './directory-owner.ts'
import { removeReserve, reserveSize, writeReserve } from './directory-reserve.ts'
import { syncWal } from './wal-sync.ts'

export type { Level } from './database-format.ts'

export interface DatabaseOptions {
  /** Made when there is none. */
  readonly dir: string
  readonly log: Logger
  /** Size of the reserve file; 0: none, and one that is there is removed. */
  readonly reserveBytes: number
  /** True: an error when there is no database yet. */
  readonly mustExist?: boolean
  /**
   * How a hub writes in this run. After a run that did not wait for the disk and did not end well, the power may have
   * taken any of what was written last: the database then opens with what lies before the first gap, and a line
   * `store.repaired` tells what was given up. After a run with `always` a gap is damage, and refused.
   *
   * Absent for what only looks at a database: nothing is given up then, and writes count as with `always`.
   */
  readonly sync?: SyncMode
}

/** The reserve is written again when so many times its size is free. */
const TABLE = /\.(?:ldb|sst)$/
const ROOM_FOR_RESERVE = 2

/** The directory of the store: a LevelDB that was checked before it was opened, who owns it, and the reserve. */
export class Database {
  /** Absolute, without symbolic links. */
  readonly dir: string
  readonly #log: Logger
  /** Size of the reserve file; 0: none. */
  readonly reserveBytes: number
  readonly #sync: SyncMode
  /** Number of the newest log whose name is on the disk for sure. */
  #namedLog = 0
  /** One for good, once the directory has been looked at: classic-level leaks a little with each that fails to open. */
  #level: Level | null = null
  #isClosed = false
  /** One after the other: a reserve must not be removed while it is being written. */
  #reserving: Promise<unknown> = Promise.resolve()

  private constructor(dir: string, { log, reserveBytes, sync = 'always' }: DatabaseOptions) {
    this.dir = dir
    this.#log = log
    this.reserveBytes = reserveBytes
    this.#sync = sync
  }

  /**
   * Opens the database of a directory, or makes one.
   *
   * Throws GatewayError: ERR_STORE_DIRECTORY (can't be used), ERR_STORE_MISSING (`mustExist`), ERR_STORE_LOCKED (in use),
   * ERR_STORE_FOREIGN (of something else), ERR_STORE_VERSION (of a newer openedge), ERR_STORE_CORRUPT (damaged, and
   * left as it is), ERR_STORE_IO (the disk). Nothing is open then.
   */
  static async open(options: DatabaseOptions): Promise<Database> {
    const mustExist = options.mustExist === true
    const dir = await prepareDirectory(options.dir, mustExist)
    await refuseThisProcess(dir)
    const { hasDatabase, oldStores } = await surveyDirectory(dir)
    if (mustExist && !hasDatabase) throw missing(dir)
    const database = new Database(dir, options)
    const mayLack = options.sync !== undefined && ((await readOwner(dir))?.sync ?? 'always') !== 'always'
    await database.#open(!hasDatabase, mayLack)
    try {
      if (oldStores.length > 0) {
        const note = 'files of OpenEdge 0.1.5 are left as they are; messages queued there are not carried over'
        options.log.warn({ dir, files: oldStores, note }, 'store.old.ignored')
      }
      await writeOwner(dir, database.#sync).catch(err => options.log.warn({ dir, err }, 'store.owner.unwritten'))
      await settleFormat(dir, database.level)
      await database.#settleReserve()
    } catch (failure) {
      await database.close().catch(() => {})
      throw fromLevel(dir, failure)
    }
    return database
  }

  /**
   * Makes a damaged database one that opens, from what can still be read of it. Nobody may have it open.
   *
   * Throws like {@link open}.
   */
  static async repair(path: string): Promise<RepairReport> {
    const dir = await prepareDirectory(path, true)
    await refuseThisProcess(dir)
    return repairDatabase(dir)
  }

  /** The open LevelDB. While {@link reopen} runs it takes nothing, and rejects with LEVEL_DATABASE_NOT_OPEN. */
  get level(): Level {
    if (this.#level === null) throw new GatewayError('ERR_STORE_CLOSED', `the database in ${this.dir} is not open`)
    return this.#level
  }

  /**
   * Closes LevelDB and opens it again. After a failed write it would refuse the next, or write it behind a torn record,
   * where it would never read it again. May be called again when it fails.
   */
  async reopen(): Promise<void> {
    this.#refuseClosed()
    try {
      await this.#level?.close()
    } catch (failure) {
      throw fromLevel(this.dir, failure)
    }
    // The hub relies on all that it wrote: nothing may be missing now, whatever the mode.
    await this.#open(false, false)
  }

  /**
   * Waits until all that was written before the call is on the disk. For modes in which writes don't wait.
   *
   * Throws ERR_STORE_IO; what is on the disk is then unknown, until {@link reopen} has put all into tables.
   */
  async syncLogs(): Promise<void> {
    try {
      const newest = await syncWal(this.dir)
      if (newest > this.#namedLog) await syncDirectory(this.dir)
      this.#namedLog = Math.max(newest, this.#namedLog)
    } catch (failure) {
      throw ioError(`what was written to ${this.dir} can not be brought to the disk`, failure)
    }
  }

  /** Gives up the reserve file, so that there is room for a while. */
  async releaseReserve(): Promise<void> {
    await this.#reserve(async () => {
      if ((await reserveSize(this.dir)) === null) return
      await removeReserve(this.dir)
      // File systems give room back only when the removal is on the disk.
      await syncDirectory(this.dir)
    })
  }

  /** Writes the reserve file again when there is room for it twice; false when there is not. */
  async restoreReserve(): Promise<boolean> {
    const bytes = this.reserveBytes
    return this.#reserve(async () => {
      if (bytes === 0 || (await reserveSize(this.dir)) === bytes) return true
      if ((await bytesFree(this.dir)) < bytes * ROOM_FOR_RESERVE) return false
      try {
        await writeReserve(this.dir, bytes)
        return true
      } catch (failure) {
        if (isDiskFull(failure)) return false
        throw ioError(`the reserve of ${this.dir} can not be written`, failure)
      }
    })
  }

  /** Bytes that can still be written to the disk. */
  freeBytes(): Promise<number> {
    return bytesFree(this.dir)
  }

  /** Bytes of the files in the directory, without the reserve. */
  usedBytes(): Promise<number> {
    return bytesOfFiles(this.dir)
  }

  /** As usedBytes, without what a compaction has twice for a moment. */
  async liveBytes(): Promise<number> {
    const others = await bytesOfFiles(this.dir, name => !TABLE.test(name))
    return this.#isClosed ? others : others + liveTableBytes(this.level)
  }

  /** Gives back the space of what was deleted, at once. */
  async compact(): Promise<void> {
    await this.level.compactRange(Buffer.from([0]), Buffer.from([255]), { keyEncoding: 'buffer' })
  }

  /**
   * Closes LevelDB, brings the rest to the disk, then says that the directory is nobody's. Idempotent. Where writes do
   * not wait for the disk and that fails, the next run may find a gap, and is told so.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#reserving
    const wasOpen = this.#level?.status === 'open'
    try {
      await this.#level?.close()
    } catch (failure) {
      throw fromLevel(this.dir, failure)
    }
    try {
      if ((await this.#isOnDisk()) && wasOpen) await removeOwner(this.dir)
      else await leaveOwner(this.dir, this.#sync)
    } catch (err) {
      this.#log.warn({ dir: this.dir, err: err as Error }, 'store.owner.left')
    }
  }

  async #isOnDisk(): Promise<boolean> {
    if (this.#sync === 'always') return true
    try {
      await this.syncLogs()
      return true
    } catch (err) {
      this.#log.warn({ dir: this.dir, err: err as Error }, 'store.sync.failed')
      return false
    }
  }

  /** `mayLack`: what was written last may be missing; else that is damage. */
  async #open(isNew: boolean, mayLack: boolean): Promise<void> {
    const { dir } = this
    const tails = isNew ? [] : await this.#check(mayLack)
    try {
      await this.#openLevel(isNew)
    } catch (failure) {
      // A new database that is not new any more: somebody else was faster.
      if (isLocked(failure) || (isNew && existsAlready(failure))) throw lockedBy(dir, await readOwner(dir))
      throw fromLevel(dir, failure)
    }
    for (const tail of tails) this.#log.warn({ dir, ...tail }, 'store.repaired')
    // LevelDB leaves the names of CURRENT and of its new log to chance.
    await syncDirectory(dir)
  }

  async #openLevel(isNew: boolean): Promise<void> {
    // close() may have come while the files were looked at. From here on LevelDB closes behind opening.
    this.#refuseClosed()
    this.#level ??= makeLevel(this.dir, this.reserveBytes)
    const level = this.#level
    await this.#withRoom(() => {
      this.#refuseClosed()
      return openLevel(level, isNew)
    })
  }

  /** Does something once more without the reserve when the disk is full. */
  async #withRoom<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (failure) {
      if (!isDiskFull(failure) || (await reserveSize(this.dir)) === null) throw failure
      this.#log.warn({ dir: this.dir }, 'store.reserve.released')
      await this.releaseReserve()
      return work()
    }
  }

  #refuseClosed(): void {
    if (this.#isClosed) throw new GatewayError('ERR_STORE_CLOSED', `the database in ${this.dir} is closed`)
  }

  async #check(mayLack: boolean): Promise<TornTail[]> {
    try {
      return await checkDatabase(this.dir, mayLack)
    } catch (failure) {
      // Files that change under the eyes look damaged.
      await this.#refuseOthers()
      const isDamage = failure instanceof GatewayError && failure.code === 'ERR_STORE_CORRUPT'
      if (!isDamage || !mayLack) throw failure
      const settlement = await this.#settle()
      if (settlement === null) throw failure
      this.#log.warn({ dir: this.dir, ...settlement }, 'store.repaired')
      return checkDatabase(this.dir, mayLack)
    }
  }

  async #settle(): Promise<Settlement | null> {
    try {
      return await this.#withRoom(() => settleLogs(this.dir, () => this.#refuseOthers()))
    } catch (failure) {
      if (failure instanceof GatewayError) throw failure
      throw ioError(`the logs in ${this.dir} can not be cut off where something is missing`, failure)
    }
  }

  async #refuseOthers(): Promise<void> {
    if (await isInUse(this.dir)) throw lockedBy(this.dir, await readOwner(this.dir))
  }

  async #settleReserve(): Promise<void> {
    const { dir } = this
    const bytes = this.reserveBytes
    const size = await reserveSize(dir)
    if (size === bytes) return
    if (size !== null) await this.releaseReserve()
    try {
      if (await this.restoreReserve()) return
      this.#log.warn({ dir, bytes, free: await this.freeBytes() }, 'store.reserve.missing')
    } catch (failure) {
      this.#log.warn({ dir, bytes, reason: messageOf(failure) }, 'store.reserve.missing')
    }
  }

  #reserve<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#reserving.then(work)
    this.#reserving = done.catch(() => {})
    return done
  }
}

import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { stat, unlink } from 'node:fs/promises'
import { dirname, join, parse, sep } from 'node:path'
import { createStream, type RotatingFileStream } from 'rotating-file-stream'
import { messageOf } from '../../common/index.ts'
import { type BackupLimits, backupName, deleteExpiredBackups } from './backups.ts'

export interface LogFileOptions extends BackupLimits {
  /** Absolute. Its folder is made when absent. */
  readonly path: string
  readonly maxBytes: number
  /** Milliseconds after a failure until the next attempt. Default 10,000. */
  readonly retryMs?: number
  /** Lines that may wait for the disk, or for a rotation. Bytes; default 4 MiB. */
  readonly maxWaitingBytes?: number
  /** Told once when the file can't be written. */
  onFailure(message: string): void
  /** Told when lines can be written again after some were lost. */
  onRecovery(lostLines: number): void
}

const MODE = 0o640
const RETRY_MS = 10_000
/** Lines that wait for a slow disk. More are dropped, for the memory is needed elsewhere. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024
/** Lines that are written at once. */
const CHUNK_BYTES = 65_536
const CLOSE_MS = 3000
/** What is too old goes although nothing is rotated. */
const CLEAN_EVERY_MS = 24 * 3600 * 1000

/**
 * A log file that is rotated and compressed when it is full. Nothing that happens to it is the hub's problem: what the
 * disk does not take is lost and counted.
 */
export class LogFile {
  readonly #options: LogFileOptions
  readonly #maxWaitingBytes: number
  readonly #chunkBytes: number
  #stream: RotatingFileStream | null = null
  /** Lines that wait for the write under way, which are then written together. */
  #waiting: string[] = []
  /** Their characters, and those being written. */
  #waitingBytes = 0
  #isWriting = false
  #isFailing = false
  #retryAt = 0
  #lost = 0
  /** A line about lost lines must not be lost. */
  #isTelling = false
  #cleanAt = 0
  /** The backup that is being made. */
  #backup: string | null = null

  constructor(options: LogFileOptions) {
    this.#options = options
    this.#maxWaitingBytes = options.maxWaitingBytes ?? MAX_WAITING_BYTES
    this.#chunkBytes = Math.min(CHUNK_BYTES, options.maxBytes)
    this.#stream = this.#open()
  }

  write(line: string): void {
    const now = Date.now()
    if (this.#stream === null && now >= this.#retryAt) this.#stream = this.#open()
    if (now >= this.#cleanAt) this.#deleteExpired()
    const stream = this.#stream
    const isFull = this.#waitingBytes > this.#maxWaitingBytes && !this.#isTelling
    if (stream === null || stream.destroyed || isFull) {
      this.#lost++
      return
    }
    if (this.#waitingBytes <= this.#maxWaitingBytes / 2) this.#tellLost()
    this.#waiting.push(line)
    this.#waitingBytes += line.length
    if (!this.#isWriting) this.#writeChunk(stream)
  }

  /** Resolves when all lines are in the file, or can't be brought there. */
  async close(): Promise<void> {
    const stream = this.#stream
    if (stream !== null) this.#tellLost()
    this.#stream = null
    this.#retryAt = Number.POSITIVE_INFINITY
    if (stream === null) return
    const closed = once(stream, 'close', { signal: AbortSignal.timeout(CLOSE_MS) })
    while (this.#waiting.length > 0) this.#writeChunk(stream)
    stream.end()
    await closed.catch(() => {})
  }

  /** Writes what waits, no more at once than a file may be too large by. */
  #writeChunk(stream: RotatingFileStream): void {
    let bytes = 0
    let count = 0
    while (count < this.#waiting.length && bytes < this.#chunkBytes) bytes += (this.#waiting[count++] as string).length
    const lines = this.#waiting.splice(0, count)
    this.#isWriting = true
    stream.write(lines.join(''), error => {
      this.#isWriting = false
      this.#waitingBytes -= bytes
      if (error instanceof Error) this.#lost += count
      else if (this.#waiting.length === 0) this.#tellLost()
      else if (this.#stream === stream) this.#writeChunk(stream)
    })
  }

  #open(): RotatingFileStream {
    const { path, maxBytes } = this.#options
    const { dir, base } = parse(path)
    const name = (time: number | Date | null, index = 1): string => {
      if (!(time instanceof Date)) return base
      // Two rotations in the same millisecond get different names.
      this.#backup = backupName(base, new Date(time.getTime() + index - 1))
      return this.#backup
    }
    const stream = createStream(name, {
      path: dir.endsWith(sep) ? dir : `${dir}${sep}`,
      size: `${maxBytes}B`,
      compress: 'gzip',
      mode: MODE,
    })
    stream.on('error', error => this.#failed(stream, error))
    stream.once('open', () => {
      this.#isFailing = false
      this.#deleteExpired()
      this.#tellLost()
    })
    stream.on('rotated', () => {
      this.#backup = null
      this.#deleteExpired()
    })
    return stream
  }

  #tellLost(): void {
    if (this.#lost === 0 || this.#isFailing || this.#stream === null) return
    const lost = this.#lost
    this.#lost = 0
    this.#isTelling = true
    this.#options.onRecovery(lost)
    this.#isTelling = false
  }

  #failed(stream: RotatingFileStream, error: unknown): void {
    if (this.#stream === stream) this.#stream = null
    this.#retryAt = Math.max(this.#retryAt, Date.now() + (this.#options.retryMs ?? RETRY_MS))
    void this.#deleteHalfDone()
    if (this.#isFailing) return
    this.#isFailing = true
    this.#options.onFailure(`can't write the log file ${this.#options.path}: ${messageOf(error)}`)
  }

  #deleteExpired(): void {
    this.#cleanAt = Date.now() + CLEAN_EVERY_MS
    void deleteExpiredBackups(this.#options.path, this.#options)
  }

  /** A backup that could not be finished: on a full disk there would be one more with each attempt. */
  async #deleteHalfDone(): Promise<void> {
    if (this.#backup === null) return
    const { path } = this.#options
    const backup = join(dirname(path), this.#backup)
    this.#backup = null
    try {
      // The log itself goes as soon as its backup is whole.
      if (existsSync(path) || (await stat(backup)).size === 0) await unlink(backup)
    } catch {
      // It is not there, or the disk is beyond help: what is left counts as a backup.
    }
  }
}

import { once } from 'node:events'
import { parse, sep } from 'node:path'
import { createStream, type RotatingFileStream } from 'rotating-file-stream'
import { messageOf } from '../../common/index.ts'
import { type BackupLimits, backupName, deleteExpiredBackups } from './backups.ts'

export interface LogFileOptions extends BackupLimits {
  /** Absolute. Its folder is made when absent. */
  readonly path: string
  readonly maxBytes: number
  /** Milliseconds after a failure until the next attempt. Default 10,000. */
  readonly retryMs?: number
  /** Told once when the file can't be written, and once when it can be again, with the lines lost in between. */
  onFailure(message: string): void
  onRecovery(lostLines: number): void
}

const MODE = 0o640
const RETRY_MS = 10_000
/** Lines that wait for a slow disk. More are dropped, for the memory is needed elsewhere. */
const MAX_WAITING_BYTES = 4 * 1024 * 1024
const CLOSE_MS = 3000

/** A log file that is rotated and compressed when it is full. Nothing that happens to it is the hub's problem. */
export class LogFile {
  readonly #options: LogFileOptions
  #stream: RotatingFileStream | null = null
  #isFailing = false
  #retryAt = 0
  #lost = 0

  constructor(options: LogFileOptions) {
    this.#options = options
    this.#stream = this.#open()
  }

  write(line: string): void {
    if (this.#stream === null && Date.now() >= this.#retryAt) this.#stream = this.#open()
    if (this.#stream === null || this.#stream.writableLength > MAX_WAITING_BYTES) this.#lost++
    else this.#stream.write(line)
  }

  /** Resolves when all lines are in the file, or can't be brought there. */
  async close(): Promise<void> {
    const stream = this.#stream
    this.#stream = null
    this.#retryAt = Number.POSITIVE_INFINITY
    if (stream === null) return
    const closed = once(stream, 'close', { signal: AbortSignal.timeout(CLOSE_MS) })
    stream.end()
    await closed.catch(() => {})
  }

  #open(): RotatingFileStream {
    const { path, maxBytes } = this.#options
    const { dir, base } = parse(path)
    const name = (time: number | Date | null, index = 1): string =>
      // Two rotations in the same millisecond get different names.
      time instanceof Date ? backupName(base, new Date(time.getTime() + index - 1)) : base
    const stream = createStream(name, {
      path: dir.endsWith(sep) ? dir : `${dir}${sep}`,
      size: `${maxBytes}B`,
      compress: 'gzip',
      mode: MODE,
    })
    stream.on('error', error => this.#failed(stream, error))
    stream.once('open', () => this.#opened())
    stream.on('rotated', () => this.#deleteExpired())
    return stream
  }

  #opened(): void {
    this.#deleteExpired()
    const lost = this.#lost
    this.#lost = 0
    this.#isFailing = false
    if (lost > 0) this.#options.onRecovery(lost)
  }

  #failed(stream: RotatingFileStream, error: unknown): void {
    if (this.#stream === stream) this.#stream = null
    this.#retryAt = Math.max(this.#retryAt, Date.now() + (this.#options.retryMs ?? RETRY_MS))
    if (this.#isFailing) return
    this.#isFailing = true
    this.#options.onFailure(`can't write the log file ${this.#options.path}: ${messageOf(error)}`)
  }

  #deleteExpired(): void {
    void deleteExpiredBackups(this.#options.path, this.#options)
  }
}

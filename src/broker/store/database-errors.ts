import { GatewayError, messageOf, systemCodeOf } from '../../common/index.ts'

/** What can be done about a database that is damaged. */
export function corrupt(dir: string, what: string, cause?: unknown): GatewayError {
  return new GatewayError(
    'ERR_STORE_CORRUPT',
    `the database in ${dir} is damaged: ${what}. Restore a copy of the directory; ` +
      `'openedge store verify ${dir}' tells more, 'openedge store repair ${dir}' keeps what can still be read`,
    { cause },
  )
}

export function foreign(message: string, cause?: unknown): GatewayError {
  return new GatewayError('ERR_STORE_FOREIGN', message, { cause })
}

/** A file or directory that the system refuses. */
export function ioError(what: string, cause: unknown): GatewayError {
  return new GatewayError('ERR_STORE_IO', `${what}: ${messageOf(cause)}`, { cause, retryable: true })
}

/** LevelDB's own words; classic-level wraps them. */
export function levelErrorOf(thrown: unknown): { code: string; words: string; error: unknown } {
  const inner = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown
  return { code: systemCodeOf(inner) ?? '', words: messageOf(inner), error: inner }
}

/** Whether LevelDB failed because somebody else has the database open. */
export function isLocked(thrown: unknown): boolean {
  return levelErrorOf(thrown).code === 'LEVEL_LOCKED'
}

/** Whether there was a database where a new one was to be made. */
export function existsAlready(thrown: unknown): boolean {
  return levelErrorOf(thrown).words.includes('error_if_exists')
}

/** Whether it failed for lack of space. */
export function isDiskFull(thrown: unknown): boolean {
  return /no space left|ENOSPC|disk quota exceeded|EDQUOT/i.test(levelErrorOf(thrown).words)
}

/** The error of ours for one of LevelDB that is not about its lock. */
export function fromLevel(dir: string, thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown
  const { code, words, error } = levelErrorOf(thrown)
  if (code === 'LEVEL_CORRUPTION') return corrupt(dir, words, error)
  if (/permission denied|read-only file system/i.test(words)) return directoryError(dir, words, error)
  const isFull = isDiskFull(error)
  const todo = isFull ? 'Make room on the disk' : 'Check the disk and its file system'
  const message = `the database in ${dir} can not be used: ${words}. ${todo}`
  return new GatewayError('ERR_STORE_IO', message, { cause: error, retryable: isFull })
}

export function directoryError(dir: string, what: string, cause?: unknown): GatewayError {
  return new GatewayError(
    'ERR_STORE_DIRECTORY',
    `the store can not use ${dir}: ${what}. Give it a directory this user may write, or set storage.dir`,
    { cause },
  )
}

import { readdir, unlink } from 'node:fs/promises'
import { join, parse } from 'node:path'

export interface BackupLimits {
  readonly maxAgeDays: number
  readonly maxBackups: number
}

const DAY_MS = 24 * 3600 * 1000
const STAMP = /^(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)\.(\d{3})$/

/** The name that a log file gets when it is full: `service.log` becomes `service-2026-11-21T12-00-00.000.log.gz`. */
export function backupName(file: string, time: Date): string {
  const { name, ext } = parse(file)
  return `${name}-${time.toISOString().slice(0, -1).replaceAll(':', '-')}${ext}.gz`
}

/** The names of backups that are too old or too many. */
export function expiredBackups(file: string, names: readonly string[], limits: BackupLimits, now: Date): string[] {
  const oldest = now.getTime() - limits.maxAgeDays * DAY_MS
  return names
    .flatMap(name => {
      const time = timeOf(file, name)
      return time === null ? [] : [{ name, time }]
    })
    .sort((a, b) => b.time - a.time)
    .filter(({ time }, i) => i >= limits.maxBackups || time < oldest)
    .map(({ name }) => name)
}

/** Deletes what {@link expiredBackups} names. What can't be deleted stays until the next time. */
export async function deleteExpiredBackups(path: string, limits: BackupLimits, now = new Date()): Promise<void> {
  const { dir, base } = parse(path)
  const names = await readdir(dir).catch(() => [])
  for (const name of expiredBackups(base, names, limits, now)) await unlink(join(dir, name)).catch(() => {})
}

/** When a backup of `file` was made, from its name; null for other files. */
function timeOf(file: string, backup: string): number | null {
  const { name, ext } = parse(file)
  const plain = backup.endsWith('.gz') ? backup.slice(0, -3) : backup
  if (!plain.startsWith(`${name}-`) || !plain.endsWith(ext)) return null
  const [, date, hours, minutes, seconds, ms] =
    STAMP.exec(plain.slice(name.length + 1, plain.length - ext.length)) ?? []
  const time = Date.parse(`${date}T${hours}:${minutes}:${seconds}.${ms}Z`)
  return Number.isNaN(time) ? null : time
}

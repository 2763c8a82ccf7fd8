import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export type Tool = 'mosquitto_pub' | 'mosquitto_sub' | 'openssl'

/** Debian puts servers and administration where ordinary users do not look. */
const MORE_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/** The path of a program, or null when this machine does not have it. */
export function findTool(name: Tool): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...MORE_FOLDERS]
  for (const folder of folders) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // not in this one
    }
  }
  return null
}

/**
 * For `{ skip: skipWithout('mosquitto_pub') }`: false when all tools are there, else the reason. With `CI=true` a
 * missing tool is an error, because there nobody reads what was skipped.
 */
export function skipWithout(...names: Tool[]): string | false {
  const missing = names.filter(name => findTool(name) === null)
  if (missing.length === 0) return false
  const reason = `${missing.join(' and ')} not found in PATH`
  if (process.env['CI'] === 'true') throw new Error(`${reason}; with CI=true nothing is skipped`)
  return reason
}

import { resolve } from 'node:path'
import { pino } from 'pino'
import { GatewayError, type Logger, type LogMethod, systemCodeOf } from '../../common/index.ts'
import type { LoggerConfig } from '../../config/index.ts'
import type { LogFile } from './file.ts'
import { localTime, textLine } from './text.ts'

export interface LogOptions {
  readonly config: LoggerConfig
  /** What a relative path of the log file starts from. */
  readonly baseDir: string
  /** In every line. */
  readonly base: Readonly<Record<string, string>>
  /** Where lines go without a file, or besides it at level debug. A line has its line feed. */
  readonly console: (line: string) => void
}

export interface Log extends Logger {
  /** The end of the process is near. */
  fatal(fields: object, event: string): void
  /** Lines below this level are not written from now on; those of children neither. */
  setLevel(level: LoggerConfig['level']): void
  /** Resolves when every line is where it belongs. */
  close(): Promise<void>
}

const MEGABYTE = 1024 * 1024
/** Keys that the logger itself writes; a field of that name gets another. */
const RESERVED = new Set(['time', 'level', 'msg'])

/**
 * The logger of a `logger` block, by way of pino. Without a path it writes to the console; with one to that file, and to
 * the console too at level debug.
 */
export async function createLog({ config, baseDir, base, console }: LogOptions): Promise<Log> {
  let file: LogFile | null = null
  const hasPath = config.path !== ''
  let usesConsole = !hasPath || config.level === 'debug'
  const write = (json: string): void => {
    const line = config.format === 'json' ? json : textLine(json)
    if (usesConsole) console(line)
    file?.write(line)
  }
  const logger = pino(
    {
      level: config.level,
      base: { ...base },
      messageKey: 'msg',
      errorKey: 'error',
      timestamp: () => `,"time":"${localTime(new Date())}"`,
      formatters: { level: level => ({ level }), log: fieldsOf },
    },
    { write },
  )
  if (hasPath) {
    const { LogFile } = await import('./file.ts')
    file = new LogFile({
      path: resolve(baseDir, config.path),
      maxBytes: config.maxSizeMb * MEGABYTE,
      maxAgeDays: config.maxAgeDays,
      maxBackups: config.maxBackups,
      onFailure: message => console(`openedge: ${message}; the ${base['service'] ?? 'program'} goes on without it\n`),
      onRecovery: lines => logger.warn({ lines }, 'log.lines_lost'),
    })
  }
  const own = {
    close: async () => file?.close(),
    child: (bindings: object) => childOf(logger, bindings),
    setLevel(level: LoggerConfig['level']): void {
      logger.level = level
      usesConsole = !hasPath || level === 'debug'
    },
  }
  return Object.assign(logger, own)
}

/** A logger with these fields in every line. A child of pino would keep the level that its parent had. */
function childOf(parent: Logger, bindings: object): Logger {
  const at = (level: 'error' | 'warn' | 'info' | 'debug'): LogMethod => {
    return (fields: object | string, event?: string) => {
      if (typeof fields === 'string') parent[level](bindings, fields)
      else parent[level]({ ...bindings, ...fields }, event)
    }
  }
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: more => childOf(parent, { ...bindings, ...more }),
    isLevelEnabled: level => parent.isLevelEnabled(level),
  }
}

/** Errors become text in the field `error`; those that nobody foresaw show where they come from. */
function fieldsOf(fields: Record<string, unknown>): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(fields)) {
    if (value instanceof Error) {
      shown[key === 'err' ? 'error' : key] = value.message
      if (!isForeseen(value)) shown['stack'] = value.stack
    } else shown[RESERVED.has(key) ? `fields.${key}` : key] = value
  }
  return shown
}

function isForeseen(error: Error): boolean {
  return error instanceof GatewayError || systemCodeOf(error) !== undefined
}

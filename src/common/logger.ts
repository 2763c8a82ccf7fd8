/** Fields first, then an event name: `log.info({ clientId }, 'client.connected')`. The shape of pino. */
export interface LogMethod {
  (fields: object, event?: string): void
  (event: string): void
}

/** What the program logs to. The command line makes one of pino; embedders may pass any logger of this shape. */
export interface Logger {
  error: LogMethod
  warn: LogMethod
  info: LogMethod
  debug: LogMethod
  child(bindings: object): Logger
  /** False when a line of that level would be thrown away: ask before building costly fields. */
  isLevelEnabled(level: 'error' | 'warn' | 'info' | 'debug'): boolean
}

const ignore: LogMethod = () => {}

/** A logger that drops everything. */
export const silentLogger: Logger = {
  error: ignore,
  warn: ignore,
  info: ignore,
  debug: ignore,
  child: () => silentLogger,
  isLevelEnabled: () => false,
}

import type { Logger, LogMethod } from '../../src/common/index.ts'

interface LogLine {
  readonly level: 'error' | 'warn' | 'info' | 'debug'
  readonly event: string
  readonly fields: object
}

/** A logger that writes all levels and keeps the lines. */
export class KeptLog implements Logger {
  readonly lines: LogLine[] = []
  readonly error = this.#at('error')
  readonly warn = this.#at('warn')
  readonly info = this.#at('info')
  readonly debug = this.#at('debug')

  child(): Logger {
    return this
  }

  isLevelEnabled(): boolean {
    return true
  }

  /** How many lines tell of this event. */
  count(event: string): number {
    return this.lines.filter(line => line.event === event).length
  }

  #at(level: LogLine['level']): LogMethod {
    return (fields: object | string, event?: string) => {
      if (typeof fields === 'string') this.lines.push({ level, event: fields, fields: {} })
      else this.lines.push({ level, event: event ?? '', fields })
    }
  }
}

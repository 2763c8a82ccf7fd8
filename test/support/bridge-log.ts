import { inspect } from 'node:util'
import type { Logger, LogMethod } from '../../src/common/index.ts'

export type LogLevel = 'error' | 'warn' | 'info' | 'debug'

export interface BridgeLine {
  readonly level: LogLevel
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>>
  /** All that the line says, what its logger was bound to included. */
  readonly text: string
}

/** A logger that writes all levels, and keeps the lines with what children are bound to. */
export class BridgeLog implements Logger {
  readonly lines: BridgeLine[]
  readonly #bindings: object
  readonly error = this.#at('error')
  readonly warn = this.#at('warn')
  readonly info = this.#at('info')
  readonly debug = this.#at('debug')

  constructor(lines: BridgeLine[] = [], bindings: object = {}) {
    this.lines = lines
    this.#bindings = bindings
  }

  child(bindings: object): Logger {
    return new BridgeLog(this.lines, { ...this.#bindings, ...bindings })
  }

  isLevelEnabled(): boolean {
    return true
  }

  /** Lines of these levels that say all of these words. */
  find(levels: readonly LogLevel[], ...words: readonly string[]): BridgeLine[] {
    return this.lines.filter(({ level, text }) => levels.includes(level) && words.every(word => text.includes(word)))
  }

  /** Everything, for the message of a test that fails. */
  toString(): string {
    return this.lines.map(({ level, text }) => `${level} ${text}`).join('\n')
  }

  #at(level: LogLevel): LogMethod {
    return (fields: object | string, event?: string) => {
      const own = typeof fields === 'string' ? {} : fields
      const all = { ...this.#bindings, ...own }
      const name = typeof fields === 'string' ? fields : (event ?? '')
      const text = `${name} ${inspect(all, { depth: 6, breakLength: Number.POSITIVE_INFINITY })}`
      this.lines.push({ level, event: name, fields: all, text })
    }
  }
}

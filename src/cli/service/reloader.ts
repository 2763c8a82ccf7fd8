import { GatewayError, type Logger, messageOf } from '../../common/index.ts'
import { type Change, ConfigError, formatProblem, type LoggerConfig, type Problem } from '../../config/index.ts'
import type { ReloadAnswer } from '../../control/index.ts'

type Level = LoggerConfig['level']

/** What every service has in its configuration. */
export interface LeveledConfig {
  readonly logger: { readonly level: Level }
}

export interface ReloadParts<Config extends LeveledConfig> {
  /** Whose configuration it is: `hub` or `bridge`. */
  readonly name: string
  /** The configuration as it was at the start. */
  readonly started: Config
  /** Reads the file again; null: there is none. Throws a ConfigError. */
  readonly load: (() => { readonly config: Config; readonly warnings: readonly Problem[] }) | null
  readonly changes: (before: Config, after: Config) => readonly Change[]
  /** Changes with the content of the files that `certificate` names, whose names may stay what they are. */
  readonly mark?: (config: Config) => string
  /** Puts the configuration in force, or throws and changes nothing. */
  readonly apply: (next: Config) => Promise<void>
  readonly log: Logger & { setLevel(level: Level): void }
  readonly warn: (warnings: readonly Problem[]) => void
}

/** Reads the configuration of what runs again. One time after the other, never two at once. */
export class Reloader<Config extends LeveledConfig> {
  readonly #parts: ReloadParts<Config>
  /** In force, as far as it can change without a restart. */
  #current: Config
  #mark: string | undefined
  #running: Promise<ReloadAnswer> | null = null
  /** Waits for the one that runs; stands for all that ask meanwhile. */
  #next: Promise<ReloadAnswer> | null = null
  #isClosed = false

  constructor(parts: ReloadParts<Config>) {
    this.#parts = parts
    this.#current = parts.started
    this.#mark = parts.mark?.(parts.started)
  }

  /** What is in the file at the time of the call, or later, is in force when this resolves. Never rejects. */
  reload(): Promise<ReloadAnswer> {
    if (this.#next !== null) return this.#next
    if (this.#running === null) return this.#run()
    this.#next = this.#running.then(() => {
      this.#next = null
      return this.#run()
    })
    return this.#next
  }

  /** Resolves when nothing is being reloaded; nothing is any more. */
  async close(): Promise<void> {
    this.#isClosed = true
    await (this.#next ?? this.#running)
  }

  #run(): Promise<ReloadAnswer> {
    const run = this.#reload()
      .catch(thrown => this.#refuse(thrown))
      .finally(() => {
        this.#running = null
      })
    this.#running = run
    return run
  }

  async #reload(): Promise<ReloadAnswer> {
    const { name, load, apply, log, warn, started } = this.#parts
    if (this.#isClosed) throw new GatewayError('ERR_LIFECYCLE_CLOSED', `the ${name} is stopping`)
    if (load === null) {
      throw new GatewayError(
        'ERR_CONFIG_NONE',
        `there is nothing to read: the ${name} runs without a configuration file`,
      )
    }
    const { config: next, warnings } = load()
    const mark = this.#parts.mark?.(next)
    warn(warnings)
    await apply(next)
    const changed = this.#paths(this.#current, next, 'hot')
    if (mark !== this.#mark && !changed.some(path => path.startsWith('certificate'))) changed.push('certificate')
    this.#current = next
    this.#mark = mark
    const restart = this.#paths(started, next, 'restart')
    const list = (names: readonly string[]): string => (names.length === 0 ? 'nothing' : names.join(', '))
    // Told at the level that says more: who turns the log down sees that it was done.
    const isToldBefore = log.isLevelEnabled('info')
    if (!isToldBefore) log.setLevel(next.logger.level)
    log.info({ changed: list(changed), restart: list(restart) }, 'config.reloaded')
    if (restart.length > 0) log.warn({ fields: list(restart) }, 'config.restart_needed')
    if (isToldBefore) log.setLevel(next.logger.level)
    return { ok: true, changed, restart, warnings: warnings.map(formatProblem) }
  }

  #refuse(thrown: unknown): ReloadAnswer {
    const { log } = this.#parts
    const problems = thrown instanceof ConfigError ? thrown.problems.map(formatProblem) : [messageOf(thrown)]
    const isForeseen = thrown instanceof GatewayError
    for (const problem of problems) log.error({ problem, ...(!isForeseen && { error: thrown }) }, 'config.refused')
    return { ok: false, problems }
  }

  #paths(before: Config, after: Config, kind: Change['reload']): string[] {
    const changes = this.#parts.changes(before, after)
    return changes.filter(({ reload }) => reload === kind).map(({ path }) => path)
  }
}

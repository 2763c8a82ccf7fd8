import type { ReloadAnswer } from '../../broker/index.ts'
import { GatewayError, type Logger, messageOf } from '../../common/index.ts'
import { ConfigError, changedFields, formatProblem, type HubConfig, type Problem } from '../../config/index.ts'
import { certificateMark } from './certificate-mark.ts'

type Level = HubConfig['logger']['level']

export interface ReloadParts {
  /** The configuration as the hub was started with it. */
  readonly started: HubConfig
  readonly baseDir: string
  /** Reads the file again; null: there is none. Throws a ConfigError. */
  readonly load: (() => { readonly config: HubConfig; readonly warnings: readonly Problem[] }) | null
  /** Puts the configuration in force, or throws and changes nothing. */
  readonly apply: (next: HubConfig) => Promise<void>
  readonly log: Logger & { setLevel(level: Level): void }
  readonly warn: (warnings: readonly Problem[]) => void
}

/** Reads the configuration of a running hub again. One time after the other, never two at once. */
export class Reloader {
  readonly #parts: ReloadParts
  /** In force, as far as it can change while the hub runs. */
  #current: HubConfig
  #mark: string
  #running: Promise<ReloadAnswer> | null = null
  /** Waits for the one that runs; stands for all that ask meanwhile. */
  #next: Promise<ReloadAnswer> | null = null
  #isClosed = false

  constructor(parts: ReloadParts) {
    this.#parts = parts
    this.#current = parts.started
    this.#mark = certificateMark(parts.started, parts.baseDir)
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
    const { load, apply, log, warn, baseDir, started } = this.#parts
    if (this.#isClosed) throw new GatewayError('ERR_LIFECYCLE_CLOSED', 'the hub is stopping')
    if (load === null) {
      throw new GatewayError('ERR_CONFIG_NONE', 'there is nothing to read: the hub runs without a configuration file')
    }
    const { config: next, warnings } = load()
    const mark = certificateMark(next, baseDir)
    warn(warnings)
    await apply(next)
    const changed = paths(this.#current, next, 'hot')
    if (mark !== this.#mark && !changed.some(path => path.startsWith('certificate'))) changed.push('certificate')
    this.#current = next
    this.#mark = mark
    const restart = paths(started, next, 'restart')
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
}

function paths(before: HubConfig, after: HubConfig, kind: 'hot' | 'restart'): string[] {
  return changedFields(before, after)
    .filter(({ reload }) => reload === kind)
    .map(({ path }) => path)
}

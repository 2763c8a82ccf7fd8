import { GatewayError, type Logger, type Service, silentLogger } from '../common/index.ts'
import type { BridgeConfig } from '../config/index.ts'
import { ChunkPool, ReadBuffer } from '../wire/index.ts'
import type { Wires } from './connection.ts'
import type { BridgeFigures } from './figures.ts'
import { BridgeReporting } from './report/index.ts'
import { BridgeRule, type RuleSettings } from './rule.ts'
import { Turns } from './turns.ts'

/** All rules of a configuration, each with links of its own. It runs whether its brokers can be reached or not. */
export class BridgeService implements Service {
  readonly name = 'bridge'
  readonly #log: Logger
  readonly #baseDir: string
  readonly #wires: Wires = { pool: new ChunkPool(), readBuffer: new ReadBuffer(), turns: new Turns() }
  readonly #rules = new Map<string, BridgeRule>()
  readonly #reporting: BridgeReporting
  readonly #stopping = new AbortController()
  #config: BridgeConfig
  #startedAt = 0
  /** Rules that a reload has removed, on their way out. */
  readonly #leaving = new Set<Promise<void>>()
  #reloads: Promise<void> = Promise.resolve()

  /** Paths in the configuration are relative to `baseDir`. `version` of the program is told to those who ask. */
  constructor(
    config: BridgeConfig,
    log: Logger = silentLogger,
    baseDir: string = process.cwd(),
    { version = 'unknown' }: { version?: string } = {},
  ) {
    this.#config = config
    this.#log = log
    this.#baseDir = baseDir
    this.#reporting = new BridgeReporting({
      figures: () => this.figures(),
      log,
      version,
      isStopping: () => this.#stopping.signal.aborted,
    })
  }

  /** Where the figures are served (metrics.listen), with the real port; null: nowhere. */
  get metricsUrl(): string | null {
    return this.#reporting.url
  }

  /** What all rules do, as of now. */
  figures(): BridgeFigures {
    return { startedAt: this.#startedAt, rules: [...this.#rules.values()].map(rule => rule.figures()) }
  }

  /** Throws ERR_METRICS_BIND when the figures can't be served. Brokers that can't be reached are tried for ever. */
  async start(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await this.#reporting.apply(this.#config.metrics.listen)
    this.#startedAt = Date.now()
    this.#apply(this.#config)
  }

  /**
   * Puts another configuration in force. Rules and links that are the same in both are not touched. Rejects with the
   * GatewayError that names what can't be done, and then nothing has changed.
   */
  reload(next: BridgeConfig): Promise<void> {
    const reload = this.#reload(next, this.#reloads)
    this.#reloads = reload.catch(() => {})
    return reload
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#reloads
    const { shutdownTimeoutMs } = this.#config
    await Promise.all([...this.#rules.values()].map(rule => rule.stop(shutdownTimeoutMs, false)))
    await Promise.all(this.#leaving)
    this.#rules.clear()
    await this.#reporting.stop()
  }

  async #reload(next: BridgeConfig, earlier: Promise<void>): Promise<void> {
    await earlier
    if (this.#stopping.signal.aborted || this.#startedAt === 0)
      throw new GatewayError('ERR_LIFECYCLE_CLOSED', 'the bridge does not run: its configuration can not be replaced')
    await this.#reporting.apply(next.metrics.listen)
    this.#config = next
    this.#apply(next)
  }

  #apply(config: BridgeConfig): void {
    const wanted = new Map(settingsOf(config).map(settings => [settings.rule.name, settings]))
    for (const [name, rule] of this.#rules) {
      if (wanted.has(name)) continue
      this.#rules.delete(name)
      const gone = rule.stop(config.shutdownTimeoutMs, true).finally(() => this.#leaving.delete(gone))
      this.#leaving.add(gone)
    }
    const parts = { wires: this.#wires, baseDir: this.#baseDir, log: this.#log }
    const fresh: BridgeRule[] = []
    for (const [name, settings] of wanted) {
      const rule = this.#rules.get(name)
      if (rule !== undefined) rule.use(settings)
      else {
        const made = new BridgeRule(settings, parts)
        this.#rules.set(name, made)
        fresh.push(made)
      }
    }
    const rules = [...this.#rules.values()]
    for (const rule of rules) {
      const { address } = rule.settings.remote
      rule.guardAgainst(rules.filter(other => other !== rule && other.settings.remote.address === address))
    }
    for (const rule of fresh) rule.start()
  }
}

function settingsOf(config: BridgeConfig): RuleSettings[] {
  const remotes = new Map(config.remotes.map(remote => [remote.name, remote]))
  return config.rules.map(rule => {
    const remote = remotes.get(rule.remote.name)
    if (remote === undefined) throw new GatewayError('ERR_CONFIG_INVALID', `remote (${rule.remote.name}) not found`)
    const { maxBytes } = config.message
    return { rule, hub: config.hub, remote, maxBytes, statusTopic: config.status.topic }
  })
}

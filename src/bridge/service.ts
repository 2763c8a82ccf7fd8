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
  readonly #leaving = new Map<BridgeRule, Promise<void>>()
  /** The start, then reloads, one after the other. */
  #changes: Promise<void> = Promise.resolve()
  #stopped: Promise<void> | null = null

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

  /** Rejects with ERR_METRICS_BIND when the figures can't be served. Brokers that can't be reached are tried for ever. */
  start(signal: AbortSignal): Promise<void> {
    return this.#inTurn(async () => {
      signal.throwIfAborted()
      this.#checkOpen('it can not be started')
      await this.#reporting.apply(this.#config.metrics.listen)
      this.#checkOpen('it was stopped while it started')
      this.#startedAt = Date.now()
      this.#apply(this.#config)
    })
  }

  /**
   * Puts another configuration in force. Rules and links that are the same in both are not touched. Rejects with the
   * GatewayError that names what can't be done, and then nothing has changed.
   */
  reload(next: BridgeConfig): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#startedAt === 0) throw closed('its configuration can not be replaced')
      this.#checkOpen('its configuration can not be replaced')
      await this.#reporting.apply(next.metrics.listen)
      this.#checkOpen('its configuration can not be replaced')
      this.#config = next
      this.#apply(next)
    })
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#stopping.abort()
    await this.#changes
    const { shutdownTimeoutMs } = this.#config
    await Promise.all([...this.#rules.values()].map(rule => rule.stop(shutdownTimeoutMs, false)))
    await Promise.all(this.#leaving.values())
    this.#rules.clear()
    await this.#reporting.stop()
  }

  #inTurn(change: () => Promise<void>): Promise<void> {
    const done = this.#changes.then(change)
    this.#changes = done.catch(() => {})
    return done
  }

  #checkOpen(what: string): void {
    if (this.#stopping.signal.aborted) throw closed(what)
  }

  #apply(config: BridgeConfig): void {
    const wanted = new Map(settingsOf(config).map(settings => [settings.rule.name, settings]))
    const before = new Map(this.#rules)
    for (const [name, rule] of before) if (!wanted.has(name)) this.#remove(rule, config.shutdownTimeoutMs)
    this.#rules.clear() // in the order of the file
    for (const [name, settings] of wanted) {
      const rule = before.get(name)
      rule?.use(settings)
      this.#rules.set(name, rule ?? this.#make(settings))
    }
    const rules = [...this.#rules.values()]
    const ways = rules.flatMap(rule => rule.ways)
    for (const rule of rules) rule.useFlows(ways)
    for (const rule of rules) if (!before.has(rule.name)) void this.#begin(rule)
  }

  #make(settings: RuleSettings): BridgeRule {
    return new BridgeRule(settings, { wires: this.#wires, baseDir: this.#baseDir, log: this.#log })
  }

  #remove(rule: BridgeRule, timeoutMs: number): void {
    const gone = rule.stop(timeoutMs, true).then(left => {
      this.#leaving.delete(rule)
      const told = new Set([...this.#rules.values()].map(({ statusTopic }) => statusTopic))
      // Its hub was away; any other link to it will do.
      const [heir] = this.#rules.values()
      heir?.forgetStates(left.filter(topic => !told.has(topic)))
    })
    this.#leaving.set(rule, gone)
  }

  /** Starts a rule when those are gone that it would fight. */
  async #begin(rule: BridgeRule): Promise<void> {
    const isMine = (): boolean => !this.#stopping.signal.aborted && this.#rules.get(rule.name) === rule
    while (isMine()) {
      const rivals = [...this.#leaving].filter(([other]) => rule.collidesWith(other))
      if (rivals.length === 0) return rule.start()
      await Promise.all(rivals.map(([, gone]) => gone))
    }
  }
}

function closed(what: string): GatewayError {
  return new GatewayError('ERR_LIFECYCLE_CLOSED', `the bridge does not run: ${what}`)
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

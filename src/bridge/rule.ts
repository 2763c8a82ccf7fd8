import type { Logger } from '../common/index.ts'
import type { BridgeRuleConfig, ClientConfig, RemoteConfig } from '../config/index.ts'
import type { Wires } from './connection.ts'
import type { RuleFigures } from './figures.ts'
import { Flow } from './flow.ts'
import type { FlowGuard } from './flow-end.ts'
import { Link, type LinkSettings } from './link.ts'
import { type Looped, LoopGuard } from './loop-guard.ts'
import { retainedPacket, stateOf, statusTopic, willOf } from './status.ts'
import { TopicMap } from './topic-map.ts'

/** A rule with all that its configuration refers to. */
export interface RuleSettings {
  readonly rule: BridgeRuleConfig
  readonly hub: ClientConfig
  readonly remote: RemoteConfig
  readonly maxBytes: number
  /** `status.topic`. */
  readonly statusTopic: string
}

export interface RuleParts {
  readonly wires: Wires
  readonly baseDir: string
  readonly log: Logger
}

/** A rule at work: a link to the hub, a link to its remote, and a flow in each direction. */
export class BridgeRule implements Looped {
  readonly name: string
  readonly hub: Link
  readonly remote: Link
  readonly out: Flow
  readonly in: Flow
  readonly #log: Logger
  #settings: RuleSettings
  /** What the hub was told last on this connection. */
  #told = ''
  #isStopped = false

  constructor(settings: RuleSettings, parts: RuleParts) {
    const { rule } = settings
    this.name = rule.name
    this.#settings = settings
    this.#log = parts.log.child({ rule: rule.name })
    const common = { ...parts, log: this.#log, rule: rule.name, onChange: () => this.#tellState() }
    this.hub = new Link(hubSettings(settings), { ...common, side: 'hub' })
    this.remote = new Link(remoteSettings(settings), { ...common, side: 'remote' })
    const out = { topics: new TopicMap(rule.hub.subscriptions), window: settings.remote.bufferSize }
    const back = { topics: new TopicMap(rule.remote.subscriptions), window: settings.hub.bufferSize }
    const rest = { offlineMax: rule.offline.max, guard: null }
    this.out = new Flow('out', { source: this.hub, target: this.remote }, { ...out, ...rest }, this.#log)
    this.in = new Flow('in', { source: this.remote, target: this.hub }, { ...back, ...rest }, this.#log)
    this.hub.source = this.out
    this.hub.target = this.in
    this.remote.source = this.in
    this.remote.target = this.out
  }

  get settings(): RuleSettings {
    return this.#settings
  }

  start(): void {
    this.hub.start()
    this.remote.start()
  }

  /** Puts other settings in force; a link that has the same ones as before is not touched. */
  use(next: RuleSettings): void {
    this.#settings = next
    this.hub.use(hubSettings(next))
    this.remote.use(remoteSettings(next))
  }

  /** Puts the flows of the settings in force. `others`: the rules that have the same remote now. */
  guardAgainst(others: readonly Looped[]): void {
    const { rule, remote, hub } = this.#settings
    const out = new TopicMap(rule.hub.subscriptions, this.out.topics)
    const back = new TopicMap(rule.remote.subscriptions, this.in.topics)
    const rest = { offlineMax: rule.offline.max }
    this.out.use({ topics: out, window: remote.bufferSize, guard: this.#guard('out', others), ...rest })
    this.in.use({ topics: back, window: hub.bufferSize, guard: this.#guard('in', others), ...rest })
  }

  figures(): RuleFigures {
    const { rule, remote } = this.#settings
    const now = performance.now()
    const flows = []
    if (rule.hub.subscriptions.length > 0) flows.push(this.out.figures(now))
    if (rule.remote.subscriptions.length > 0) flows.push(this.in.figures(now))
    return { name: this.name, remote: remote.name, links: [this.hub.figures(), this.remote.figures()], flows }
  }

  /**
   * Takes no more messages, waits up to `timeoutMs` for acknowledgements of those on their way, and disconnects. `forGood`: the hub
   * is to forget the state of the rule.
   */
  async stop(timeoutMs: number, forGood: boolean): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>(resolve => {
      timer = setTimeout(resolve, timeoutMs)
    })
    await Promise.race([Promise.all([this.out.drain(), this.in.drain()]), late])
    clearTimeout(timer)
    this.#isStopped = true
    this.out.close()
    this.in.close()
    await this.remote.stop()
    const topic = this.#topic()
    if (topic !== null) {
      const state = { connected: false, since: new Date().toISOString(), error: 'the bridge was stopped' }
      this.hub.tell(retainedPacket(topic, forGood ? '' : JSON.stringify(state)))
    }
    await this.hub.stop()
  }

  #guard(direction: 'out' | 'in', others: readonly Looped[]): FlowGuard | null {
    const { rule } = this.#settings
    const hasBack = (direction === 'out' ? rule.remote : rule.hub).subscriptions.length > 0
    if (!hasBack && others.length === 0) return null
    return new LoopGuard(this, direction, others, this.#log)
  }

  /** Where the state of the rule may be told; null: nowhere. Only a hub that knows bridges takes a topic with $ without harm. */
  #topic(): string | null {
    const topic = statusTopic(this.#settings.statusTopic, this.name)
    if (topic === null || !this.hub.isConnected) return null
    return topic.startsWith('$') && !this.hub.isPrivate ? null : topic
  }

  #tellState(): void {
    if (this.#isStopped) return
    if (!this.hub.isConnected) {
      this.#told = ''
      return
    }
    const topic = this.#topic()
    if (topic === null) return
    const payload = JSON.stringify(stateOf(this.remote.figures()))
    if (payload === this.#told) return
    this.#told = payload
    this.hub.tell(retainedPacket(topic, payload))
  }
}

function hubSettings({ rule, hub, maxBytes, statusTopic: setting }: RuleSettings): LinkSettings {
  const topic = statusTopic(setting, rule.name)
  return {
    config: hub,
    clientId: rule.hub.clientId,
    filters: filtersOf(rule.hub.subscriptions),
    maxBytes,
    will: topic === null ? null : willOf(topic),
  }
}

function remoteSettings({ rule, remote, maxBytes }: RuleSettings): LinkSettings {
  const filters = filtersOf(rule.remote.subscriptions)
  return { config: remote, clientId: rule.remote.clientId, filters, maxBytes, will: null }
}

function filtersOf(subscriptions: BridgeRuleConfig['hub']['subscriptions']): readonly { topic: string; qos: number }[] {
  return new TopicMap(subscriptions).filters
}

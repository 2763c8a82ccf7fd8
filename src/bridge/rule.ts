import type { Logger } from '../common/index.ts'
import type { BridgeRuleConfig, ClientConfig, RemoteConfig } from '../config/index.ts'
import type { Wires } from './connection.ts'
import type { RuleFigures } from './figures.ts'
import { Flow } from './flow.ts'
import { Link } from './link.ts'
import type { LinkSettings } from './link-settings.ts'
import { type Guarded, LoopGuard } from './loop-guard.ts'
import { statusTopic, willOf } from './status.ts'
import { StatusTeller } from './status-teller.ts'
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
export class BridgeRule {
  readonly name: string
  readonly hub: Link
  readonly remote: Link
  readonly out: Flow
  readonly in: Flow
  readonly #log: Logger
  readonly #state: StatusTeller
  #settings: RuleSettings

  constructor(settings: RuleSettings, parts: RuleParts) {
    const { rule } = settings
    this.name = rule.name
    this.#settings = settings
    this.#log = parts.log.child({ rule: rule.name })
    const common = { ...parts, log: this.#log, rule: rule.name, onChange: () => this.#state.update() }
    this.hub = new Link(hubSettings(settings), { ...common, side: 'hub' })
    this.remote = new Link(remoteSettings(settings), { ...common, side: 'remote' })
    this.#state = new StatusTeller(this.hub, () => this.remote.figures(), topicOf(settings))
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

  /** Where the hub is told of this rule; null: nowhere. */
  get statusTopic(): string | null {
    return this.#state.topic
  }

  /** Both directions, `out` first. The topics are those of the flows as they are now. */
  get ways(): readonly [Guarded, Guarded] {
    const { name: rule, hub, remote, out, in: back } = this
    return [wayOf(rule, { from: hub, to: remote }, out, back), wayOf(rule, { from: remote, to: hub }, back, out)]
  }

  /** Whether it would fight another rule for a client identifier, or for its place. */
  collidesWith(other: BridgeRule): boolean {
    if (this.name === other.name) return true
    const theirs = [identityOf(other.hub), identityOf(other.remote)]
    return theirs.includes(identityOf(this.hub)) || theirs.includes(identityOf(this.remote))
  }

  start(): void {
    this.hub.start()
    this.remote.start()
  }

  /** Puts other settings in force; a link that has the same ones as before is not touched. */
  use(next: RuleSettings): void {
    const isOtherHub = next.hub.address !== this.#settings.hub.address
    this.#settings = next
    // While the hub still listens.
    this.#state.use(topicOf(next), isOtherHub)
    this.hub.use(hubSettings(next))
    this.remote.use(remoteSettings(next))
  }

  /** Puts the flows of the settings in force, once all rules have theirs. `all`: the ways of all rules. */
  useFlows(all: readonly Guarded[]): void {
    const { rule, remote, hub } = this.#settings
    const [outward, backward] = this.ways
    const rest = { offlineMax: rule.offline.max }
    const out = new TopicMap(rule.hub.subscriptions, this.out.topics)
    const back = new TopicMap(rule.remote.subscriptions, this.in.topics)
    const guards = { out: LoopGuard.of(outward, all, this.#log), in: LoopGuard.of(backward, all, this.#log) }
    this.out.use({ topics: out, window: remote.bufferSize, guard: guards.out, ...rest })
    this.in.use({ topics: back, window: hub.bufferSize, guard: guards.in, ...rest })
  }

  /** The hub is to forget what these topics say: nobody keeps it up any more. */
  forgetStates(topics: readonly string[]): void {
    this.#state.forget(topics)
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
   * is to forget the state of the rule. Resolves with topics that it could not be made to forget.
   */
  async stop(timeoutMs: number, forGood: boolean): Promise<readonly string[]> {
    this.hub.leave()
    this.remote.leave()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>(resolve => {
      timer = setTimeout(resolve, timeoutMs)
    })
    await Promise.race([Promise.all([this.out.drain(), this.in.drain()]), late])
    clearTimeout(timer)
    this.out.close()
    this.in.close()
    const left = this.#state.end(forGood)
    await Promise.all([this.hub.stop(), this.remote.stop()])
    return left
  }
}

function wayOf(rule: string, ends: { readonly from: Link; readonly to: Link }, flow: Flow, opposite: Flow): Guarded {
  return {
    rule,
    ...ends,
    direction: flow.direction,
    get topics() {
      return flow.topics
    },
    get back() {
      return opposite.topics
    },
  }
}

/** Whom the broker of a link takes it for. */
function identityOf({ broker, settings }: Link): string {
  return `${broker} ${settings.clientId}`
}

function topicOf({ rule, statusTopic: setting }: RuleSettings): string | null {
  return statusTopic(setting, rule.name)
}

function hubSettings(settings: RuleSettings): LinkSettings {
  const { rule, hub, maxBytes } = settings
  const topic = topicOf(settings)
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

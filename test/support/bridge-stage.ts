/** Brokers and bridges of one test, taken down in the reverse of the order in which they were set up. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { BridgeService } from '../../src/bridge/index.ts'
import { type BridgeConfig, parseBridgeConfig } from '../../src/config/index.ts'
import { type Broker, type BrokerOptions, type OwnHub, startHubBroker, startMosquitto } from './bridge-broker.ts'
import { type BridgeCertificates, makeBridgeCertificates } from './bridge-certs.ts'
import { FakeBroker, type FakeOptions } from './bridge-fake.ts'
import { BridgeLog } from './bridge-log.ts'
import type { Cleanup } from './raw-client.ts'

const PATIENCE_MS = 15_000

export type Figures = ReturnType<BridgeService['figures']>
export type RuleFigures = Figures['rules'][number]
export type LinkFigures = RuleFigures['links'][number]
export type FlowFigures = RuleFigures['flows'][number]

export interface SubscriptionLines {
  topic: string
  qos?: number
  target?: { topic?: string; qos?: number; retain?: 'keep' | 'clear' }
  limit?: { rate: number; burst?: number }
}

/** A rule as the configuration file has it. */
export interface RuleLines {
  name?: string
  hub?: { clientid?: string; subscriptions?: readonly SubscriptionLines[] }
  remote: { name: string; clientid?: string; subscriptions?: readonly SubscriptionLines[] }
  offline?: { max: number }
}

/** A bridge's configuration file. */
export interface BridgeLines {
  hub: Readonly<Record<string, unknown>>
  remotes: readonly Readonly<Record<string, unknown>>[]
  rules: readonly RuleLines[]
  status?: { topic: string }
  message?: { length: { max: string | number } }
  shutdown?: { timeout: string }
}

/** A pause between attempts that a test can wait for. */
const SOON = { interval: '200ms' }

/** The configuration of a file with short pauses, a short stop, and no status topic, unless it says otherwise. */
export function bridgeConfigOf(lines: BridgeLines): BridgeConfig {
  const file = {
    status: { topic: 'none' },
    shutdown: { timeout: '200ms' },
    ...lines,
    hub: { ...SOON, ...lines.hub },
    remotes: lines.remotes.map(remote => ({ ...SOON, ...remote })),
  }
  return parseBridgeConfig(JSON.stringify(file), { file: 'bridge.yml', env: {} }).config
}

/** One rule, called `rule`, between a hub and a remote called `cloud`. */
export function oneRule(
  hub: string | Readonly<Record<string, unknown>>,
  remote: string | Readonly<Record<string, unknown>>,
  flows: { out?: readonly SubscriptionLines[]; in?: readonly SubscriptionLines[]; offline?: { max: number } },
  more: Partial<Pick<BridgeLines, 'status' | 'message' | 'shutdown'>> = {},
): BridgeLines {
  const side = (given: typeof hub): Readonly<Record<string, unknown>> =>
    typeof given === 'string' ? { address: given } : given
  return {
    hub: side(hub),
    remotes: [{ name: 'cloud', ...side(remote) }],
    rules: [
      {
        name: 'rule',
        hub: { clientid: 'on-hub', subscriptions: flows.out ?? [] },
        remote: { name: 'cloud', clientid: 'on-remote', subscriptions: flows.in ?? [] },
        ...(flows.offline === undefined ? {} : { offline: flows.offline }),
      },
    ],
    ...more,
  }
}

/** A bridge that runs. */
export class TestBridge {
  readonly service: BridgeService
  readonly log: BridgeLog
  #isStopped = false

  constructor(service: BridgeService, log: BridgeLog) {
    this.service = service
    this.log = log
  }

  rule(name = 'rule'): RuleFigures {
    const found = this.service.figures().rules.find(each => each.name === name)
    assert.ok(found !== undefined, `there is no rule ${name}`)
    return found
  }

  flow(direction: 'out' | 'in' = 'out', name = 'rule'): FlowFigures {
    const found = this.rule(name).flows.find(each => each.direction === direction)
    assert.ok(found !== undefined, `rule ${name} has no flow ${direction}`)
    return found
  }

  link(side: 'hub' | 'remote', name = 'rule'): LinkFigures {
    const found = this.rule(name).links.find(each => each.side === side)
    assert.ok(found !== undefined, `rule ${name} has no link ${side}`)
    return found
  }

  /** Waits until the figures are as wanted. */
  async until(isSo: () => boolean, what: string, timeoutMs: number = PATIENCE_MS): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while (!isSo()) {
      if (performance.now() > deadline) {
        const figures = this.#isStopped ? '' : inspect(this.service.figures(), { depth: 6 })
        assert.fail(`not within ${timeoutMs} ms: ${what}\n${figures}\n${this.log.toString()}`)
      }
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }

  /** Both links of these rules stand; of all rules when none is named. */
  connected(...names: string[]): Promise<void> {
    const wanted = names.length === 0 ? this.service.figures().rules.map(({ name }) => name) : names
    return this.until(
      () => wanted.every(name => this.rule(name).links.every(({ phase }) => phase === 'connected')),
      `${wanted.join(', ')} connected`,
    )
  }

  reload(lines: BridgeLines): Promise<void> {
    return this.service.reload(bridgeConfigOf(lines))
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.service.stop()
  }
}

export class Stage implements Cleanup {
  readonly #steps: (() => void | Promise<void>)[] = []

  constructor(t: Cleanup) {
    t.after(() => this.#takeDown())
  }

  after(step: () => void | Promise<void>): void {
    this.#steps.push(step)
  }

  hub(options?: BrokerOptions): Promise<OwnHub> {
    return startHubBroker(this, options)
  }

  mosquitto(options?: BrokerOptions): Promise<Broker> {
    return startMosquitto(this, options)
  }

  certificates(): Promise<BridgeCertificates> {
    return makeBridgeCertificates(this)
  }

  fake(options?: FakeOptions): Promise<FakeBroker> {
    return FakeBroker.start(this, options)
  }

  /** Starts a bridge, which need not be connected yet. Paths are relative to `baseDir`. */
  async bridge(lines: BridgeLines, baseDir?: string): Promise<TestBridge> {
    const log = new BridgeLog()
    const service = new BridgeService(bridgeConfigOf(lines), log, baseDir)
    const bridge = new TestBridge(service, log)
    this.after(() => bridge.stop())
    await service.start(new AbortController().signal)
    return bridge
  }

  /** As bridge(), with all its links up. */
  async connectedBridge(lines: BridgeLines, baseDir?: string): Promise<TestBridge> {
    const bridge = await this.bridge(lines, baseDir)
    await bridge.connected()
    return bridge
  }

  async #takeDown(): Promise<void> {
    const failures: unknown[] = []
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step()
      } catch (failure) {
        failures.push(failure)
      }
    }
    if (failures.length > 0) throw failures.length === 1 ? failures[0] : new AggregateError(failures)
  }
}

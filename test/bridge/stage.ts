import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../crash/random.ts'
import { until } from '../crash/wait.ts'
import { fixedPort, TcpProxy } from '../support/proxy.ts'
import type { Client } from './client.ts'
import { Ledger } from './ledger.ts'
import { type Fault, type FaultKind, planOf, RECOVERY_MS } from './plan.ts'
import type { ProcessOptions } from './process.ts'
import { Bridge, type BridgeKind, Broker, type BrokerKind, type Rule } from './programs.ts'
import { Publisher } from './publisher.ts'
import type { Direction } from './stream.ts'
import { Subscriber } from './subscriber.ts'

/** QoS 1 is judged; the rule of QoS 2 shows what comes twice. */
const RULES: readonly Rule[] = [
  { name: 'q1', qos: 1 },
  { name: 'q2', qos: 2 },
]
const DIRECTIONS: readonly Direction[] = ['out', 'in']
/** Per rule and direction. */
const TOPICS = 4

const PROBE_MS = 20_000
const DRAIN_MS = 120_000
/** After everything has arrived, for what may come twice. */
const TRAILING_MS = 1000

export interface StageOptions {
  /** Where all processes work and log. */
  readonly dir: string
  /** What `openedge` is. */
  readonly program: string
  readonly bridge: BridgeKind
  readonly remote: BrokerKind
  /** How the bridge is ended. */
  readonly bridgeSignal: 'SIGKILL' | 'SIGTERM'
  /** Of flow. */
  readonly seconds: number
  readonly counts: Readonly<Record<FaultKind, number>>
  readonly cutMs: number
  /** Messages per second and direction at QoS 1. */
  readonly rate: number
  /** The same at QoS 2. */
  readonly rateQos2: number
  /** Milliseconds that the way to the remote takes. */
  readonly delayMs: number
  /** At the end: what is missing when nothing has come for so long is lost. Milliseconds. */
  readonly stillMs: number
  readonly random: Random
  readonly log: (line: string) => void
}

/** A fault that happened. */
export interface FaultRecord {
  readonly kind: FaultKind
  readonly downMs: number
  /** From its end until messages published after it arrived on all ways; null: that was not waited for. */
  readonly recoveryMs: number | null
}

export interface Outcome {
  readonly ledger: Ledger
  readonly faults: readonly FaultRecord[]
  readonly seconds: number
  readonly drainMs: number
  /** Most resident memory of the bridge, bytes. */
  readonly bridgePeak: number
}

/** Both brokers, the bridge, the network, and everyone who publishes and subscribes. */
export class Stage {
  readonly ledger: Ledger
  readonly #options: StageOptions
  readonly #hub: Broker
  readonly #remote: Broker
  readonly #bridge: Bridge
  readonly #network: TcpProxy
  readonly #publishers: Publisher[] = []
  readonly #subscribers: Subscriber[] = []
  readonly #witnesses: Subscriber[] = []
  readonly #faults: FaultRecord[] = []
  readonly #since = performance.now()

  private constructor(options: StageOptions, ledger: Ledger, places: Places) {
    this.#options = options
    this.ledger = ledger
    this.#hub = places.hub
    this.#remote = places.remote
    this.#bridge = places.bridge
    this.#network = places.network
    for (const direction of DIRECTIONS) for (const rule of RULES) this.#cast(rule, direction)
  }

  static async run(options: StageOptions): Promise<Outcome> {
    const note = (text: string): void => appendFileSync(join(options.dir, 'events.log'), stamped(text))
    const ledger = new Ledger(text => {
      note(text)
      options.log(`! ${text}`)
    })
    const stage = new Stage(options, ledger, await makePlaces(options, ledger))
    return stage.#play()
  }

  async #play(): Promise<Outcome> {
    let drainMs = 0
    const began = performance.now()
    try {
      await this.#open()
      for (const publisher of this.#publishers) publisher.produce()
      await this.#playFaults()
      drainMs = await this.#drain()
    } catch (thrown) {
      // A process that does not come back ends the run, and is what the run has found.
      this.ledger.violation('stuck', thrown instanceof Error ? thrown.message : String(thrown))
    } finally {
      for (const client of this.#clients) client.goOffline()
      for (const publisher of this.#publishers) publisher.stopProducing()
      await Promise.all([this.#bridge.close(), this.#hub.close(), this.#remote.close(), this.#network.close()])
    }
    this.ledger.conclude()
    const seconds = (performance.now() - began) / 1000
    return { ledger: this.ledger, faults: this.#faults, seconds, drainMs, bridgePeak: this.#bridge.peakMemory }
  }

  // --- Before the faults ----------------------------------------------------------------------------------------------

  #cast(rule: Rule, direction: Direction): void {
    const { ledger } = this
    const { rate, rateQos2, random } = this.#options
    const { name, qos } = rule
    const [from, to] = direction === 'out' ? [this.#hub, this.#remote] : [this.#remote, this.#hub]
    const isSourceTrusted = from.kind === 'hub'
    const streams = Array.from({ length: TOPICS }, (_, i) =>
      ledger.stream({ rule: name, direction, topic: `${direction}/${name}/${i}`, qos, isSourceTrusted }),
    )
    const id = `${direction}-${name}`
    const taken = { ledger, streams, qos, filter: `${direction}/${name}/#` }
    this.#publishers.push(
      new Publisher({
        id: `publishes-${id}`,
        port: () => from.port,
        ledger,
        streams,
        rate: qos === 1 ? rate : rateQos2,
        random: random.fork(id),
      }),
    )
    this.#subscribers.push(new Subscriber({ ...taken, id: `subscribes-${id}`, port: () => to.port }))
    this.#witnesses.push(new Subscriber({ ...taken, id: `witnesses-${id}`, port: () => from.port, isWitness: true }))
  }

  /** Everybody comes, and a probe has gone all ways. */
  async #open(): Promise<void> {
    await Promise.all([this.#hub.start(), this.#remote.start()])
    for (const client of this.#clients) client.goOnline()
    const takers = [...this.#subscribers, ...this.#witnesses]
    const isSettled = await until(() => takers.every(({ isSubscribed }) => isSubscribed), PROBE_MS)
    if (!isSettled) throw new Error('the clients can not connect and subscribe')
    this.#bridge.start()
    let asked = 0
    const isThrough = await until(() => {
      if (performance.now() - asked > 200) {
        asked = performance.now()
        for (const [i, publisher] of this.#publishers.entries()) {
          const { topic, qos } = this.#streamsOf(i)[0] as { topic: string; qos: 1 | 2 }
          if (this.#subscribers[i]?.probes === 0) publisher.probe(topic, qos)
        }
      }
      return this.#subscribers.every(({ probes }) => probes > 0)
    }, PROBE_MS)
    if (isThrough) return
    const silent = this.#subscribers.filter(({ probes }) => probes === 0).map(({ id }) => id)
    throw new Error(`the bridge carries nothing to ${silent.join(', ')}: ${this.#bridge.output.trim().slice(-1500)}`)
  }

  get #clients(): readonly Client[] {
    return [...this.#publishers, ...this.#subscribers, ...this.#witnesses]
  }

  #streamsOf(i: number): Ledger['streams'] {
    return this.ledger.streams.slice(i * TOPICS, (i + 1) * TOPICS)
  }

  // --- Faults ---------------------------------------------------------------------------------------------------------

  async #playFaults(): Promise<void> {
    const { seconds, counts, cutMs, random } = this.#options
    const plan = planOf({ seconds, counts, cutMs, random: random.fork('plan') })
    const began = performance.now()
    const reach = async (s: number): Promise<void> => {
      const ms = began + s * 1000 - performance.now()
      if (ms > 0) await sleep(ms)
    }
    for (const [i, fault] of plan.entries()) {
      await reach(fault.atS)
      const what = `${fault.kind} for ${fault.downMs} ms${fault.takesBridge ? ', the bridge killed meanwhile' : ''}`
      this.#note(`fault ${i + 1} of ${plan.length}: ${what}`)
      const record = await this.#suffer(fault)
      this.#faults.push(record)
      const after =
        record.recoveryMs === null ? 'not waited for' : `flows again after ${Math.round(record.recoveryMs)} ms`
      this.#options.log(`${this.#clock} ${i + 1}/${plan.length} ${what}, ${after}; ${this.#totals}`)
      this.#note(`fault ${i + 1}: ${after}`)
    }
    await reach(seconds)
  }

  async #suffer(fault: Fault): Promise<FaultRecord> {
    const { kind, downMs, patienceMs } = fault
    await this.#begin(kind)
    await sleep(downMs / 2)
    if (fault.takesBridge) {
      await this.#begin('bridge killed')
      this.#bridge.start()
    }
    await sleep(downMs / 2)
    await this.#finish(fault)
    const since = performance.now()
    const marks = this.ledger.streams.map(stream => ({ stream, mark: stream.length }))
    const hasRecovered = await until(() => marks.every(({ stream, mark }) => stream.highest >= mark), patienceMs)
    if (hasRecovered) return { kind, downMs, recoveryMs: performance.now() - since }
    if (patienceMs < RECOVERY_MS) return { kind, downMs, recoveryMs: null }
    const silent = marks.filter(({ stream, mark }) => stream.highest < mark)
    const topics = silent.map(({ stream, mark }) => `${stream.topic} (${stream.highest} arrived, ${mark} wanted)`)
    throw new Error(`${RECOVERY_MS} ms after "${kind}" nothing new comes on ${topics.join(', ')}`)
  }

  async #begin(kind: FaultKind): Promise<void> {
    const { bridgeSignal } = this.#options
    if (kind === 'hub killed') await this.#hub.end('SIGKILL')
    // Mosquitto forgets what it has acknowledged when it is killed.
    else if (kind === 'remote killed') await this.#remote.end(this.#remote.kind === 'hub' ? 'SIGKILL' : 'SIGTERM')
    else if (kind === 'bridge killed') await this.#bridge.end(bridgeSignal)
    else await this.#network.setMode(kind === 'network cut' ? 'cut' : 'half-open')
  }

  async #finish({ kind, isReset }: Fault): Promise<void> {
    if (kind === 'hub killed') await this.#hub.start()
    else if (kind === 'remote killed') await this.#remote.start()
    else if (kind === 'bridge killed') this.#bridge.start()
    else {
      if (isReset) this.#network.resetAll()
      await this.#network.setMode('pass')
    }
  }

  // --- After the faults -----------------------------------------------------------------------------------------------

  /** Nothing new is published; waits until all has arrived or nothing comes any more. Returns how long that took. */
  async #drain(): Promise<number> {
    const { ledger } = this
    const began = performance.now()
    for (const publisher of this.#publishers) publisher.stopProducing()
    let deliveries = -1
    let since = began
    await until(
      () => {
        if (ledger.isComplete) return true
        const now = performance.now()
        if (ledger.deliveries !== deliveries) since = now
        deliveries = ledger.deliveries
        return now - since > this.#options.stillMs
      },
      DRAIN_MS,
      50,
    )
    const ms = performance.now() - began
    this.#note(`drained in ${Math.round(ms)} ms, ${ledger.isComplete ? 'complete' : 'not complete'}`)
    await sleep(TRAILING_MS)
    return ms
  }

  get #clock(): string {
    return `${((performance.now() - this.#since) / 1000).toFixed(1).padStart(6)} s`
  }

  get #totals(): string {
    const { streams, violations } = this.ledger
    const sum = (pick: (stream: (typeof streams)[number]) => number): number =>
      streams.reduce((total, stream) => total + pick(stream), 0)
    const parts = [
      `${sum(({ length }) => length)} sent`,
      `${sum(({ arrived }) => arrived)} arrived`,
      `${sum(({ duplicates }) => duplicates)} again`,
      `${violations} violations`,
    ]
    return parts.join(', ')
  }

  #note(text: string): void {
    appendFileSync(join(this.#options.dir, 'events.log'), stamped(text))
  }
}

interface Places {
  readonly hub: Broker
  readonly remote: Broker
  readonly bridge: Bridge
  readonly network: TcpProxy
}

async function makePlaces({ dir, program, bridge, remote, delayMs }: StageOptions, ledger: Ledger): Promise<Places> {
  const onEnded = (how: string): void => ledger.violation('ended', how)
  const place = (name: string): ProcessOptions & { program: string } => ({
    name,
    program,
    dir: join(dir, name),
    onEnded,
  })
  const hubPort = await fixedPort()
  const there = new Broker({ ...place('remote'), kind: remote, port: await fixedPort() })
  const network = await TcpProxy.listen({ target: () => there.port, port: await fixedPort(), delayMs })
  return {
    hub: new Broker({ ...place('hub'), kind: 'hub', port: hubPort }),
    remote: there,
    network,
    bridge: new Bridge({
      ...place('bridge'),
      kind: bridge,
      hubPort,
      remotePort: network.port,
      ownPort: await fixedPort(),
      rules: RULES,
    }),
  }
}

function stamped(text: string): string {
  return `${new Date().toISOString()} ${text}\n`
}

import type { Random } from '../crash/random.ts'
import type { Client } from './client.ts'
import type { Ledger } from './ledger.ts'
import type { Broker, Rule } from './programs.ts'
import { Publisher } from './publisher.ts'
import type { Direction } from './stream.ts'
import { Subscriber } from './subscriber.ts'

/** QoS 1 is what bridges are for; the rule of QoS 2 shows whether anything comes twice. */
export const RULES: readonly Rule[] = [
  { name: 'q1', qos: 1 },
  { name: 'q2', qos: 2 },
]
const DIRECTIONS: readonly Direction[] = ['out', 'in']
/** Per rule and direction. */
const TOPICS = 4

export interface CastOptions {
  readonly hub: Broker
  readonly remote: Broker
  readonly ledger: Ledger
  /** Messages per second and direction at QoS 1. */
  readonly rate: number
  /** The same at QoS 2. */
  readonly rateQos2: number
  readonly random: Random
}

/** Who publishes at one side, who takes it at the other, and who sees at the first that it was there. */
interface Way {
  readonly topic: string
  readonly qos: 1 | 2
  readonly publisher: Publisher
  readonly subscriber: Subscriber
  readonly witness: Subscriber
}

/** Everyone who publishes and subscribes: one of each for each direction of each rule. */
export class Cast {
  readonly #ways: readonly Way[]

  constructor(options: CastOptions) {
    this.#ways = DIRECTIONS.flatMap(direction => RULES.map(rule => makeWay(options, rule, direction)))
  }

  get isSubscribed(): boolean {
    return this.#ways.every(({ subscriber, witness }) => subscriber.isSubscribed && witness.isSubscribed)
  }

  /** Topics that no probe has come through on. */
  get silent(): string[] {
    return this.#ways.filter(({ subscriber }) => subscriber.probes === 0).map(({ topic }) => topic)
  }

  enter(): void {
    for (const client of this.#clients) client.goOnline()
  }

  /** Sends a probe wherever none has come through. */
  probe(): void {
    for (const { publisher, subscriber, topic, qos } of this.#ways)
      if (subscriber.probes === 0) publisher.probe(topic, qos)
  }

  produce(): void {
    for (const { publisher } of this.#ways) publisher.produce()
  }

  stopProducing(): void {
    for (const { publisher } of this.#ways) publisher.stopProducing()
  }

  leave(): void {
    this.stopProducing()
    for (const client of this.#clients) client.goOffline()
  }

  get #clients(): Client[] {
    return this.#ways.flatMap(({ publisher, subscriber, witness }) => [publisher, subscriber, witness])
  }
}

function makeWay(options: CastOptions, { name, qos }: Rule, direction: Direction): Way {
  const { hub, remote, ledger, random } = options
  const [from, to] = direction === 'out' ? [hub, remote] : [remote, hub]
  const prefix = `${direction}/${name}`
  const topics = Array.from({ length: TOPICS }, (_, i) => `${prefix}/${i}`)
  const isSourceTrusted = from.kind === 'hub'
  const streams = topics.map(topic => ledger.stream({ rule: name, direction, topic, qos, isSourceTrusted }))
  const id = `${direction}-${name}`
  const here = { ledger, streams, port: () => from.port }
  const rate = qos === 1 ? options.rate : options.rateQos2
  const taken = { ...here, qos, filter: `${prefix}/#` }
  return {
    topic: `${prefix}/0`,
    qos,
    publisher: new Publisher({ ...here, id: `publishes-${id}`, rate, random: random.fork(id) }),
    subscriber: new Subscriber({ ...taken, id: `subscribes-${id}`, port: () => to.port }),
    witness: new Subscriber({ ...taken, id: `witnesses-${id}`, isWitness: true }),
  }
}

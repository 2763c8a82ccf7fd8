import { Noise, Settler, Wanderer } from './bystanders.ts'
import type { World } from './client.ts'
import { Publisher } from './publisher.ts'
import type { Random } from './random.ts'
import type { Stream } from './stream.ts'
import { Subscriber, type SubscriberOptions } from './subscriber.ts'

/** Always there. Each message is wanted by at least one of them, so that the hub has to store it. */
const STAYERS: readonly SubscriberOptions[] = [
  { id: 'stays-q1', filters: [['m/#', 1]] },
  { id: 'stays-q2', filters: [['m/#', 2]] },
  { id: 'stays-slow', filters: [['m/+/0', 2]], ackDelayMs: 15 },
  { id: 'stays-state', filters: [['state/#', 1]], ackDelayMs: 3 },
  {
    id: 'stays-overlap',
    filters: [
      ['m/p1/#', 1],
      ['m/+/1', 2],
      ['m/p3/+', 2],
    ],
  },
]

/** Come and go at random. */
const COMERS: readonly SubscriberOptions[] = [
  { id: 'comes-q1', filters: [['m/#', 1]] },
  { id: 'comes-q2', filters: [['m/#', 2]] },
  {
    id: 'comes-slow',
    filters: [
      ['m/+/0', 1],
      ['m/+/1', 2],
    ],
    ackDelayMs: 10,
  },
  { id: 'comes-state', filters: [['state/#', 1]] },
]

/** Subscribe, go, and come back when everything is over. */
const LATE: readonly SubscriberOptions[] = [
  {
    id: 'late-q1',
    filters: [
      ['m/#', 1],
      ['state/#', 1],
    ],
  },
  { id: 'late-q2', filters: [['m/#', 2]] },
]

const WANDERED = ['m/+/0', 'm/p1/#', 'm/p3/#', 'm/all/+', 'm/p5/2', 'state/p6/1']

export const RETAINED_FILTERS = ['state/#', 'flag/#'] as const

export interface CastOptions {
  /** Messages per second of all publishers together. */
  readonly rate: number
  readonly random: Random
}

/** Everyone who publishes and subscribes. */
export class Cast {
  readonly publishers: readonly Publisher[]
  readonly subscribers: readonly Subscriber[]
  readonly retained: readonly Stream[]
  readonly #stayers: readonly Subscriber[]
  readonly #comers: readonly Subscriber[]
  readonly #late: readonly Subscriber[]
  readonly #wanderers: readonly Wanderer[]
  readonly #settlers: readonly Settler[]
  readonly #noise: readonly Noise[]
  readonly #random: Random
  readonly #timers = new Map<Subscriber | Noise, NodeJS.Timeout>()

  constructor({ rate, random }: CastOptions, world: World) {
    const { ledger } = world
    this.#random = random.fork('cast')
    const make = (options: SubscriberOptions): Subscriber => new Subscriber(options, world)
    this.#stayers = STAYERS.map(make)
    this.#comers = COMERS.map(make)
    this.#late = LATE.map(make)
    this.#wanderers = [0, 1, 2].map(i => new Wanderer(`wanders-${i}`, WANDERED, random.fork(`wanders-${i}`), world))
    this.#settlers = [0, 1].map(i => new Settler(`settles-${i}`, random.fork(`settles-${i}`), world))
    this.#noise = [0, 1].map(i => new Noise(`noise-${i}`, random.fork(`noise-${i}`), world))
    this.subscribers = [...this.#stayers, ...this.#comers, ...this.#late, ...this.#wanderers.map(w => w.subscriber)]

    const stream = (publisher: string, topic: string, qos: 1 | 2): Stream => ledger.stream({ publisher, topic, qos })
    const own = (publisher: string, ...each: (1 | 2)[]): Stream[] =>
      each.map((qos, i) => stream(publisher, `m/${publisher}/${i}`, qos))
    const p6 = { publisher: 'p6', qos: 1, retain: true } as const
    const numbers = [0, 1, 2, 3, 4, 5]
    this.retained = [
      ...numbers.map(i => ledger.stream({ ...p6, topic: `state/p6/${i}` })),
      ...numbers.map(i => ledger.stream({ ...p6, topic: `flag/p6/${i}`, clears: true })),
    ]
    const streams: readonly (readonly [id: string, window: number, streams: readonly Stream[]])[] = [
      ['p1', 100, [...own('p1', 1, 1, 1), stream('p1', 'm/all/0', 1)]],
      ['p2', 5, own('p2', 1, 1, 1)],
      ['p3', 50, [...own('p3', 2, 2, 2), stream('p3', 'm/all/0', 2)]],
      ['p4', 5, own('p4', 2, 2, 2)],
      ['p5', 20, [...own('p5', 1, 2, 1, 2), stream('p5', 'm/all/1', 1)]],
      ['p6', 20, this.retained],
    ]
    this.publishers = streams.map(
      ([id, window, streams]) => new Publisher({ id, window, streams, rate: rate / 6, random: random.fork(id) }, world),
    )
  }

  /** Everyone who keeps a record, and the publishers. */
  get #regulars(): readonly (Publisher | Subscriber)[] {
    return [...this.publishers, ...this.subscribers]
  }

  /** Every wanted connection stands and every SUBSCRIBE is answered. */
  get isSettled(): boolean {
    return (
      this.#regulars.every(client => !client.isWanted || client.isConnected) &&
      this.subscribers.every(subscriber => subscriber.isSettled)
    )
  }

  /** Everything published is acknowledged. */
  get isIdle(): boolean {
    return this.publishers.every(publisher => publisher.isIdle)
  }

  /** Everybody connects, for the subscriptions that hold from the beginning. */
  enter(): void {
    for (const client of this.#regulars) client.goOnline()
  }

  /** The traffic begins, and with it all the coming and going. */
  play(): void {
    for (const subscriber of this.#late) subscriber.goOffline(true)
    for (const client of [...this.#comers, ...this.#noise]) this.#comeAndGo(client)
    for (const wanderer of this.#wanderers) {
      wanderer.wander()
      this.#comeAndGo(wanderer.subscriber)
    }
    for (const settler of this.#settlers) settler.goOnline()
    this.produce()
  }

  produce(): void {
    for (const publisher of this.publishers) publisher.produce()
  }

  stopProducing(): void {
    for (const publisher of this.publishers) publisher.stopProducing()
  }

  /** Nothing new is published, nobody subscribes to anything else, everybody is there to get what is left. */
  rest(): void {
    this.stopProducing()
    for (const timer of this.#timers.values()) clearTimeout(timer)
    for (const wanderer of this.#wanderers) wanderer.rest()
    for (const settler of this.#settlers) settler.rest()
    for (const noise of this.#noise) noise.goOffline(true)
    this.enter()
  }

  leave(): void {
    this.rest()
    for (const client of this.#regulars) client.goOffline(true)
  }

  #comeAndGo(client: Subscriber | Noise): void {
    const random = this.#random
    const isComing = !client.isWanted
    if (isComing) client.goOnline()
    else client.goOffline(random.chance(0.5))
    const again = random.between(isComing ? 50 : 20, isComing ? 900 : 1200)
    this.#timers.set(
      client,
      setTimeout(() => this.#comeAndGo(client), again),
    )
  }
}

// What every suite of this folder runs on: brokers that are closed after the test, and clients that speak real bytes to
// them over a pair of joined streams.
import assert from 'node:assert/strict'
import type { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { type Duplex, duplexPair } from 'node:stream'
import { describe, test } from 'node:test'
import type { Aedes, AedesOptions, Client } from 'aedes'
import { generate, type IConnackPacket, type IConnectPacket, type Packet, parser } from 'mqtt-packet'

/** Makes a broker that listens, as `Aedes.createBroker` does. */
export type Create = (options?: AedesOptions) => Promise<Aedes>

/** A hook of the broker by its option's name, as a type. */
export type Hook<Name extends keyof AedesOptions> = NonNullable<AedesOptions[Name]>

/** Defines one test of a suite. `oracle: false`: aedes differs here, so only the hub is held to it. */
export type It = (title: string, body: (lab: Lab) => Promise<void> | void, options?: { oracle?: boolean }) => void

const PATIENCE_MS = 3_000

/**
 * Groups the tests of one topic for one implementation.
 * @param oracle true when `create` makes aedes itself: the tests that aedes is known not to meet are then left out.
 */
export function contract(name: string, topic: string, create: Create, oracle: boolean, define: (it: It) => void): void {
  void describe(`${name}: ${topic}`, () => {
    define((title, body, options = {}) => {
      if (oracle && options.oracle === false) return
      void test(title, { timeout: 4 * PATIENCE_MS }, async () => {
        const lab = new Lab(create)
        try {
          await body(lab)
        } finally {
          await lab.close()
        }
      })
    })
  })
}

/** Rejects when a promise takes so long that it will never settle. */
export async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${PATIENCE_MS} ms for ${what}`)), PATIENCE_MS)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Waits until a condition holds; for what no event tells. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`waited ${PATIENCE_MS} ms until ${what}`)
    await new Promise(resolve => setTimeout(resolve, 1))
  }
}

/** Lets the event loop turn often enough for anything that does not wait for a peer to have happened. */
export async function turns(count = 50): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(resolve => setImmediate(resolve))
}

/** The arguments of the next emission of an event. Errors are an event like any other here. */
export function emitted<Arguments extends unknown[]>(emitter: EventEmitter, event: string): Promise<Arguments> {
  const arrived = new Promise<Arguments>(resolve => {
    emitter.once(event, (...values: unknown[]) => resolve(values as Arguments))
  })
  const result = within(arrived, `the event ${event}`)
  // A test that fails before it waits for this must report its own failure only.
  result.catch(() => {})
  return result
}

/** A message as the programming interface takes it. */
export function message(topic: string, payload: string, options: { qos?: 0 | 1 | 2; retain?: boolean } = {}) {
  return {
    cmd: 'publish' as const,
    topic,
    payload: Buffer.from(payload) as Buffer,
    qos: options.qos ?? 0,
    retain: options.retain ?? false,
    dup: false,
  }
}

/** Publishes through the broker and resolves when its callback is called without an error. */
export function publish(broker: Aedes, packet: ReturnType<typeof message>): Promise<void> {
  const done = new Promise<void>((resolve, reject) => {
    broker.publish(packet, error => (error ? reject(error) : resolve()))
  })
  return within(done, `the callback of publish to ${packet.topic}`)
}

/** Subscribes through the broker; what arrives is pushed to the list that it returns. */
export async function listen(broker: Aedes, filter: string): Promise<Delivered[]> {
  const seen: Delivered[] = []
  const ready = new Promise<void>(resolve => {
    broker.subscribe(
      filter,
      (packet, done) => {
        seen.push(packet as Delivered)
        done()
      },
      resolve,
    )
  })
  await within(ready, `the callback of subscribe ${filter}`)
  return seen
}

/** What a deliver function and authorizeForward are given. */
export interface Delivered {
  cmd: string
  topic: string
  payload: Buffer
  qos: number
  retain: boolean
  brokerId: string
  brokerCounter: number
  clientId?: string
}

/** Closes a broker and resolves when its callback is called. */
export function closing(broker: Aedes): Promise<void> {
  return within(new Promise<void>(resolve => broker.close(resolve)), 'the callback of close')
}

/** A hook may answer in either way. */
export const VARIANTS = ['at once', 'later'] as const

/** Calls at once or in a later turn of the event loop. */
export function when(variant: (typeof VARIANTS)[number], call: () => void): void {
  if (variant === 'at once') call()
  else setImmediate(call)
}

/** The names of the events of a broker, with the client's id, in the order in which they come. */
export function record(broker: Aedes): string[] {
  const seen: string[] = []
  broker.on('client', client => seen.push(`client ${client.id}`))
  broker.on('connackSent', packet => seen.push(`connackSent ${packet.returnCode}`))
  broker.on('clientReady', client => seen.push(`clientReady ${client.id}`))
  broker.on('clientDisconnect', client => seen.push(`clientDisconnect ${client.id}`))
  broker.on('clientError', client => seen.push(`clientError ${client.id}`))
  broker.on('connectionError', () => seen.push('connectionError'))
  return seen
}

/** The brokers and clients of one test. */
export class Lab {
  readonly #create: Create
  readonly #brokers: Aedes[] = []
  readonly #devices: Device[] = []

  constructor(create: Create) {
    this.#create = create
  }

  /** A broker that is closed when the test ends. */
  async open(options?: AedesOptions): Promise<Aedes> {
    const broker = await this.#create(options)
    this.#brokers.push(broker)
    return broker
  }

  /** A connection that has not said anything yet. */
  attach(broker: Aedes, options: { request?: IncomingMessage; paused?: boolean } = {}): Device {
    const device = new Device(broker, options.request, options.paused ?? false)
    this.#devices.push(device)
    return device
  }

  /** A connection that has been accepted. */
  async connect(broker: Aedes, clientId: string, options: Partial<IConnectPacket> = {}): Promise<Device> {
    const device = this.attach(broker)
    const ready = new Promise<void>(resolve => {
      device.client.once('connected', resolve)
    })
    device.send(connectPacket(clientId, options))
    const connack = await device.expect('connack')
    assert.equal(connack.returnCode, 0)
    device.connack = connack
    await within(ready, 'the client event connected')
    return device
  }

  /** Ends what is left over. */
  async close(): Promise<void> {
    for (const device of this.#devices) device.cut()
    for (const broker of this.#brokers) await closing(broker)
  }
}

/** A CONNECT with a clean session and no keep alive unless said otherwise. */
export function connectPacket(clientId: string, options: Partial<IConnectPacket> = {}): IConnectPacket {
  return { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, clean: true, keepalive: 0, ...options, clientId }
}

type PacketOf<Command extends Packet['cmd']> = Extract<Packet, { cmd: Command }>

/** The far end of a connection: writes and reads packets as a client does. */
export class Device {
  /** What the broker's `handle` returned for this connection. */
  readonly client: Client
  /** The broker's end of the connection. */
  readonly near: Duplex
  /** Resolves when the broker has closed the connection, or the test has. */
  readonly closed: Promise<void>
  isClosed = false
  /** The answer to CONNECT, once there is one. */
  connack: IConnackPacket | undefined
  /** Packets that have arrived and were not asked for yet. */
  readonly inbox: Packet[] = []
  readonly #broker: Aedes
  readonly #far: Duplex
  #wake: (() => void) | undefined

  constructor(broker: Aedes, request: IncomingMessage | undefined, paused: boolean) {
    this.#broker = broker
    // As a socket: when one side ends, the other side ends too.
    const [near, far] = duplexPair({ allowHalfOpen: false })
    this.near = near
    this.#far = far
    const reader = parser()
    reader.on('packet', packet => {
      this.inbox.push(packet)
      this.#wake?.()
    })
    reader.on('error', (error: Error) => far.destroy(error))
    far.on('error', () => {})
    if (!paused) far.on('data', (chunk: Buffer) => reader.parse(chunk))
    this.closed = new Promise(resolve => {
      near.once('close', () => {
        // What was written before the close is still to be read; joined streams do not tell each other about destroy().
        setImmediate(() => {
          this.isClosed = true
          far.destroy()
          this.#wake?.()
          resolve()
        })
      })
    })
    this.client = request === undefined ? broker.handle(near) : broker.handle(near, request)
  }

  /** Sends packets in one chunk. */
  send(...packets: Packet[]): void {
    this.write(Buffer.concat(packets.map(packet => generate(packet))))
  }

  /** Sends bytes as they are. */
  write(bytes: Buffer): void {
    this.#far.write(bytes)
  }

  /** The next packet from the broker. */
  async next(): Promise<Packet> {
    const packet = this.inbox.shift()
    if (packet !== undefined) return packet
    if (this.isClosed) throw new Error('the connection is closed and there is no packet left')
    await within(
      new Promise<void>(resolve => {
        this.#wake = resolve
      }),
      'a packet',
    )
    this.#wake = undefined
    return this.next()
  }

  /** The next packet from the broker, which must be of this kind. */
  async expect<Command extends Packet['cmd']>(command: Command): Promise<PacketOf<Command>> {
    const packet = await this.next()
    assert.equal(packet.cmd, command, `expected ${command}, got ${JSON.stringify(packet)}`)
    return packet as PacketOf<Command>
  }

  /** Sends SUBSCRIBE for one filter and gives the return code. */
  async subscribe(topic: string, qos: 0 | 1 | 2 = 0, messageId = 1): Promise<number> {
    this.send({ cmd: 'subscribe', messageId, subscriptions: [{ topic, qos }] })
    const suback = await this.expect('suback')
    assert.equal(suback.messageId, messageId)
    return suback.granted[0] as number
  }

  /** The packets that come before the answer to a ping: whatever was on its way has then arrived. */
  async settle(): Promise<Packet[]> {
    this.send({ cmd: 'pingreq' })
    const before: Packet[] = []
    for (;;) {
      const packet = await this.next()
      if (packet.cmd === 'pingresp') return before
      before.push(packet)
    }
  }

  /** Asserts that the broker closes the connection. */
  async expectClosed(): Promise<void> {
    await within(this.closed, 'the broker to close the connection')
  }

  /** Leaves with DISCONNECT and waits until the broker has done with this client. */
  async disconnect(): Promise<void> {
    const gone = new Promise<void>(resolve => {
      const onDisconnect = (client: Client) => {
        if (client !== this.client) return
        this.#broker.removeListener('clientDisconnect', onDisconnect)
        resolve()
      }
      this.#broker.on('clientDisconnect', onDisconnect)
    })
    this.send({ cmd: 'disconnect' })
    await this.expectClosed()
    await within(gone, 'the event clientDisconnect')
  }

  /** Says that nothing more will be sent, and leaves the rest to the broker. */
  end(): void {
    this.#far.end()
  }

  /** Loses the connection without DISCONNECT. */
  cut(): void {
    this.#far.destroy()
    this.near.destroy()
  }
}

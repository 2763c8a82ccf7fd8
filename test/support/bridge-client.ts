/** A client of a broker that a bridge leads to: takes all that comes, and publishes to the end. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { lineOf } from './bridge-packets.ts'
import {
  type ConnectOptions,
  connect,
  disconnect,
  type Packet,
  PacketDecoder,
  type PacketOf,
  type PublishOptions,
  pingreq,
  puback,
  pubcomp,
  publish,
  pubrec,
  pubrel,
  subscribe,
} from './packets.ts'

const PATIENCE_MS = 15_000

/** Acknowledges whatever it gets, with the QoS it comes with. */
export class BridgeClient {
  readonly #socket: net.Socket
  readonly #decoder = new PacketDecoder()
  readonly #answers: Packet[] = []
  readonly #wakes = new Set<() => void>()
  #failure: Error | null = null
  #isClosed = false
  #lastPacketId = 0
  /** All that came, in order. */
  readonly messages: PacketOf<'publish'>[] = []

  private constructor(socket: net.Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('data', chunk => this.#onData(chunk))
    socket.on('close', () => {
      this.#isClosed = true
      this.#wakeAll()
    })
  }

  /** Connects to a broker on loopback, which must let it in. */
  static async connect(port: number, options: ConnectOptions = {}): Promise<BridgeClient> {
    const socket = net.connect({ host: '127.0.0.1', port })
    await once(socket, 'connect')
    const client = new BridgeClient(socket)
    socket.write(connect(options))
    const connack = await client.#answer('connack')
    assert.equal(connack.returnCode, 0, `CONNACK ${connack.returnCode}`)
    return client
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** The messages, each as `topic qos payload`, with what else is set. */
  get lines(): string[] {
    return this.messages.map(lineOf)
  }

  get payloads(): string[] {
    return this.messages.map(({ payload }) => payload.toString())
  }

  send(...chunks: Uint8Array[]): void {
    for (const chunk of chunks) this.#socket.write(chunk)
  }

  async subscribe(...subscriptions: [filter: string, qos: number][]): Promise<void> {
    this.send(subscribe(this.#packetId(), ...subscriptions))
    const { returnCodes } = await this.#answer('suback')
    const granted = subscriptions.map(([, qos]) => qos)
    assert.deepEqual(returnCodes, granted, 'what is granted')
  }

  /** Publishes, and waits until the broker has taken it over. */
  async publish(options: PublishOptions): Promise<void> {
    const packetId = this.#packetId()
    this.send(publish({ ...options, packetId }))
    if (options.qos === 1) await this.#answer('puback', packetId)
    else if (options.qos === 2) {
      await this.#answer('pubrec', packetId)
      this.send(pubrel(packetId))
      await this.#answer('pubcomp', packetId)
    } else {
      this.send(pingreq())
      await this.#answer('pingresp')
    }
  }

  /** Publishes one after the other, without waiting in between; waits until all are taken over. */
  async publishAll(topic: string, qos: 0 | 1, payloads: readonly string[]): Promise<void> {
    const packets = payloads.map(payload => publish({ topic, payload, qos, packetId: this.#packetId() }))
    this.send(Buffer.concat(packets))
    for (const _ of qos === 1 ? payloads : []) await this.#answer('puback')
    this.send(pingreq())
    await this.#answer('pingresp')
  }

  /** Waits until there are so many messages, and says which: more may have come. */
  async until(count: number, timeoutMs: number = PATIENCE_MS): Promise<string[]> {
    await this.#until(
      () => this.messages.length >= count,
      () => `${count} messages: ${this.lines.join(', ')}`,
      timeoutMs,
    )
    return this.lines
  }

  /** Waits until a message with this payload has come, and says what came before it since the last time. */
  async untilPayload(wanted: string, timeoutMs: number = PATIENCE_MS): Promise<string[]> {
    const found = (): number => this.messages.findIndex(({ payload }) => payload.toString() === wanted)
    await this.#until(
      () => found() >= 0,
      () => `${wanted}: ${this.lines.join(', ')}`,
      timeoutMs,
    )
    return this.messages
      .splice(0, found() + 1)
      .slice(0, -1)
      .map(lineOf)
  }

  async closed(timeoutMs: number = PATIENCE_MS): Promise<void> {
    await this.#until(
      () => this.#isClosed,
      () => 'the end of the connection',
      timeoutMs,
    )
  }

  /** Says goodbye and waits for the end. */
  async leave(): Promise<void> {
    this.send(disconnect())
    await this.closed()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #packetId(): number {
    this.#lastPacketId = (this.#lastPacketId % 65_535) + 1
    return this.#lastPacketId
  }

  async #answer<T extends Packet['type']>(type: T, packetId?: number): Promise<PacketOf<T>> {
    await this.#until(
      () => this.#answers.length > 0 || this.#isClosed,
      () => type,
      PATIENCE_MS,
    )
    const answer = this.#answers.shift()
    assert.ok(answer !== undefined, `the broker closed the connection where ${type} was expected`)
    assert.equal(answer.type, type, `expected ${type}, got ${JSON.stringify(answer)}`)
    if (packetId !== undefined && 'packetId' in answer) assert.equal(answer.packetId, packetId, type)
    return answer as PacketOf<T>
  }

  async #until(condition: () => boolean, what: () => string, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while (!condition()) {
      if (this.#failure !== null) throw this.#failure
      const left = deadline - performance.now()
      assert.ok(left > 0, `not within ${timeoutMs} ms: ${what()}`)
      await new Promise<void>(resolve => {
        const done = (): void => {
          clearTimeout(timer)
          this.#wakes.delete(done)
          resolve()
        }
        const timer = setTimeout(done, left)
        this.#wakes.add(done)
      })
    }
  }

  #wakeAll(): void {
    for (const wake of this.#wakes) wake()
  }

  #onData(chunk: Buffer): void {
    try {
      for (const came of this.#decoder.push(chunk)) this.#onPacket(came)
    } catch (thrown) {
      this.#failure = thrown as Error
    }
    this.#wakeAll()
  }

  #onPacket(came: Packet): void {
    if (came.type === 'publish') {
      this.messages.push(came)
      if (came.qos === 1) this.send(puback(came.packetId))
      if (came.qos === 2) this.send(pubrec(came.packetId))
    } else if (came.type === 'pubrel') this.send(pubcomp(came.packetId))
    else this.#answers.push(came)
  }
}

/** A broker that does what a test tells it to: on bare sockets, with every packet of its clients laid open. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { type Sent, type SentConnect, SentDecoder, type SentOf, type SentPublish } from './bridge-packets.ts'
import { type PublishOptions, packet, puback, pubcomp, publish, pubrec, pubrel } from './packets.ts'
import type { Cleanup } from './raw-client.ts'

const PATIENCE_MS = 10_000
const PINGRESP = packet(0xd0)

/** What the broker does by itself; a test may change it at any time. */
export interface Manners {
  /** The answer to CONNECT: a return code, bytes, `close` to close, or null for none. Default 0. */
  connack: (connect: SentConnect, connection: FakeConnection) => number | Buffer | 'close' | null
  /** Whether CONNACK tells of a kept session. Default false. */
  sessionPresent: boolean
  /** What each filter is granted; null: SUBSCRIBE is not answered. Default what it asks for. */
  suback: ((filter: string, qos: number) => number) | null
  /** Default true. */
  answersPings: boolean
  /** Takes messages over and completes what it sent itself. Default false: the test does that. */
  acknowledges: boolean
  /** Sees each message before anything is done about it. */
  onPublish: ((message: SentPublish, connection: FakeConnection) => void) | null
}

export interface FakeOptions extends Partial<Manners> {
  /** Makes it a TLS server. */
  tls?: tls.TlsOptions
}

/** One connection of a client. */
export class FakeConnection {
  readonly #socket: net.Socket
  readonly #manners: Manners
  readonly #decoder = new SentDecoder()
  readonly #inbox: Sent[] = []
  readonly #wakes = new Set<() => void>()
  #failure: Error | null = null
  #isClosed = false
  /** Everything that came, in order. */
  readonly packets: Sent[] = []
  /** When it began, milliseconds of performance.now(). */
  readonly openedAt = performance.now()
  /** When it ended; 0: it stands. */
  closedAt = 0

  constructor(socket: net.Socket, manners: Manners) {
    this.#socket = socket
    this.#manners = manners
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('data', chunk => this.#onData(chunk))
    socket.on('close', () => {
      this.#isClosed = true
      this.closedAt = performance.now()
      this.#wakeAll()
    })
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** The protocol that was agreed on in the TLS handshake; null: none. */
  get alpn(): string | null {
    return this.#socket instanceof tls.TLSSocket ? this.#socket.alpnProtocol || null : null
  }

  /** The first packet. Only when it has come. */
  get connect(): SentConnect {
    const [first] = this.packets
    assert.equal(first?.type, 'connect', 'the first packet is CONNECT')
    return first as SentConnect
  }

  /** What has been sent of one type. */
  all<T extends Sent['type']>(type: T): SentOf<T>[] {
    return this.packets.filter(sent => sent.type === type) as SentOf<T>[]
  }

  send(...chunks: Uint8Array[]): void {
    for (const chunk of chunks) this.#socket.write(chunk)
  }

  publish(options: PublishOptions): void {
    this.send(publish(options))
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** Stops reading, as a peer that hangs. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Bytes that were sent and that the system has not taken yet. */
  get unwritten(): number {
    return this.#socket.writableLength
  }

  /** The next packet that the broker does not answer by itself: a message, an acknowledgement or DISCONNECT. */
  async next(timeoutMs: number = PATIENCE_MS): Promise<Sent> {
    await this.until(() => this.#inbox.length > 0 || this.#isClosed, 'another packet', timeoutMs)
    const sent = this.#inbox.shift()
    assert.ok(sent !== undefined, 'the client closed the connection where a packet was expected')
    return sent
  }

  async expect<T extends Sent['type']>(type: T, timeoutMs?: number): Promise<SentOf<T>> {
    const sent = await this.next(timeoutMs)
    assert.equal(sent.type, type, `expected ${type}, got ${JSON.stringify(sent)}`)
    return sent as SentOf<T>
  }

  /** So many messages, which must come next. */
  async messages(count: number, timeoutMs?: number): Promise<SentPublish[]> {
    const messages: SentPublish[] = []
    while (messages.length < count) messages.push(await this.expect('publish', timeoutMs))
    return messages
  }

  /** Nothing comes for a while that is not answered by itself. */
  async nothing(ms = 150): Promise<void> {
    const deadline = performance.now() + ms
    while (performance.now() < deadline) {
      assert.deepEqual(this.#inbox, [], 'expected silence')
      assert.ok(!this.#isClosed, 'expected silence, not the end of the connection')
      await new Promise(resolve => setTimeout(resolve, 10))
    }
    if (this.#failure !== null) throw this.#failure
  }

  /** Has subscribed to so many filters. */
  async subscribed(count = 1): Promise<readonly [string, number][]> {
    const filters = (): [string, number][] => this.all('subscribe').flatMap(({ subscriptions }) => [...subscriptions])
    await this.until(() => filters().length >= count, `${count} subscriptions`)
    return filters()
  }

  async closed(timeoutMs: number = PATIENCE_MS): Promise<void> {
    await this.until(() => this.#isClosed, 'the end of the connection', timeoutMs)
  }

  /** Waits for what packets of this connection, or its end, bring about. */
  async until(condition: () => boolean, what: string, timeoutMs: number = PATIENCE_MS): Promise<void> {
    const deadline = performance.now() + timeoutMs
    while (!condition()) {
      if (this.#failure !== null) throw this.#failure
      const left = deadline - performance.now()
      assert.ok(left > 0, `not within ${timeoutMs} ms: ${what}; there was: ${this.#summary()}`)
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
    if (this.#failure !== null) throw this.#failure
  }

  #summary(): string {
    return this.packets.map(sent => sent.type).join(' ')
  }

  #wakeAll(): void {
    for (const wake of this.#wakes) wake()
  }

  #onData(chunk: Buffer): void {
    try {
      for (const sent of this.#decoder.push(chunk)) this.#onPacket(sent)
    } catch (thrown) {
      this.#failure = thrown as Error
    }
    this.#wakeAll()
  }

  #onPacket(sent: Sent): void {
    this.packets.push(sent)
    const manners = this.#manners
    switch (sent.type) {
      case 'connect':
        return this.#answerConnect(sent)
      case 'subscribe': {
        if (manners.suback === null) return
        const { suback } = manners
        const codes = sent.subscriptions.map(([filter, qos]) => suback(filter, qos))
        return this.send(packet(0x90, idOf(sent.packetId), Buffer.from(codes)))
      }
      case 'unsubscribe':
        return this.send(packet(0xb0, idOf(sent.packetId)))
      case 'pingreq':
        if (manners.answersPings) this.send(PINGRESP)
        return
      case 'publish':
        manners.onPublish?.(sent, this)
        if (this.#socket.destroyed) return
        if (manners.acknowledges && sent.qos === 1) this.send(puback(sent.packetId))
        if (manners.acknowledges && sent.qos === 2) this.send(pubrec(sent.packetId))
        break
      case 'pubrel':
        if (manners.acknowledges) this.send(pubcomp(sent.packetId))
        break
      case 'pubrec':
        if (manners.acknowledges) this.send(pubrel(sent.packetId))
        break
      case 'puback':
      case 'pubcomp':
      case 'disconnect':
        break
    }
    this.#inbox.push(sent)
  }

  #answerConnect(connect: SentConnect): void {
    const answer = this.#manners.connack(connect, this)
    if (answer === null) return
    if (answer === 'close') return this.destroy()
    if (typeof answer !== 'number') return this.send(answer)
    const isPresent = answer === 0 && this.#manners.sessionPresent
    this.send(packet(0x20, Buffer.from([isPresent ? 1 : 0, answer])))
    if (answer !== 0) this.#socket.end()
  }
}

const idOf = (packetId: number): Buffer => Buffer.from([packetId >> 8, packetId & 0xff])

export class FakeBroker {
  readonly manners: Manners
  readonly port: number
  readonly scheme: 'tcp' | 'ssl'
  /** All there ever were, those among them that have ended. */
  readonly connections: FakeConnection[] = []
  readonly #tls: tls.TlsOptions | null
  readonly #sockets = new Set<net.Socket>()
  #server: net.Server
  #taken = 0
  #isOn = true

  private constructor(server: net.Server, port: number, { tls: tlsOptions, ...manners }: FakeOptions) {
    this.port = port
    this.#server = server
    this.#tls = tlsOptions ?? null
    this.scheme = tlsOptions === undefined ? 'tcp' : 'ssl'
    this.manners = {
      connack: () => 0,
      sessionPresent: false,
      suback: (_filter, qos) => qos,
      answersPings: true,
      acknowledges: false,
      onPublish: null,
      ...manners,
    }
    this.#watch(server)
  }

  /** Begins to listen on a free port; ended when the test is over. */
  static async start(t: Cleanup, options: FakeOptions = {}): Promise<FakeBroker> {
    const server = serverOf(options.tls ?? null)
    const broker = new FakeBroker(server, await listen(server, 0), options)
    t.after(() => broker.turnOff())
    return broker
  }

  get address(): string {
    return `${this.scheme}://127.0.0.1:${this.port}`
  }

  get standing(): readonly FakeConnection[] {
    return this.connections.filter(({ isClosed }) => !isClosed)
  }

  /** Cuts all connections, and takes no more. */
  async turnOff(): Promise<void> {
    if (!this.#isOn) return
    this.#isOn = false
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
    await once(this.#server, 'close')
  }

  /** Listens again, on the same port. */
  async turnOn(): Promise<void> {
    assert.ok(!this.#isOn, 'the broker listens')
    this.#server = serverOf(this.#tls)
    this.#watch(this.#server)
    await listen(this.#server, this.port)
    this.#isOn = true
  }

  /** The next connection, when its CONNECT has come. Each is given once, in the order they were made. */
  async next(timeoutMs: number = PATIENCE_MS): Promise<FakeConnection> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const connection = this.connections[this.#taken]
      const left = deadline - performance.now()
      if (connection !== undefined) {
        this.#taken++
        await connection.until(
          () => connection.packets.length > 0 || connection.isClosed,
          'CONNECT',
          Math.max(left, 1000),
        )
        if (connection.packets.length > 0) return connection
        continue // nobody, who looked in
      }
      assert.ok(left > 0, `nobody connects within ${timeoutMs} ms; ${this.connections.length} did before`)
      await new Promise(resolve => setTimeout(resolve, 2))
    }
  }

  /** As next(), with its subscriptions made and answered. */
  async ready(filters = 1): Promise<FakeConnection> {
    const connection = await this.next()
    await connection.subscribed(filters)
    return connection
  }

  #watch(server: net.Server): void {
    server.on(this.#tls === null ? 'connection' : 'secureConnection', (socket: net.Socket) => {
      this.connections.push(new FakeConnection(socket, this.manners))
    })
    server.on('tlsClientError', () => {})
    server.on('connection', (socket: net.Socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }
}

function serverOf(tlsOptions: tls.TlsOptions | null): net.Server {
  return tlsOptions === null ? net.createServer() : tls.createServer(tlsOptions)
}

async function listen(server: net.Server, port: number): Promise<number> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as net.AddressInfo).port
}

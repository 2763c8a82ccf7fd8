import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import { WebSocket } from 'ws'
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

export type Transport = 'tcp' | 'tls' | 'ws' | 'wss'

export interface Endpoint {
  transport: Transport
  host: string
  port: number
  /** PEM texts for TLS. */
  ca?: Buffer
  cert?: Buffer
  key?: Buffer
}

/** What the client needs of `node:test`: where to say that something is to be done when the test is over. */
export interface Cleanup {
  after(fn: () => void | Promise<void>): void
}

/** How long anything may take that is meant to happen. */
const PATIENCE_MS = 5000

/** A connection that carries bytes, whatever lies below. */
interface Link {
  write(bytes: Uint8Array): void
  /** Cuts the connection without a word. */
  destroy(): void
  /** The socket below, to stop and resume reading. */
  socket: net.Socket
  /** Only on ws and wss. */
  webSocket?: WebSocket
}

interface LinkEvents {
  onData(chunk: Uint8Array): void
  onViolation(violation: Error): void
  onClose(): void
}

async function openSocketLink(endpoint: Endpoint, events: LinkEvents): Promise<Link> {
  const { host, port } = endpoint
  const socket =
    endpoint.transport === 'tls' ? tls.connect({ ...tlsOptions(endpoint), host, port }) : net.connect({ host, port })
  socket.setNoDelay(true)
  socket.on('data', chunk => events.onData(chunk))
  // The server may reset a connection that it refuses; what counts is that it ends.
  socket.on('error', () => {})
  try {
    await once(socket, endpoint.transport === 'tls' ? 'secureConnect' : 'connect')
  } finally {
    socket.on('close', () => events.onClose())
  }
  return { write: bytes => socket.write(bytes), destroy: () => socket.destroy(), socket }
}

async function openWebSocketLink(endpoint: Endpoint, events: LinkEvents): Promise<Link> {
  const url = `${endpoint.transport}://${endpoint.host}:${endpoint.port}/mqtt`
  const ws = new WebSocket(url, ['mqtt'], { ...tlsOptions(endpoint), perMessageDeflate: false })
  let socket: net.Socket | undefined
  ws.on('upgrade', response => {
    socket = response.socket as net.Socket
    socket.setNoDelay(true)
  })
  ws.on('message', (data: Buffer, isBinary) => {
    if (isBinary) events.onData(data)
    else events.onViolation(new Error('the server sent a WebSocket text frame')) // [MQTT-6.0.0-1]
  })
  await once(ws, 'open')
  ws.on('error', () => {})
  ws.on('close', () => events.onClose())
  assert.ok(socket !== undefined)
  return { write: bytes => ws.send(bytes), destroy: () => ws.terminate(), socket, webSocket: ws }
}

function tlsOptions(endpoint: Endpoint): tls.SecureContextOptions {
  const { transport: _transport, host: _host, port: _port, ...pem } = endpoint
  return pem
}

/** Waits until a bare socket is closed, by reset or otherwise. Call it before what causes the end. */
export function untilClosed(socket: Duplex): Promise<void> {
  socket.on('error', () => {})
  socket.resume()
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not closed within ${PATIENCE_MS} ms`)), PATIENCE_MS)
    socket.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

/** Opens a connection and sends nothing. It is cut when the test ends; a drop that the test did not expect fails it. */
export async function openRawClient(t: Cleanup, endpoint: Endpoint): Promise<RawClient> {
  const client = new RawClient()
  const open = endpoint.transport === 'tcp' || endpoint.transport === 'tls' ? openSocketLink : openWebSocketLink
  client.attach(await open(endpoint, client.events))
  t.after(() => client.finish())
  return client
}

/**
 * A client that sends exactly the bytes it is given and answers nothing by itself. Every packet of the server has to
 * be read by `next` or one of the methods built on it, in order.
 */
export class RawClient {
  readonly #decoder = new PacketDecoder()
  readonly #inbox: Packet[] = []
  #link: Link | null = null
  #wake: (() => void) | null = null
  #failure: Error | null = null
  #isClosed = false
  #isCloseExpected = false
  #isFinished = false
  #nextPacketId = 1000

  readonly events: LinkEvents = {
    onData: chunk => {
      try {
        this.#inbox.push(...this.#decoder.push(chunk))
      } catch (thrown) {
        this.#failure = thrown as Error
      }
      this.#wake?.()
    },
    onViolation: violation => {
      this.#failure = violation
      this.#wake?.()
    },
    onClose: () => {
      this.#isClosed = true
      this.#wake?.()
    },
  }

  attach(link: Link): void {
    this.#link = link
  }

  get #open(): Link {
    if (this.#link === null) throw new Error('not connected')
    return this.#link
  }

  get socket(): net.Socket {
    return this.#open.socket
  }

  get webSocket(): WebSocket {
    const { webSocket } = this.#open
    assert.ok(webSocket !== undefined, 'not a WebSocket')
    return webSocket
  }

  /** Each argument is one write: one WebSocket frame, or one call of the socket. */
  send(...chunks: Uint8Array[]): void {
    for (const chunk of chunks) this.#open.write(chunk)
  }

  /** Sends `bytes` in pieces of `size` bytes, each in a turn of the event loop of its own. */
  async sendInPieces(bytes: Uint8Array, size: number): Promise<void> {
    for (let at = 0; at < bytes.length; at += size) {
      this.send(bytes.subarray(at, at + size))
      await new Promise(resolve => setImmediate(resolve))
    }
  }

  /** The next packet of the server. Fails when the connection closes first or time runs out. */
  async next(timeoutMs: number = PATIENCE_MS): Promise<Packet> {
    const received = await this.#wait(timeoutMs)
    if (received === 'closed') assert.fail('the server closed the connection where a packet was expected')
    if (received === 'timeout') assert.fail(`no packet within ${timeoutMs} ms`)
    return received
  }

  /** The next packet, which must be of this type. */
  async expect<T extends Packet['type']>(type: T, timeoutMs?: number): Promise<PacketOf<T>> {
    const received = await this.next(timeoutMs)
    assert.equal(received.type, type, `expected ${type}, got ${JSON.stringify(received)}`)
    return received as PacketOf<T>
  }

  /** Waits until the server closes the connection; any packet that comes before fails. */
  async closed(timeoutMs: number = PATIENCE_MS): Promise<void> {
    this.#isCloseExpected = true
    const received = await this.#wait(timeoutMs)
    if (received === 'timeout') assert.fail(`the server did not close the connection within ${timeoutMs} ms`)
    assert.equal(received, 'closed', `expected the end of the connection, got ${JSON.stringify(received)}`)
  }

  /** The next packet, or null when the server closes the connection instead. */
  async nextOrClosed(timeoutMs: number = PATIENCE_MS): Promise<Packet | null> {
    this.#isCloseExpected = true
    const received = await this.#wait(timeoutMs)
    if (received === 'timeout') assert.fail(`neither a packet nor the end within ${timeoutMs} ms`)
    return received === 'closed' ? null : received
  }

  /** Waits until the server closes the connection and returns what it sent before. */
  async drain(timeoutMs: number = PATIENCE_MS): Promise<Packet[]> {
    this.#isCloseExpected = true
    const packets: Packet[] = []
    for (;;) {
      const received = await this.#wait(timeoutMs)
      if (received === 'closed') return packets
      if (received === 'timeout') assert.fail(`the server did not close the connection within ${timeoutMs} ms`)
      packets.push(received)
    }
  }

  /** Asserts that nothing comes, and the connection stays open, for a while. */
  async nothing(ms = 100): Promise<void> {
    const received = await this.#wait(ms)
    assert.equal(received, 'timeout', `expected silence, got ${JSON.stringify(received)}`)
  }

  /** Asserts that everything the server had to say has been read, by a PINGREQ and its answer. */
  async quiet(): Promise<void> {
    this.send(pingreq())
    await this.expect('pingresp')
  }

  /** Cuts the connection without DISCONNECT. */
  destroy(): void {
    this.#isCloseExpected = true
    this.#open.destroy()
  }

  /** What the test's end asks: the connection is cut, and a drop that nobody expected is an error. */
  finish(): void {
    if (this.#isFinished) return
    this.#isFinished = true
    const wasDropped = this.#isClosed && !this.#isCloseExpected
    this.#link?.destroy()
    if (this.#failure !== null) throw this.#failure
    if (wasDropped) throw new Error('the server dropped a connection that the test did not expect to end')
  }

  // --- Exchanges ------------------------------------------------------------------------------------------------------

  /** Sends CONNECT and returns the CONNACK. */
  connect(options: ConnectOptions = {}): Promise<PacketOf<'connack'>> {
    this.send(connect(options))
    return this.expect('connack')
  }

  /** Sends DISCONNECT and waits until the server closes. */
  async disconnect(): Promise<void> {
    this.send(disconnect())
    await this.closed()
  }

  /** Subscribes and asserts that each filter is granted what it asks for. */
  async subscribe(...subscriptions: [filter: string, qos: number][]): Promise<void> {
    const packetId = this.takePacketId()
    this.send(subscribe(packetId, ...subscriptions))
    const suback = await this.expect('suback')
    assert.deepEqual(suback, { type: 'suback', packetId, returnCodes: subscriptions.map(([, qos]) => qos) })
  }

  /** Publishes and completes the exchange that the QoS asks for; at QoS 0 a ping proves that the server has read it. */
  async publish(options: PublishOptions): Promise<void> {
    const packetId = options.packetId ?? this.takePacketId()
    this.send(publish({ ...options, packetId }))
    if (options.qos === 1) assert.equal((await this.expect('puback')).packetId, packetId)
    else if (options.qos === 2) {
      assert.equal((await this.expect('pubrec')).packetId, packetId)
      this.send(pubrel(packetId))
      assert.equal((await this.expect('pubcomp')).packetId, packetId)
    } else await this.quiet()
  }

  /** The next packet, a PUBLISH, after the acknowledgements its QoS asks for. */
  async receive(): Promise<PacketOf<'publish'>> {
    const message = await this.expect('publish')
    if (message.qos === 1) this.send(puback(message.packetId))
    else if (message.qos === 2) {
      this.send(pubrec(message.packetId))
      await this.#released(message.packetId)
      this.send(pubcomp(message.packetId))
    }
    return message
  }

  /** Waits for the PUBREL of a message; what comes before it stays to be read. */
  async #released(packetId: number): Promise<void> {
    const aside: Packet[] = []
    for (;;) {
      const packet = await this.next()
      if (packet.type === 'pubrel' && packet.packetId === packetId) break
      aside.push(packet)
    }
    this.#inbox.unshift(...aside)
  }

  /** Everything that the server sent and is about to send, up to the answer of a PINGREQ; acknowledges nothing. */
  async everything(): Promise<Packet[]> {
    this.send(pingreq())
    const packets: Packet[] = []
    for (let packet = await this.next(); packet.type !== 'pingresp'; packet = await this.next()) packets.push(packet)
    return packets
  }

  takePacketId(): number {
    return this.#nextPacketId++
  }

  async #wait(timeoutMs: number): Promise<Packet | 'closed' | 'timeout'> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const packet = this.#inbox.shift()
      if (packet !== undefined) return packet
      if (this.#failure !== null) throw this.#failure
      if (this.#isClosed) return 'closed'
      const left = deadline - performance.now()
      if (left <= 0) return 'timeout'
      assert.equal(this.#wake, null, 'two readers of one client')
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#wake = null
    }
  }
}

import { once } from 'node:events'
import net from 'node:net'
import { type Credentials, connectPacket, DISCONNECT, subscribePacket, unsubscribePacket } from './packets.ts'

/** The longest packet that may be cut by the end of a read. */
const HEADROOM = 64 * 1024
const READ_BYTES = 256 * 1024

const CONNACK = 2
const PUBLISH = 3
const PUBACK = 4
const SUBACK = 9
const UNSUBACK = 11

/**
 * The memory that all connections of a process read into. Node calls back synchronously for each read, so one buffer
 * serves all. The first half is left free for the beginning of a packet whose end comes with the next read.
 */
export class ReadSpace {
  readonly bytes: Buffer = Buffer.alloc(HEADROOM + READ_BYTES)
  readonly view: DataView = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length)
  readonly target: Uint8Array = this.bytes.subarray(HEADROOM)
  /** Acknowledgements collected while a read is parsed. */
  acks: Buffer = Buffer.alloc(READ_BYTES)
  /** How many reads brought something. */
  reads = 0
}

/** What a connection does with the packets of the data path. */
export interface PacketSink {
  publish(first: number, bytes: Buffer, view: DataView, at: number, end: number, now: number): void
  puback(packetId: number): void
}

/** For the sink of a client that subscribed to nothing. */
export function refusePublish(): never {
  raise('a PUBLISH came for a client that subscribed to nothing')
}

/** For the sink of a client that published nothing. */
export function refusePuback(): never {
  raise('a PUBACK came for a client that published nothing')
}

const REFUSE_ALL: PacketSink = { publish: refusePublish, puback: refusePuback }

export interface ClientOptions {
  host: string
  port: number
  clientId: string
  credentials: Credentials | null
  /** Clean Session 0: the broker keeps the session when the connection ends. Default false. */
  keepSession?: boolean
  /** Where the connection comes from; more source addresses allow more connections to one port. */
  localAddress?: string
  space: ReadSpace
  /** Called once, when the connection ends or breaks the protocol before `end` was called. */
  onFailure: (error: Error) => void
}

interface Waiting {
  type: number
  resolve: (codes: Buffer) => void
  reject: (error: Error) => void
}

/** One MQTT connection. Acknowledges what it gets at QoS 1, in one write for each read. */
export class Client {
  sink: PacketSink = REFUSE_ALL
  /** What the broker said in its CONNACK: whether it knew the session. */
  sessionPresent = false
  readonly #options: ClientOptions
  readonly #space: ReadSpace
  #socket: net.Socket | null = null
  #rest: Buffer | null = null
  #waiting: Waiting | null = null
  #packetId = 0
  #ended = false

  constructor(options: ClientOptions) {
    this.#options = options
    this.#space = options.space
  }

  /** Resolves when the broker has accepted the connection. */
  async connect(): Promise<void> {
    const { host, port, localAddress, clientId, credentials, keepSession = false } = this.#options
    const socket = net.connect({
      host,
      port,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
      onread: { buffer: this.#space.target, callback: length => this.#read(length) },
    })
    this.#socket = socket
    socket.on('error', error => this.#fail(error))
    socket.on('close', () => this.#fail(new Error('the broker closed the connection')))
    const reply = this.#reply(CONNACK)
    socket.write(connectPacket({ clientId, credentials, cleanSession: !keepSession }))
    const [flags, code] = await reply
    this.sessionPresent = flags === 1
    if (code !== 0) throw new Error(`${clientId}: the broker refused the connection with code ${code}`)
  }

  /** Resolves when the broker has granted exactly this QoS. */
  async subscribe(filter: string, qos: number): Promise<void> {
    const reply = this.#reply(SUBACK)
    this.write(subscribePacket(++this.#packetId, filter, qos))
    const granted = (await reply)[2]
    if (granted !== qos) throw new Error(`${filter}: asked for QoS ${qos}, the broker granted ${granted}`)
  }

  async unsubscribe(filter: string): Promise<void> {
    const reply = this.#reply(UNSUBACK)
    this.write(unsubscribePacket(++this.#packetId, filter))
    await reply
  }

  write(bytes: Buffer): void {
    this.#socket?.write(bytes)
  }

  /** Several pieces in one write. */
  writeAll(pieces: readonly Buffer[]): void {
    const socket = this.#socket
    if (socket === null) return
    if (pieces.length > 1) socket.cork()
    for (const piece of pieces) socket.write(piece)
    if (pieces.length > 1) socket.uncork()
  }

  async end(): Promise<void> {
    this.#ended = true
    const socket = this.#socket
    if (socket === null || socket.destroyed) return
    const closed = once(socket, 'close')
    socket.write(DISCONNECT, () => socket.destroy())
    await closed
  }

  #reply(type: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { type, resolve, reject }
    })
  }

  #fail(error: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#socket?.destroy()
    const named = new Error(`${this.#options.clientId}: ${error.message}`, { cause: error })
    this.#waiting?.reject(named)
    this.#options.onFailure(named)
  }

  #read(length: number): boolean {
    if (this.#ended) return true
    this.#space.reads++
    try {
      this.#parse(length)
    } catch (error) {
      this.#fail(error as Error)
    }
    return true
  }

  #parse(length: number): void {
    const { bytes, view } = this.#space
    const now = performance.now()
    const end = HEADROOM + length
    let at = HEADROOM
    if (this.#rest !== null) {
      at -= this.#rest.length
      bytes.set(this.#rest, at)
      this.#rest = null
    }
    let acks = 0
    while (end - at >= 2) {
      const first = bytes[at] as number
      let body = at + 1
      let remaining = bytes[body++] as number
      if (remaining > 127) {
        remaining &= 127
        for (let shift = 7; ; shift += 7) {
          if (body === end) return this.#keep(at, end, acks)
          if (shift > 21) raise('a remaining length of more than four bytes')
          const digit = bytes[body++] as number
          remaining |= (digit & 127) << shift
          if (digit < 128) break
        }
      }
      const next = body + remaining
      if (next > end) return this.#keep(at, end, acks)
      if (first >> 4 === PUBLISH) {
        this.sink.publish(first, bytes, view, body, next, now)
        if ((first & 6) === 2) {
          const id = body + 2 + view.getUint16(body)
          const packetId = view.getUint16(id)
          if (packetId === 0) raise('a PUBLISH with packet identifier 0')
          const into = this.#space.acks
          into[acks] = 0x40
          into[acks + 1] = 2
          into[acks + 2] = packetId >> 8
          into[acks + 3] = packetId & 255
          acks += 4
        }
      } else if (first >> 4 === PUBACK) {
        this.sink.puback(view.getUint16(body))
      } else {
        this.#control(first >> 4, Buffer.from(bytes.subarray(body, next)))
      }
      at = next
    }
    this.#keep(at, end, acks)
  }

  /** Ends a read: keeps the packet cut short, writes the acknowledgements. */
  #keep(at: number, end: number, acks: number): void {
    const { bytes } = this.#space
    if (end - at > HEADROOM) raise(`a packet of more than ${HEADROOM} bytes`)
    if (at < end) this.#rest = Buffer.from(bytes.subarray(at, end))
    if (acks === 0) return
    this.write(this.#space.acks.subarray(0, acks))
    // What the socket could not send at once it still refers to.
    if ((this.#socket?.writableLength ?? 0) > 0) this.#space.acks = Buffer.alloc(READ_BYTES)
  }

  #control(type: number, body: Buffer): void {
    const waiting = this.#waiting
    if (waiting === null || waiting.type !== type) raise(`an unexpected packet of type ${type}`)
    this.#waiting = null
    waiting.resolve(body)
  }
}

function raise(message: string): never {
  throw new Error(message)
}

import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  type ChunkPool,
  CONNACK,
  Output,
  PacketReader,
  type PacketSink,
  PINGRESP_TYPE,
  PUBACK,
  PUBCOMP,
  PUBREL,
  type ReadBuffer,
  SUBACK,
  UNSUBACK,
} from '../wire/index.ts'
import { ControlChannel, type ControlPeer } from './control-channel.ts'
import type { Flushable, Turns } from './turns.ts'

/** Control packets are small; a broker that announces more is none. */
const MAX_CONTROL_BYTES = 65_536
/** A turn that says more than this is written before it is over. */
const FLUSH_FROM = 262_144
/** Acknowledgements that wait for a broker that does not read. */
const MOST_UNREAD = 262_144
/** The bit of the protocol level by which mosquitto knows a bridge. */
const BRIDGE_BIT = 0x80

/** What all connections of a bridge share. */
export interface Wires {
  readonly pool: ChunkPool
  readonly readBuffer: ReadBuffer
  readonly turns: Turns
}

/** Hears what comes from the broker. */
export interface ConnectionSink {
  /** CONNACK with this return code. */
  onConnack(returnCode: number, sessionPresent: boolean): void
  /** A whole PUBLISH packet lies in chunk[start..end), its variable header at `body`. `chunk` is good until this returns. */
  onPublish(chunk: Buffer, start: number, body: number, end: number): void
  /** The head of a PUBLISH packet of `length` bytes, more than are taken. */
  onOversize(chunk: Buffer, start: number, body: number, end: number, length: number): void
  /** PUBACK, PUBREC, PUBREL or PUBCOMP. */
  onAcknowledgement(type: number, packetId: number): void
  /** All of a chunk was given to onPublish and the others. */
  onReadEnd(): void
  /** There is room for output again. */
  onWritable(): void
  /** It is over; comes once. Null: the broker ended it without a word. */
  onEnd(error: Error | null): void
}

export interface ConnectionOptions {
  /** Longest PUBLISH packet that is taken. */
  readonly maxBytes: number
  /** Whether CONNECT says that this is a bridge. */
  readonly isPrivate: boolean
}

/**
 * One connection to a broker. What comes is cut into packets: PUBLISH and the acknowledgements go to the sink, where they
 * lie; everything else goes to MQTT.js by way of `channel`, and what that says is gathered with the rest of the output.
 */
export class Connection implements PacketSink, Flushable, ControlPeer {
  readonly channel: ControlChannel
  readonly output: Output
  /** The broker does not keep up: output waits. */
  blocked = false
  isClosed = false
  /** When bytes came last, on the clock of performance.now(). */
  lastRead = performance.now()
  /** Whether what is read lies in memory that the next read uses again. */
  readonly isShared: boolean
  readonly #stream: Duplex
  readonly #sink: ConnectionSink
  readonly #turns: Turns
  readonly #reader: PacketReader
  readonly #maxBytes: number
  #isPrivate: boolean
  #isAccepted = false
  #isDirty = false
  #isPaused = false
  #onFlushed: (() => void) | null = null

  constructor(stream: Duplex, wires: Wires, sink: ConnectionSink, options: ConnectionOptions) {
    this.#stream = stream
    this.#sink = sink
    this.#turns = wires.turns
    this.#isPrivate = options.isPrivate
    this.#maxBytes = options.maxBytes
    this.output = new Output(wires.pool, stream instanceof Socket)
    this.#reader = new PacketReader(this, MAX_CONTROL_BYTES, 'a control packet')
    this.channel = new ControlChannel(this)
    this.channel.on('error', () => {}) // why it was destroyed is known here already
    const onRead = (length: number, buffer: Buffer): boolean => {
      this.#receive(buffer.subarray(0, length))
      return true
    }
    this.isShared = wires.readBuffer.attach(stream, onRead)
    if (this.isShared) stream.resume()
    else stream.on('data', (chunk: Buffer) => this.#receive(chunk))
    stream.on('drain', () => this.#drained())
    stream.on('error', error => this.#end(error))
    stream.on('end', () => this.#end(null))
    stream.on('close', () => this.#end(null))
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Has the output written at the end of this turn, or at once when it is much. */
  markDirty(): void {
    if (this.output.size >= FLUSH_FROM && !this.blocked) this.flush()
    else if (!this.#isDirty) {
      this.#isDirty = true
      this.#turns.flushLater(this)
    }
  }

  flush(): void {
    this.#isDirty = false
    if (this.isClosed) this.output.clear()
    if (this.blocked) return
    if (this.output.size > 0) {
      try {
        this.blocked = !this.output.writeTo(this.#stream)
      } catch (error) {
        this.close(error as Error)
        return
      }
    }
    if (!this.blocked && this.#onFlushed !== null) {
      const done = this.#onFlushed
      this.#onFlushed = null
      this.#stream.end(done)
    }
  }

  /** Adds an acknowledgement to the output. */
  acknowledge(firstByte: number, packetId: number): void {
    this.output.acknowledge(firstByte, packetId)
    if (this.output.controls > MOST_UNREAD) this.close(new Error('it does not read the acknowledgements it is sent'))
    else this.markDirty()
  }

  /** Reads no more for a while. */
  pause(): void {
    if (this.#isPaused || this.isClosed) return
    this.#isPaused = true
    this.#stream.pause()
  }

  resume(): void {
    if (!this.#isPaused || this.isClosed) return
    this.#isPaused = false
    this.#stream.resume()
  }

  /** Ends it now. */
  close(error: Error | null = null): void {
    this.#end(error)
  }

  onPublish(chunk: Buffer, start: number, body: number, end: number): boolean {
    if (this.#isAccepted) this.#sink.onPublish(chunk, start, body, end)
    else this.onMalformed('PUBLISH came before CONNACK [MQTT-3.2.0-1]')
    return !this.isClosed
  }

  onOversize(chunk: Buffer, start: number, body: number, end: number, length: number): void {
    if (this.#isAccepted) this.#sink.onOversize(chunk, start, body, end, length)
    else this.onMalformed('PUBLISH came before CONNACK [MQTT-3.2.0-1]')
  }

  onPacket(chunk: Buffer, start: number, body: number, end: number): boolean {
    const first = chunk[start] as number
    const type = first >> 4
    if ((first & 15) !== (type === PUBREL ? 2 : 0))
      this.onMalformed(`reserved flags of packet type ${type} [MQTT-2.2.2-2]`)
    else if (type >= PUBACK && type <= PUBCOMP) {
      if (end - body === 2 && this.#isAccepted)
        this.#sink.onAcknowledgement(type, ((chunk[body] as number) << 8) | (chunk[body + 1] as number))
      else this.onMalformed(`an acknowledgement of ${end - body} bytes, or before CONNACK`)
    } else if (type === CONNACK) this.#accept(chunk, start, body, end)
    else if (this.#isAccepted && (type === SUBACK || type === UNSUBACK || type === PINGRESP_TYPE))
      this.#toClient(chunk, start, end)
    else this.onMalformed(`packet type ${type}, which no broker sends here`)
    return !this.isClosed
  }

  onMalformed(problem: string): void {
    this.close(new ProtocolViolation(problem))
  }

  sendControl(bytes: Buffer): void {
    if (this.#isPrivate) {
      this.#isPrivate = false
      this.output.control(withBridgeBit(bytes))
    } else this.output.control(bytes)
    this.markDirty()
  }

  finishControl(done: () => void): void {
    if (this.isClosed) {
      done()
      return
    }
    this.#onFlushed = done
    this.markDirty()
  }

  abandon(): void {
    this.close()
  }

  #accept(chunk: Buffer, start: number, body: number, end: number): void {
    if (this.#isAccepted) return this.onMalformed('a second CONNACK')
    if (end - body !== 2) return this.onMalformed(`a CONNACK of ${end - body} bytes instead of 2`)
    const returnCode = chunk[body + 1] as number
    if (returnCode === 0) {
      this.#isAccepted = true
      this.#reader.maxBytes = this.#maxBytes
      this.#toClient(chunk, start, end)
    }
    this.#sink.onConnack(returnCode, ((chunk[body] as number) & 1) !== 0)
  }

  #toClient(chunk: Buffer, start: number, end: number): void {
    this.channel.push(Buffer.from(chunk.subarray(start, end)))
  }

  #receive(chunk: Buffer): void {
    if (this.isClosed) return
    this.lastRead = performance.now()
    try {
      this.#reader.read(chunk)
      this.#sink.onReadEnd()
    } catch (error) {
      this.close(error as Error)
    }
  }

  #drained(): void {
    if (!this.blocked || this.isClosed) return
    this.blocked = false
    this.flush()
    if (!this.blocked) this.#sink.onWritable()
  }

  #end(error: Error | null): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#reader.close()
    this.output.clear()
    this.#stream.destroy()
    this.channel.destroy()
    const done = this.#onFlushed
    this.#onFlushed = null
    done?.()
    this.#sink.onEnd(error)
  }
}

/** The broker says what no broker may say. */
class ProtocolViolation extends Error {
  constructor(problem: string) {
    super(`the broker does not speak MQTT 3.1.1: ${problem}`)
    this.name = new.target.name
  }
}

/** CONNECT, which MQTT.js can't be told to mark so: the protocol level stands behind the protocol name. */
function withBridgeBit(connect: Buffer): Buffer {
  let at = 1
  while ((connect[at] as number) > 127) at++
  const level = at + 1 + 2 + connect.readUInt16BE(at + 1)
  connect[level] = (connect[level] as number) | BRIDGE_BIT
  return connect
}

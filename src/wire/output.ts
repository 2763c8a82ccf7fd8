import type { Duplex } from 'node:stream'
import { type ChunkPool, LARGE_CHUNK, SMALL_CHUNK } from './chunk-pool.ts'
import { copyBytes } from './packets.ts'

/** A message that can be written as a PUBLISH packet. */
export interface PublishBytes {
  /** Where its payload lies: from `payloadAt` to `end`. */
  readonly bytes: Buffer
  readonly payloadAt: number
  readonly end: number
  /** Of the whole packet at this QoS. */
  packetLength(qos: number): number
  /** Writes what stands before the payload. */
  writeHead(into: Buffer, at: number, qos: number, dup: boolean, packetId: number): number
  /** Writes the packet. */
  writeTo(into: Buffer, at: number, qos: number, dup: boolean, packetId: number): void
}

/** From here on bytes are handed over by reference: copying them costs more than one more buffer in the write. */
export const REFERENCE_FROM = 8192
/** A first packet up to this size gets a few bytes of its own; most turns of most connections have no second. */
const SNIPPET_UP_TO = 1024

/**
 * What one connection has to say in this turn of the event loop, gathered so that it leaves in one write. The first
 * bytes of a turn are not put into a chunk: when nothing follows, they are written from where they lie, or from a few
 * bytes of their own. An idle
 * connection owns no memory here.
 */
export class Output {
  /** Bytes that wait. */
  size = 0
  /** Packets other than PUBLISH among them. */
  controls = 0
  /** The chunk that reserve() gave room in, and where. */
  chunk: Buffer | null = null
  used = 0
  readonly #pool: ChunkPool
  /** Whether chunks may be used again once the stream says that it holds nothing: true for sockets of the kernel. */
  readonly #reusable: boolean
  #reference: Buffer | null = null
  #start = 0
  #end = 0
  #parts: Buffer[] | null = null
  #sealed: Buffer[] | null = null

  constructor(pool: ChunkPool, reusable: boolean) {
    this.#pool = pool
    this.#reusable = reusable
  }

  /** Adds bytes that won't change any more. `copy` asks that the source is not kept alive. */
  append(source: Buffer, start: number, end: number, copy: boolean): void {
    const length = end - start
    this.size += length
    if (this.#reference !== null) {
      if (this.#reference === source && this.#end === start) {
        this.#end = end
        return
      }
      this.#settle()
    } else if (this.chunk === null && this.#parts === null && (!copy || length <= SNIPPET_UP_TO)) {
      this.#reference = copy ? snippet(source, start, end) : source
      this.#start = copy ? 0 : start
      this.#end = copy ? length : end
      return
    }
    if (copy) this.#copy(source, start, end)
    else this.#add(source, start, end)
  }

  /** Room for `length` bytes in one piece: write them at `chunk[returned position]` before anything else is added. */
  reserve(length: number): number {
    if (this.#reference !== null) this.#settle()
    if (this.chunk === null || this.used + length > this.chunk.length) this.#grow(length)
    const at = this.used
    this.used = at + length
    this.size += length
    return at
  }

  /** Adds a four-byte packet that is only type and packet identifier: the acknowledgements (section 3.4 to 3.7). */
  acknowledge(firstByte: number, packetId: number): void {
    const at = this.reserve(4)
    this.controls++
    const chunk = this.chunk as Buffer
    chunk[at] = firstByte
    chunk[at + 1] = 2
    chunk[at + 2] = packetId >> 8
    chunk[at + 3] = packetId & 0xff
  }

  /** Adds a packet other than PUBLISH, in memory of its own. */
  control(packet: Buffer): void {
    this.controls++
    this.append(packet, 0, packet.length, true)
  }

  /** Adds the PUBLISH packet of a message. */
  publish(message: PublishBytes, qos: number, dup: boolean, packetId: number): void {
    const payload = message.end - message.payloadAt
    const head = message.packetLength(qos) - payload
    if (payload >= REFERENCE_FROM) {
      const at = this.reserve(head)
      message.writeHead(this.chunk as Buffer, at, qos, dup, packetId)
      this.size += payload
      this.#add(message.bytes, message.payloadAt, message.end)
      return
    }
    const at = this.reserve(head + payload)
    message.writeTo(this.chunk as Buffer, at, qos, dup, packetId)
  }

  /**
   * Writes all that waits. Returns false when the stream asks to wait for 'drain' and does hold bytes.
   */
  writeTo(stream: Duplex): boolean {
    const reference = this.#reference
    const { chunk, used } = this
    const parts = this.#parts
    const sealed = this.#sealed
    const start = this.#start
    const end = this.#end
    // Before anything is written: a stream of this process may answer at once, and that is the next output.
    this.#forget()
    if (reference !== null) {
      const goOn = stream.write(end - start === reference.length ? reference : reference.subarray(start, end))
      return goOn || stream.writableLength === 0
    }
    let goOn = true
    if (parts === null) {
      if (chunk !== null) goOn = stream.write(chunk.subarray(0, used))
    } else {
      stream.cork()
      for (const part of parts) stream.write(part)
      if (chunk !== null && used > 0) stream.write(chunk.subarray(0, used))
      stream.uncork()
      goOn = !stream.writableNeedDrain
    }
    const isTaken = stream.writableLength === 0
    if (this.#reusable && isTaken) this.#giveBack(chunk, sealed)
    return goOn || isTaken
  }

  /** Forgets what waits. */
  clear(): void {
    this.#giveBack(this.chunk, this.#sealed)
    this.#forget()
  }

  #giveBack(chunk: Buffer | null, sealed: Buffer[] | null): void {
    if (chunk !== null) this.#pool.give(chunk)
    if (sealed !== null) for (const each of sealed) this.#pool.give(each)
  }

  #forget(): void {
    this.size = 0
    this.controls = 0
    this.chunk = null
    this.used = 0
    this.#reference = null
    this.#parts = null
    this.#sealed = null
  }

  #settle(): void {
    const source = this.#reference as Buffer
    this.#reference = null
    this.#add(source, this.#start, this.#end)
  }

  #add(source: Buffer, start: number, end: number): void {
    const length = end - start
    if (length >= REFERENCE_FROM) {
      this.#seal()
      this.#parts ??= []
      this.#parts.push(source.subarray(start, end))
      return
    }
    this.#copy(source, start, end)
  }

  /** Copies, over several chunks of the pool when it is much: larger ones would be allocated each time. */
  #copy(source: Buffer, start: number, end: number): void {
    for (let at = start; at < end; ) {
      if (this.chunk === null || this.used === this.chunk.length) this.#grow(Math.min(end - at, LARGE_CHUNK))
      const chunk = this.chunk as Buffer
      const length = Math.min(end - at, chunk.length - this.used)
      copyBytes(source, at, at + length, chunk, this.used)
      this.used += length
      at += length
    }
  }

  #grow(length: number): void {
    const old = this.chunk
    if (old === null) {
      this.chunk = length <= SMALL_CHUNK && this.#parts === null ? this.#pool.takeSmall() : this.#pool.takeLarge(length)
      this.used = 0
    } else if (old.length === SMALL_CHUNK) {
      const large = this.#pool.takeLarge(this.used + length)
      old.copy(large, 0, 0, this.used)
      this.#pool.give(old)
      this.chunk = large
    } else {
      this.#seal()
      this.chunk = this.#pool.takeLarge(length)
    }
  }

  #seal(): void {
    const chunk = this.chunk
    if (chunk === null) return
    this.chunk = null
    this.#sealed ??= []
    this.#sealed.push(chunk)
    this.#parts ??= []
    if (this.used > 0) this.#parts.push(chunk.subarray(0, this.used))
    this.used = 0
  }
}

/** A copy in memory that Node.js shares among small buffers. */
function snippet(source: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start)
  copyBytes(source, start, end, copy, 0)
  return copy
}

import { PUBLISH } from './packets.ts'

/** Takes what the reader finds. All return false to stop reading until resume() is called. */
export interface PacketSink {
  /** A whole PUBLISH packet lies in chunk[start..end), its variable header at `body`. */
  onPublish(chunk: Buffer, start: number, body: number, end: number): boolean
  /** A whole packet of another type. */
  onPacket(chunk: Buffer, start: number, body: number, end: number): boolean
  /** The stream can't be read any further. */
  onMalformed(problem: string): void
}

/** Most bytes kept for a stopped reader before its source is asked to wait. */
const HELD_LIMIT = 65_536

/**
 * Cuts a stream of bytes into MQTT packets (section 2.2), wherever the chunks are cut. Whole packets are handed over
 * where they lie; only a packet that is split between chunks is copied. A packet above the limit is refused as soon
 * as its length is known.
 */
export class PacketReader {
  readonly #sink: PacketSink
  #maxBytes: number
  /** The beginning of a packet whose end has not come; its memory grows with what came, not with what was announced. */
  #carry: Buffer | null = null
  #carried = 0
  /** Total length of the carried packet; 0 while its length field is incomplete. */
  #need = 0
  #stopped = false
  /** Unread bytes of a stopped reader. */
  #held: Buffer | null = null

  constructor(sink: PacketSink, maxBytes: number) {
    this.#sink = sink
    this.#maxBytes = maxBytes
  }

  get isStopped(): boolean {
    return this.#stopped
  }

  /** From now on packets up to this size are taken. */
  set maxBytes(bytes: number) {
    this.#maxBytes = bytes
  }

  /** Reads a chunk. Returns false when the source should wait until resume(). */
  read(chunk: Buffer): boolean {
    if (this.#stopped) {
      this.#hold(chunk)
      return (this.#held as Buffer).length < HELD_LIMIT
    }
    this.#scan(chunk, this.#carry === null ? 0 : this.#complete(chunk))
    return true
  }

  /** Goes on after the sink said stop. */
  resume(): void {
    this.#stopped = false
    const held = this.#held
    if (held === null) return
    this.#held = null
    this.#scan(held, 0)
  }

  /** Reads nothing more. */
  close(): void {
    this.#stopped = true
    this.#carry = null
    this.#held = null
  }

  /** Whole packets that wait in a stopped reader, counted up to `limit` plus one. */
  countHeld(limit: number): number {
    const held = this.#held
    if (held === null) return 0
    let count = 0
    let at = 0
    while (at < held.length && count <= limit) {
      const length = packetLength(held, at, held.length)
      if (length <= 0 || at + length > held.length) break
      count++
      at += length
    }
    return count
  }

  #scan(chunk: Buffer, from: number): void {
    const sink = this.#sink
    const available = chunk.length
    let at = from
    while (at < available) {
      if (at + 2 > available) break
      let body = at + 2
      const low = chunk[at + 1] as number
      let end: number
      if (low < 128) {
        end = body + low
        if (end - at > this.#maxBytes) {
          this.#tooLarge(end - at)
          return
        }
      } else {
        const length = packetLength(chunk, at, available)
        if (length === 0) break
        if (length < 0) {
          sink.onMalformed('Remaining Length takes more than four bytes, section 2.2.3')
          return
        }
        if (length > this.#maxBytes) {
          this.#tooLarge(length)
          return
        }
        end = at + length
        while ((chunk[body - 1] as number) > 127) body++
      }
      if (end > available) break
      const goOn =
        (chunk[at] as number) >> 4 === PUBLISH
          ? sink.onPublish(chunk, at, body, end)
          : sink.onPacket(chunk, at, body, end)
      at = end
      if (!goOn) {
        this.#stopped = true
        if (at < available) this.#hold(chunk.subarray(at))
        return
      }
    }
    if (at < available) this.#keep(chunk, at)
  }

  /** Adds to the carried packet; when it is whole, hands it over. Returns where the chunk goes on. */
  #complete(chunk: Buffer): number {
    let at = 0
    while (this.#need === 0 && at < chunk.length) {
      ;(this.#carry as Buffer)[this.#carried++] = chunk[at++] as number
      const length = packetLength(this.#carry as Buffer, 0, this.#carried)
      if (length < 0) {
        this.#sink.onMalformed('Remaining Length takes more than four bytes, section 2.2.3')
        return chunk.length
      }
      if (length > this.#maxBytes) {
        this.#tooLarge(length)
        return chunk.length
      }
      this.#need = length
    }
    if (this.#need === 0) return at
    const take = Math.min(this.#need - this.#carried, chunk.length - at)
    this.#reserve(this.#carried + take)
    const carry = this.#carry as Buffer
    chunk.copy(carry, this.#carried, at, at + take)
    this.#carried += take
    at += take
    if (this.#carried === this.#need) {
      this.#carry = null
      this.#scan(carry.length === this.#need ? carry : carry.subarray(0, this.#need), 0)
      if (this.#stopped && at < chunk.length) {
        this.#hold(chunk.subarray(at))
        return chunk.length
      }
    }
    return at
  }

  #keep(chunk: Buffer, at: number): void {
    const length = packetLength(chunk, at, chunk.length)
    this.#need = Math.max(length, 0)
    this.#carried = 0
    this.#carry = null
    this.#reserve(Math.max(chunk.length - at, 8))
    this.#carried = chunk.copy(this.#carry as unknown as Buffer, 0, at)
  }

  #reserve(bytes: number): void {
    const old = this.#carry
    if (old !== null && old.length >= bytes) return
    const doubled = old === null ? bytes : Math.max(bytes, old.length * 2)
    const size = this.#need > 0 ? Math.min(Math.max(doubled, 8), Math.max(this.#need, bytes)) : doubled
    const grown = Buffer.allocUnsafeSlow(size)
    old?.copy(grown, 0, 0, this.#carried)
    this.#carry = grown
  }

  #hold(bytes: Buffer): void {
    // A copy in any case: the chunk may lie in shared memory.
    this.#held = this.#held === null ? Buffer.from(bytes) : Buffer.concat([this.#held, bytes])
  }

  #tooLarge(length: number): void {
    this.#sink.onMalformed(`packet of ${length} bytes; ${this.#maxBytes} are allowed (message.length.max)`)
  }
}

/** Total length of the packet at `at`; 0 while its length field is incomplete, -1 when it is malformed. */
function packetLength(bytes: Buffer, at: number, available: number): number {
  let length = 0
  for (let i = 0; i < 4; i++) {
    const next = at + 1 + i
    if (next >= available) return 0
    const byte = bytes[next] as number
    length += (byte & 127) * 128 ** i
    if (byte < 128) return 2 + i + length
  }
  return -1
}

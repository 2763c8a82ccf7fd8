import { PUBLISH } from './packets.ts'

/** Takes what the reader finds. All return false to stop reading until resume() is called. */
export interface PacketSink {
  /** A whole PUBLISH packet lies in chunk[start..end), its variable header at `body`. */
  onPublish(chunk: Buffer, start: number, body: number, end: number): boolean
  /** A whole packet of another type. */
  onPacket(chunk: Buffer, start: number, body: number, end: number): boolean
  /** The stream can't be read any further. */
  onMalformed(problem: string): void
  /**
   * A PUBLISH packet of `length` bytes, which is above the limit, begins in chunk[start..end): at least its topic and
   * packet identifier, if it has them. The rest is skipped. Without this such a packet is malformed, as others are.
   */
  onOversize?(chunk: Buffer, start: number, body: number, end: number, length: number): void
}

/** Fixed header, topic and packet identifier are never longer. */
const LONGEST_HEAD = 5 + 2 + 65_535 + 2

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
  readonly #limit: string
  /** The beginning of a packet whose end has not come; its memory grows with what came, not with what was announced. */
  #carry: Buffer | null = null
  #carried = 0
  /** Total length of the carried packet; 0 while its length field is incomplete. */
  #need = 0
  /** What is carried is the head of a packet of this many bytes, the rest of which is skipped; 0: it is a whole packet. */
  #oversize = 0
  /** Bytes to skip before the next packet. */
  #skip = 0
  #stopped = false
  /** Unread bytes of a stopped reader. */
  #held: Buffer | null = null

  /** `limit` names what allows `maxBytes`. */
  constructor(sink: PacketSink, maxBytes: number, limit = 'message.length.max') {
    this.#sink = sink
    this.#maxBytes = maxBytes
    this.#limit = limit
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
    let from = 0
    if (this.#skip > 0) {
      from = Math.min(this.#skip, chunk.length)
      this.#skip -= from
    }
    this.#scan(chunk, this.#carry === null ? from : this.#complete(chunk))
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
    if (this.#stopped) return
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
        if (end - at > this.#maxBytes && !this.#isSkippable(chunk[at] as number)) {
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
        if (length > this.#maxBytes && !this.#isSkippable(chunk[at] as number)) {
          this.#tooLarge(length)
          return
        }
        end = at + length
        while ((chunk[body - 1] as number) > 127) body++
      }
      if (end - at > this.#maxBytes) {
        const headEnd = at + Math.min(end - at, LONGEST_HEAD)
        if (headEnd > available) break
        sink.onOversize?.(chunk, at, body, headEnd, end - at)
        if (this.#stopped) return
        at = Math.min(end, available)
        this.#skip = end - at
        continue
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
      if (length > this.#maxBytes && !this.#isSkippable((this.#carry as Buffer)[0] as number)) {
        this.#tooLarge(length)
        return chunk.length
      }
      this.#expect(length)
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
      if (this.#oversize > 0) {
        const skip = Math.min(this.#passHead(carry), chunk.length - at)
        this.#skip -= skip
        return at + skip
      }
      this.#scan(carry.length === this.#need ? carry : carry.subarray(0, this.#need), 0)
      if (this.#stopped && at < chunk.length) {
        this.#hold(chunk.subarray(at))
        return chunk.length
      }
    }
    return at
  }

  #keep(chunk: Buffer, at: number): void {
    this.#expect(Math.max(packetLength(chunk, at, chunk.length), 0))
    this.#carried = 0
    this.#carry = null
    this.#reserve(Math.max(chunk.length - at, 8))
    this.#carried = chunk.copy(this.#carry as unknown as Buffer, 0, at)
  }

  /** The packet that is carried has this many bytes; 0: it is not known yet. */
  #expect(length: number): void {
    this.#oversize = length > this.#maxBytes ? length : 0
    this.#need = this.#oversize > 0 ? Math.min(length, LONGEST_HEAD) : length
  }

  /** Tells of the oversize packet whose head is complete. Returns how many bytes are to be skipped. */
  #passHead(head: Buffer): number {
    let body = 2
    while ((head[body - 1] as number) > 127) body++
    this.#skip = this.#oversize - this.#need
    this.#sink.onOversize?.(head, 0, body, this.#need, this.#oversize)
    this.#oversize = 0
    return this.#skip
  }

  #isSkippable(firstByte: number): boolean {
    return firstByte >> 4 === PUBLISH && this.#sink.onOversize !== undefined
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
    this.#sink.onMalformed(`packet of ${length} bytes; ${this.#maxBytes} are allowed (${this.#limit})`)
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

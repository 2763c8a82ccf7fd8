import { byteLengthOfRemaining, writeRemaining } from '../wire/index.ts'

const LARGEST_ARENA = 65_536
/** So much is copied at once: a small message that waits for its acknowledgement keeps no more than this alive. */
const SEGMENT = 16_384
const NOTHING = Buffer.alloc(0)

/**
 * Makes the packet that leaves out of the one that came, in memory that may be kept. A packet that only changes its first
 * byte and its identifier is part of a copy of what was read with it; others are written one behind the other. So what
 * leaves together lies together, and is written without being copied again.
 */
export class Outgoing {
  bytes: Buffer = NOTHING
  start = 0
  end = 0
  /** The chunk that a copy was made of, where it begins there and where it ends, and the copy. */
  #source: Buffer | null = null
  #from = 0
  #to = 0
  #copy: Buffer = NOTHING
  #arena: Buffer | null = null
  #used = 0

  /** The same topic, and an identifier or none as before: the packet is chunk[start..end) with another first byte. */
  keep(chunk: Buffer, isShared: boolean, start: number, end: number, firstByte: number): void {
    if (this.#source !== chunk || end > this.#to) {
      this.#source = chunk
      // Memory that is not read into again is as good as a copy: nobody else looks at it any more.
      this.#from = isShared ? start : 0
      this.#to = isShared ? Math.max(end, Math.min(start + SEGMENT, chunk.length)) : chunk.length
      this.#copy = isShared ? Buffer.from(chunk.subarray(this.#from, this.#to)) : chunk
    }
    this.bytes = this.#copy
    this.start = start - this.#from
    this.end = end - this.#from
    this.bytes[this.start] = firstByte
  }

  /**
   * Another topic (the same if null), or an identifier where none was or the other way round. The packet is
   * chunk[start..end), its topic ends at `topicEnd`.
   */
  rewrite(
    chunk: Buffer,
    start: number,
    topicEnd: number,
    payloadAt: number,
    end: number,
    topic: Buffer | null,
    firstByte: number,
  ): void {
    const hasId = (firstByte & 0x06) !== 0
    const topicAt = bodyOf(chunk, start) + 2
    const topicLength = topic === null ? topicEnd - topicAt : topic.length
    const rest = 2 + topicLength + (hasId ? 2 : 0) + (end - payloadAt)
    const length = 1 + byteLengthOfRemaining(rest) + rest
    const at = this.#room(length, chunk.length - start)
    const arena = this.#arena as Buffer
    arena[at] = firstByte
    let next = writeRemaining(arena, at + 1, rest)
    arena[next++] = topicLength >> 8
    arena[next++] = topicLength & 0xff
    if (topic === null) chunk.copy(arena, next, topicAt, topicEnd)
    else topic.copy(arena, next)
    next += topicLength + (hasId ? 2 : 0)
    chunk.copy(arena, next, payloadAt, end)
    this.bytes = arena
    this.start = at
    this.end = at + length
  }

  /** Writes the packet identifier, if the packet has room for one. */
  identify(packetId: number): void {
    const { bytes, start } = this
    if (((bytes[start] as number) & 0x06) === 0) return
    const at = identifierAt(bytes, start)
    bytes[at] = packetId >> 8
    bytes[at + 1] = packetId & 0xff
  }

  /** All of a chunk was read: what is still wanted of it is kept elsewhere. */
  release(): void {
    this.#source = null
    this.#arena = null
    this.#copy = NOTHING
    this.bytes = NOTHING
  }

  /** Room for `length` bytes behind what is there. `remaining`: bytes of the chunk from here, which are all that may follow. */
  #room(length: number, remaining: number): number {
    if (this.#arena === null || this.#used + length > this.#arena.length) {
      // Topics may become longer.
      const wanted = Math.min(remaining + (remaining >> 1), LARGEST_ARENA)
      this.#arena = Buffer.allocUnsafe(Math.max(length, wanted))
      this.#used = 0
    }
    const at = this.#used
    this.#used = at + length
    return at
  }
}

/** The topic of a PUBLISH packet. */
export function topicOf(bytes: Buffer, start: number): string {
  const topicAt = bodyOf(bytes, start) + 2
  return bytes.toString('utf8', topicAt, identifierAt(bytes, start))
}

/** The payload of a PUBLISH packet, where it lies. */
export function payloadOf(bytes: Buffer, start: number, end: number): Buffer {
  const hasId = ((bytes[start] as number) & 0x06) !== 0
  return bytes.subarray(identifierAt(bytes, start) + (hasId ? 2 : 0), end)
}

/** Behind the topic of a PUBLISH packet, where its identifier is if it has one. */
function identifierAt(bytes: Buffer, start: number): number {
  const body = bodyOf(bytes, start)
  return body + 2 + (((bytes[body] as number) << 8) | (bytes[body + 1] as number))
}

function bodyOf(bytes: Buffer, start: number): number {
  let at = start + 1
  while ((bytes[at] as number) > 127) at++
  return at + 1
}

import { byteLengthOfRemaining, writeRemaining } from '../wire/index.ts'

const LARGEST_ARENA = 65_536

/** What is left to know of a PUBLISH packet that was read: where its parts are. */
export interface PublishParts {
  readonly start: number
  /** Behind the topic. */
  readonly topicEnd: number
  readonly payloadAt: number
  readonly end: number
}

/**
 * Makes the packet that leaves out of the one that came, in memory that may be kept. A packet that only changes its first
 * byte and its identifier is part of one copy of all that was read; others are written one behind the other. So what
 * leaves together lies together, and is written without being copied again.
 */
export class Outgoing {
  bytes: Buffer = Buffer.alloc(0)
  start = 0
  end = 0
  /** The chunk that a copy was made of, the copy, and what to take from a position in the chunk to have that in the copy. */
  #source: Buffer | null = null
  #copy: Buffer = this.bytes
  #shift = 0
  #arena: Buffer | null = null
  #used = 0

  /** The same topic, and an identifier or none as before. */
  keep(chunk: Buffer, isShared: boolean, parts: PublishParts, firstByte: number): void {
    if (this.#source !== chunk) {
      this.#source = chunk
      // Memory that is not read into again is as good as a copy: nobody else looks at it any more.
      this.#copy = isShared ? Buffer.from(chunk.subarray(parts.start)) : chunk
      this.#shift = isShared ? parts.start : 0
    }
    this.bytes = this.#copy
    this.start = parts.start - this.#shift
    this.end = parts.end - this.#shift
    this.bytes[this.start] = firstByte
  }

  /** Another topic (the same if null), or an identifier where none was or the other way round. */
  rewrite(chunk: Buffer, parts: PublishParts, topic: Buffer | null, firstByte: number): void {
    const { start, topicEnd, payloadAt, end } = parts
    const qos = (firstByte >> 1) & 3
    const topicAt = topicEnd - topicLengthBefore(chunk, start)
    const topicLength = topic === null ? topicEnd - topicAt : topic.length
    const rest = 2 + topicLength + (qos > 0 ? 2 : 0) + (end - payloadAt)
    const length = 1 + byteLengthOfRemaining(rest) + rest
    const at = this.#room(length, chunk.length - start)
    const arena = this.#arena as Buffer
    arena[at] = firstByte
    let next = writeRemaining(arena, at + 1, rest)
    arena[next++] = topicLength >> 8
    arena[next++] = topicLength & 0xff
    if (topic === null) chunk.copy(arena, next, topicAt, topicEnd)
    else topic.copy(arena, next)
    next += topicLength + (qos > 0 ? 2 : 0)
    chunk.copy(arena, next, payloadAt, end)
    this.bytes = arena
    this.start = at
    this.end = at + length
  }

  /** There is no packet to send. */
  none(): void {
    this.start = 0
    this.end = 0
  }

  /** Writes the packet identifier, if the packet has room for one. */
  identify(packetId: number): void {
    const { bytes, start } = this
    if (((bytes[start] as number) & 0x06) === 0) return
    const at = identifierAt(bytes, start)
    bytes[at] = packetId >> 8
    bytes[at + 1] = packetId & 0xff
  }

  /** Whether another packet is the same but for its flags and its identifier. */
  isSameAs(bytes: Buffer, start: number, end: number): boolean {
    if (end - start !== this.end - this.start || end === start) return false
    const id = identifierAt(bytes, start) - start
    if (id !== identifierAt(this.bytes, this.start) - this.start) return false
    const mine = this.start
    return (
      bytes.compare(this.bytes, mine + 1, mine + id, start + 1, start + id) === 0 &&
      bytes.compare(this.bytes, mine + id + 2, this.end, start + id + 2, end) === 0
    )
  }

  /** All of a chunk was read: what is still wanted of it is kept elsewhere. */
  release(): void {
    this.#source = null
    this.#arena = null
    this.#copy = EMPTY
    this.bytes = EMPTY
    this.none()
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

const EMPTY = Buffer.alloc(0)

/** Where the packet identifier of a PUBLISH packet is, if it has one. */
function identifierAt(bytes: Buffer, start: number): number {
  const body = bodyOf(bytes, start)
  return body + 2 + (((bytes[body] as number) << 8) | (bytes[body + 1] as number))
}

/** The topic of a PUBLISH packet. */
export function topicOf(bytes: Buffer, start: number): string {
  const body = bodyOf(bytes, start)
  return bytes.toString('utf8', body + 2, body + 2 + topicLengthBefore(bytes, start))
}

/** The payload of a PUBLISH packet, where it lies. */
export function payloadOf(bytes: Buffer, start: number, end: number): Buffer {
  const hasId = ((bytes[start] as number) & 0x06) !== 0
  return bytes.subarray(identifierAt(bytes, start) + (hasId ? 2 : 0), end)
}

function topicLengthBefore(bytes: Buffer, start: number): number {
  const body = bodyOf(bytes, start)
  return ((bytes[body] as number) << 8) | (bytes[body + 1] as number)
}

function bodyOf(bytes: Buffer, start: number): number {
  let at = start + 1
  while ((bytes[at] as number) > 127) at++
  return at + 1
}

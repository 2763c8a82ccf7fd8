/** Of longer payloads only both ends are looked at, and the length. */
const WHOLE_BYTES = 64 * 1024
const END_BYTES = 32 * 1024

/** A message that may come back. */
interface Expected {
  readonly key: number
  readonly from: string
  readonly at: number
  /** Neighbours in the order in which they were told. */
  older: Expected | null
  newer: Expected | null
  /** The next one of the same key. */
  next: Expected | null
}

/** Expected messages of one key, in the order in which they were told. */
interface Alike {
  first: Expected
  last: Expected
}

/**
 * Messages that a bridge has published, each as often as it did, so that it knows them when they come back from a broker that
 * does not tell bridges from other clients. Known by a hash of 53 bits of topic and payload: QoS, RETAIN and the packet
 * identifier may be others by then.
 *
 * Bounded in number and time, the oldest go first. Times are milliseconds of a clock that never goes back.
 */
export class EchoMemory {
  readonly #max: number
  readonly #ttlMs: number
  readonly #alike = new Map<number, Alike>()
  #oldest: Expected | null = null
  #newest: Expected | null = null
  #size = 0

  /** @param options `max` messages at most, of the last `ttlMs` milliseconds */
  constructor(options: { readonly max: number; readonly ttlMs: number }) {
    this.#max = options.max
    this.#ttlMs = options.ttlMs
  }

  /** How many messages are expected, those whose time has passed perhaps among them. */
  get size(): number {
    return this.#size
  }

  /** Says that a message was published which came by the rule `from`. The payload is looked at now and not kept. */
  expect(topic: string, payload: Uint8Array, from: string, now: number): void {
    if (this.#max <= 0) return
    this.#forgetBefore(now)
    if (this.#size >= this.#max) this.#forgetOldest()
    const key = keyOf(topic, payload)
    const entry: Expected = { key, from, at: now, older: this.#newest, newer: null, next: null }
    if (this.#newest === null) this.#oldest = entry
    else this.#newest.newer = entry
    this.#newest = entry
    const alike = this.#alike.get(key)
    if (alike === undefined) this.#alike.set(key, { first: entry, last: entry })
    else {
      alike.last.next = entry
      alike.last = entry
    }
    this.#size++
  }

  /** The rule that brought this message in, which is expected once less from now on; null when it is not expected. */
  take(topic: string, payload: Uint8Array, now: number): string | null {
    this.#forgetBefore(now)
    if (this.#size === 0) return null
    const alike = this.#alike.get(keyOf(topic, payload))
    if (alike === undefined) return null
    const { from } = alike.first
    this.#remove(alike)
    return from
  }

  clear(): void {
    this.#alike.clear()
    this.#oldest = null
    this.#newest = null
    this.#size = 0
  }

  #forgetBefore(now: number): void {
    while (this.#oldest !== null && now - this.#oldest.at >= this.#ttlMs) this.#forgetOldest()
  }

  #forgetOldest(): void {
    if (this.#oldest === null) return
    // The oldest of all is the first of its key.
    const alike = this.#alike.get(this.#oldest.key)
    if (alike !== undefined) this.#remove(alike)
  }

  /** Removes the first of those. */
  #remove(alike: Alike): void {
    const entry = alike.first
    if (entry.next === null) this.#alike.delete(entry.key)
    else alike.first = entry.next
    if (entry.older === null) this.#oldest = entry.newer
    else entry.older.newer = entry.newer
    if (entry.newer === null) this.#newest = entry.older
    else entry.newer.older = entry.older
    this.#size--
  }
}

/** What a message is known by: two hashes of 32 bits, as far as a number can hold both. They multiply differently: what collides in one does not in the other. */
export function keyOf(topic: string, payload: Uint8Array): number {
  const high = hashOf(topic, payload, 0x85ebca6b, 0x51ed270b)
  const low = hashOf(topic, payload, 0xc2b2ae35, 0x2f6b9e3d)
  return (high >>> 0) * 0x20_0000 + (low >>> 11)
}

function hashOf(topic: string, payload: Uint8Array, factor: number, seed: number): number {
  const { length } = payload
  let hash = seed ^ Math.imul(topic.length, factor)
  for (let i = 0; i < topic.length; i++) hash = step(hash, topic.charCodeAt(i), factor)
  hash = step(hash, length, factor)
  if (length <= WHOLE_BYTES) hash = addBytes(hash, payload, 0, length, factor)
  else {
    hash = addBytes(hash, payload, 0, END_BYTES, factor)
    hash = addBytes(hash, payload, length - END_BYTES, length, factor)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d)
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b)
  return hash ^ (hash >>> 16)
}

function addBytes(before: number, bytes: Uint8Array, start: number, end: number, factor: number): number {
  let hash = before
  let i = start
  for (; i < end - 3; i += 4) {
    const low = (bytes[i] as number) | ((bytes[i + 1] as number) << 8)
    hash = step(hash, low | ((bytes[i + 2] as number) << 16) | ((bytes[i + 3] as number) << 24), factor)
  }
  for (; i < end; i++) hash = step(hash, bytes[i] as number, factor)
  return hash
}

function step(hash: number, word: number, factor: number): number {
  const product = Math.imul(hash ^ word, factor)
  return (product << 13) | (product >>> 19)
}

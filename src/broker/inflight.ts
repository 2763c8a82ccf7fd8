import type { Message } from './message.ts'

/** How far the handshake of a packet identifier is (section 4.3). */
export const FREE = 0
/** QoS 1 sent, PUBACK missing. */
export const WAITS_PUBACK = 1
/** QoS 2 sent, PUBREC missing. */
export const WAITS_PUBREC = 2
/** PUBREL sent, PUBCOMP missing. */
export const WAITS_PUBCOMP = 3

const FIRST_CAPACITY = 8
/** More identifiers than these can't be in use at once. */
export const LAST_PLACES = 65_534

/**
 * The messages a session has sent and not seen acknowledged, in the order of sending. Packet identifiers grow by one
 * (65,535 is followed by 1), so the window is a ring: an identifier tells its place. The window reaches from the
 * oldest unacknowledged message to the newest; acknowledgements may come in any order.
 *
 *     identifier   17    18    19    20
 *     state        PUBACK free PUBREC PUBACK
 *                  ^ head            ^ tail - 1
 */
export class Inflight {
  #limit: number
  #messages: (Message | null)[] = []
  #states = new Uint8Array(0)
  #sentAt = new Float64Array(0)
  #mask = -1
  #head = 0
  #tail = 0

  /** `limit`: most places in the window, 1 to 65,534. */
  constructor(limit: number) {
    this.#limit = Math.min(limit, LAST_PLACES)
  }

  /** The window has another size from now on; what is in it stays. */
  resize(limit: number): void {
    this.#limit = Math.min(limit, LAST_PLACES)
  }

  get isEmpty(): boolean {
    return this.#head === this.#tail
  }

  /** Places taken, counting acknowledged ones behind an unacknowledged one. */
  get length(): number {
    return this.#tail - this.#head
  }

  /** How many more messages may be sent now. */
  get free(): number {
    return this.#limit - (this.#tail - this.#head)
  }

  /** Takes the next place; returns its packet identifier. Only when `free` is above 0. */
  push(message: Message, state: number, now: number): number {
    if (this.#tail - this.#head > this.#mask) this.#grow()
    const index = this.#tail++
    const slot = index & this.#mask
    this.#messages[slot] = message
    this.#states[slot] = state
    this.#sentAt[slot] = now
    return (index % 65_535) + 1
  }

  /**
   * Puts back a place as it was before a restart, in the order of sending. False when it does not fit behind the
   * others in a window of `limit` places: then the message needs a new identifier.
   */
  restore(packetId: number, state: number, message: Message | null, now: number, limit = this.#limit): boolean {
    if (this.#head === this.#tail) {
      this.#head = packetId - 1
      this.#tail = this.#head
    }
    const gap = (packetId - 1 - (this.#tail % 65_535) + 65_535) % 65_535
    if (this.length + gap >= limit) return false
    for (let i = 0; i <= gap; i++) {
      if (this.#tail - this.#head > this.#mask) this.#grow()
      const slot = this.#tail++ & this.#mask
      this.#messages[slot] = i === gap ? message : null
      this.#states[slot] = i === gap ? state : FREE
      this.#sentAt[slot] = now
    }
    return true
  }

  /** The state of a packet identifier; FREE when it is not in use. */
  stateOf(packetId: number): number {
    const slot = this.#slotOf(packetId)
    return slot === -1 ? FREE : (this.#states[slot] as number)
  }

  /** The message of a packet identifier; null when it is not in use or its PUBREC has come. */
  messageOf(packetId: number): Message | null {
    const slot = this.#slotOf(packetId)
    return slot === -1 ? null : (this.#messages[slot] as Message | null)
  }

  /** QoS 1: PUBACK came. False when nothing waited for it. */
  acknowledge(packetId: number): boolean {
    const slot = this.#slotOf(packetId)
    if (slot === -1 || this.#states[slot] !== WAITS_PUBACK) return false
    this.#finish(slot)
    return true
  }

  /** QoS 2: PUBREC came, the message may be forgotten. False when nothing waited for it. */
  received(packetId: number, now: number): boolean {
    const slot = this.#slotOf(packetId)
    if (slot === -1 || this.#states[slot] !== WAITS_PUBREC) return false
    this.#states[slot] = WAITS_PUBCOMP
    this.#messages[slot] = null
    this.#sentAt[slot] = now
    return true
  }

  /** QoS 2: PUBCOMP came. False when nothing waited for it. */
  complete(packetId: number): boolean {
    const slot = this.#slotOf(packetId)
    if (slot === -1 || this.#states[slot] !== WAITS_PUBCOMP) return false
    this.#finish(slot)
    return true
  }

  /** Visits what is unacknowledged, oldest first. */
  forEach(visit: (packetId: number, state: number, message: Message | null) => void): void {
    for (let index = this.#head; index < this.#tail; index++) {
      const slot = index & this.#mask
      const state = this.#states[slot] as number
      if (state !== FREE) visit((index % 65_535) + 1, state, this.#messages[slot] as Message | null)
    }
  }

  /** Puts another form of a message in its place. */
  replace(packetId: number, message: Message): void {
    const slot = this.#slotOf(packetId)
    if (slot !== -1) this.#messages[slot] = message
  }

  /** Frees the places of messages that are not to be sent again. */
  forget(unwanted: (message: Message) => boolean): void {
    for (let index = this.#head; index < this.#tail; index++) {
      const slot = index & this.#mask
      const message = this.#messages[slot]
      if (message && unwanted(message)) this.#finish(slot)
    }
  }

  /** The packet identifier of the oldest when it was sent at or before `before`, else 0. */
  overdue(before: number): number {
    if (this.#head === this.#tail || (this.#sentAt[this.#head & this.#mask] as number) > before) return 0
    return (this.#head % 65_535) + 1
  }

  /** Notes that the packet was sent once more. */
  resent(packetId: number, now: number): void {
    const slot = this.#slotOf(packetId)
    if (slot !== -1) this.#sentAt[slot] = now
  }

  #finish(slot: number): void {
    this.#states[slot] = FREE
    this.#messages[slot] = null
    while (this.#head < this.#tail && this.#states[this.#head & this.#mask] === FREE) this.#head++
  }

  #slotOf(packetId: number): number {
    const ahead = (packetId - 1 - (this.#head % 65_535) + 65_535) % 65_535
    return ahead < this.#tail - this.#head ? (this.#head + ahead) & this.#mask : -1
  }

  #grow(): void {
    const capacity = Math.max(FIRST_CAPACITY, (this.#mask + 1) * 2)
    const messages: (Message | null)[] = Array.from({ length: capacity }, () => null)
    const states = new Uint8Array(capacity)
    const sentAt = new Float64Array(capacity)
    for (let index = this.#head; index < this.#tail; index++) {
      const from = index & this.#mask
      const to = index & (capacity - 1)
      messages[to] = this.#messages[from] as Message | null
      states[to] = this.#states[from] as number
      sentAt[to] = this.#sentAt[from] as number
    }
    this.#messages = messages
    this.#states = states
    this.#sentAt = sentAt
    this.#mask = capacity - 1
  }
}

/** Messages to one topic, numbered from 0: what was sent and promised on one side, and what arrived on the other. */

/** `out`: published at the hub, expected at the remote. */
export type Direction = 'out' | 'in'

export interface StreamOptions {
  /** The name of the rule that has to carry it. */
  readonly rule: string
  readonly direction: Direction
  readonly topic: string
  readonly qos: 1 | 2
  /** The broker it is published to keeps what it has acknowledged; else what it forgets is counted and not held against it. */
  readonly isSourceTrusted: boolean
}

/** Bits of what became of a message. */
const ACKNOWLEDGED = 1
const ARRIVED = 2
const RESENT = 4
const WITNESSED = 8

export class Stream {
  readonly rule: string
  readonly direction: Direction
  readonly topic: string
  readonly qos: 1 | 2
  readonly isSourceTrusted: boolean
  acknowledged = 0
  /** Messages that came at least once. */
  arrived = 0
  /** Deliveries beyond the first. */
  duplicates = 0
  /** Of the duplicates: those that came to be between both brokers, as neither the publisher nor the delivering broker had sent twice. */
  wayDuplicates = 0
  highest = -1
  readonly #states: number[] = []

  constructor({ rule, direction, topic, qos, isSourceTrusted }: StreamOptions) {
    this.rule = rule
    this.direction = direction
    this.topic = topic
    this.qos = qos
    this.isSourceTrusted = isSourceTrusted
  }

  /** Messages that were sent. */
  get length(): number {
    return this.#states.length
  }

  /** Returns the number of the new message. */
  send(): number {
    return this.#states.push(0) - 1
  }

  /** The publisher sends it once more. */
  resend(number: number): void {
    this.#states[number] = this.#state(number) | RESENT
  }

  /** The broker has taken it over: from now on it must not be lost. */
  acknowledge(number: number): void {
    const state = this.#state(number)
    if ((state & ACKNOWLEDGED) === 0) this.acknowledged++
    this.#states[number] = state | ACKNOWLEDGED
  }

  /** Returns what is wrong with this delivery, or null. `dup`: the delivering broker says that it sends it again. */
  receive(number: number, dup: boolean): string | null {
    if (number >= this.length) return `${this.topic} ${number} arrived and was never published`
    const state = this.#state(number)
    if ((state & ARRIVED) !== 0) {
      this.duplicates++
      if (!dup && (this.qos === 2 || (state & RESENT) === 0)) this.wayDuplicates++
      return null
    }
    this.#states[number] = state | ARRIVED
    this.arrived++
    const before = this.highest
    if (number > before) this.highest = number
    return number < before ? `${this.topic} ${number} arrived for the first time behind ${before}` : null
  }

  /** A client beside the bridge got it from the broker that it was published to. */
  witness(number: number): void {
    if (number < this.length) this.#states[number] = this.#state(number) | WITNESSED
  }

  /** Numbers that were acknowledged and have not arrived at the other side. */
  lost(): number[] {
    return this.#where(state => (state & (ACKNOWLEDGED | ARRIVED | WITNESSED)) === (ACKNOWLEDGED | WITNESSED))
  }

  /** Numbers that were acknowledged and then given to nobody: the broker they were published to has forgotten them. */
  forgotten(): number[] {
    return this.#where(state => (state & (ACKNOWLEDGED | ARRIVED | WITNESSED)) === ACKNOWLEDGED)
  }

  /** Numbers that the publisher was never told were taken over. */
  unacknowledged(): number[] {
    return this.#where(state => (state & ACKNOWLEDGED) === 0)
  }

  #where(isSo: (state: number) => boolean): number[] {
    const numbers: number[] = []
    for (const [number, state] of this.#states.entries()) if (isSo(state)) numbers.push(number)
    return numbers
  }

  #state(number: number): number {
    const state = this.#states[number]
    if (state === undefined) throw new Error(`${this.topic} ${number} was never sent`)
    return state
  }
}

/** Before the numbers begin: is there a way through? */
export const PROBE = Buffer.from('probe')

/** The bytes tell which message it is and how long it has to be. */
export function encodePayload(number: number, size: number): Buffer {
  const head = Buffer.from(`${number} ${size} `)
  return Buffer.concat([head, Buffer.alloc(size, fillOf(number))])
}

/** Null when these are not the bytes that were published. */
export function decodePayload(payload: Buffer): number | null {
  const match = /^(\d+) (\d+) /.exec(payload.toString('latin1', 0, 30))
  if (match === null) return null
  const [head, number, size] = match
  const body = payload.subarray(head.length)
  const fill = fillOf(Number(number))
  if (body.length !== Number(size) || body.some(byte => byte !== fill)) return null
  return Number(number)
}

function fillOf(number: number): number {
  return 33 + (number % 90)
}

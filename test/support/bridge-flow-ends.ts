/** The brokers at both ends of a flow, as far as the flow sees them: without sockets, step by step. */
import type { Connection } from '../../src/bridge/connection.ts'
import type { FlowEnd } from '../../src/bridge/flow-end.ts'
import { type Packet, PacketDecoder } from './packets.ts'

export type Chance = (below: number) => number

/** Numbers that look random and are the same each time (mulberry32). */
export function chanceOf(seed: number): Chance {
  let state = seed * 0x9e3779b1
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

/** Stands in for a connection: keeps what it is given by reference, as output does until it is written. */
export class Wire {
  readonly #said: { bytes: Buffer; start: number; end: number }[] = []
  /** Whole packets on their way from the broker to the bridge. */
  readonly incoming: Buffer[] = []
  readonly isShared: boolean
  readonly lastRead = 1
  isClosed = false
  isPaused = false
  blocked = false

  constructor(isShared: boolean) {
    this.isShared = isShared
  }

  readonly output = {
    size: 0,
    append: (bytes: Buffer, start: number, end: number): void => this.#add({ bytes, start, end }),
    acknowledge: (first: number, id: number): void => this.acknowledge(first, id),
  }

  acknowledge(first: number, id: number): void {
    this.#add({ bytes: Buffer.from([first, 2, id >> 8, id & 255]), start: 0, end: 4 })
  }

  markDirty(): void {}
  pause(): void {
    this.isPaused = true
  }
  resume(): void {
    this.isPaused = false
  }

  get waiting(): number {
    return this.#said.length
  }

  /** What the bridge said, as it is by the time when it is written. */
  write(count = Number.POSITIVE_INFINITY): Packet[] {
    const said = this.#said.splice(0, count).map(({ bytes, start, end }) => bytes.subarray(start, end))
    const bytes = Buffer.concat(said)
    this.output.size -= bytes.length
    return new PacketDecoder().push(bytes)
  }

  #add(said: { bytes: Buffer; start: number; end: number }): void {
    this.#said.push(said)
    this.output.size += said.end - said.start
  }
}

export class End implements FlowEnd {
  wire: Wire | null = null
  failure = ''
  get connection(): Connection | null {
    return this.wire as unknown as Connection | null
  }
  fail(problem: string): void {
    this.failure = problem
  }
}

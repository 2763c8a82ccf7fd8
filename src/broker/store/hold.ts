import type { Output } from '../../wire/index.ts'

/** A connection whose acknowledgements may have to wait. */
export interface Acknowledging {
  readonly closed: boolean
  readonly output: Output
  /** What it was promised last and is not stored yet; later acknowledgements wait behind it [MQTT-4.6.0-2]. */
  held: Hold | null
  markDirty(): void
}

const FIRST_BYTES = 64
/** No client has so many exchanges open; who asks for more while the disk fails gets no answer. */
const MOST_BYTES = 1_048_576

/** Acknowledgements of one connection that wait until what they promise is stored. */
export class Hold {
  /** More may be added that is stored with it: its batch is not sealed. */
  isOpen = true
  readonly #owner: Acknowledging
  #bytes = Buffer.allocUnsafe(FIRST_BYTES)
  #used = 0
  #packets = 0

  constructor(owner: Acknowledging) {
    this.#owner = owner
  }

  add(firstByte: number, packetId: number): void {
    if (this.#used >= MOST_BYTES) return
    this.#reserve(4)
    const at = this.#used
    this.#bytes[at] = firstByte
    this.#bytes[at + 1] = 2
    this.#bytes[at + 2] = packetId >> 8
    this.#bytes[at + 3] = packetId & 0xff
    this.#used = at + 4
    this.#packets++
  }

  /** Adds another answer, which is not to overtake them. */
  append(bytes: Uint8Array): void {
    if (this.#used >= MOST_BYTES) return
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#used)
    this.#used += bytes.length
    this.#packets++
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 4, this.#used + bytes))
    this.#bytes.copy(larger, 0, 0, this.#used)
    this.#bytes = larger
  }

  /** They may go. */
  release(): void {
    const owner = this.#owner
    if (owner.held === this) owner.held = null
    if (owner.closed) return
    owner.output.append(this.#bytes, 0, this.#used, true)
    owner.output.controls += this.#packets
    owner.markDirty()
  }
}
